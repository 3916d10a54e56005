import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Context } from 'aws-lambda'
import t from 'tap'
import { readManifest } from '../src/inference/manifest.js'
import { modelFolder } from '../src/inference/model-source.js'
import { build } from './fixtures/build.js'
import { MODELS } from './fixtures/models.js'

process.env.AWS_LAMBDA_FUNCTION_NAME = 'keystroke_based_user_recognition'
process.env.LOG_LEVEL = 'silent'
const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')

t.test('every curl of the README gets the answer that is printed under it', async (t) => {
  const app = build(t)
  const blocks =
    /```sh\ncurl -s '?localhost:3000([^\s']+)'? [^`]*?-d ('[^']*'|@\S+)\n```\n\n```json\n([^`]*)```/g
  const shown = [...readme.matchAll(blocks)]
  t.equal(shown.length, 4)
  for (const [, url = '', data = '', printed = ''] of shown) {
    const payload = sent(data)
    const headers = { 'content-type': 'application/json' }
    const answer = await app.inject({ method: 'POST', url, headers, payload })
    t.same({ ...answer.json(), ...requestId(answer.json(), printed) }, JSON.parse(printed))
  }
})

t.test('every invocation of the README gets the answer that is printed under it', async (t) => {
  const { handler } = await import('../src/lambda.js')
  const blocks =
    /```sh\n[^`]*curl -s (?:--\S+ \d*\s*)*localhost:9000\/[^`]*?-d ('[^']*'|@\S+)[^`]*\n```\n\n```json\n([^`]*)\n```/g
  const shown = [...readme.matchAll(blocks)]
  t.equal(shown.length, 2)
  for (const [, data = '', printed = ''] of shown) {
    const event = JSON.parse(sent(data))
    t.ok(JSON.stringify(await handler(event, { awsRequestId: 'id' } as Context)).endsWith(printed))
  }
})

/** What curl sends: the text in quotes, or the file after the @. */
function sent(data: string): string {
  if (!data.startsWith('@')) return data.slice(1, -1)
  return readFileSync(new URL(`../${data.slice(1)}`, import.meta.url), 'utf8')
}

/** The request id is another each time. */
function requestId(answer: { instance?: string }, printed: string) {
  return answer.instance === undefined ? {} : { instance: JSON.parse(printed).instance }
}

t.test('the accuracies in the README are those of the model card', async (t) => {
  const card = readFileSync(join(MODELS, 'README.md'), 'utf8')
  const rows = [...card.matchAll(/^\| (\w+): [^|]*\|([^|]*)\|([^|]*)\|([^|]*)\|[^|]*\|([^|]*)\|/gm)]
  t.equal(rows.length, 7)
  for (const [, name, ...cells] of rows) {
    const row = `| \`${name}\` |${cells.join('|')}|`
    t.ok(readme.includes(row), row)
  }
})

t.test('the error rates of raw keystrokes in the README are the measured ones', async (t) => {
  const manifest = await readManifest(modelFolder(MODELS))
  const best = manifest.models.find(({ name }) => name === 'best')?.evaluation
  const inARow = <Found extends { attempts: number }>(found: Found[] | undefined) =>
    [1, 2].map((count) => found?.find(({ attempts }) => attempts === count))
  const percent = (share: number | undefined) => `${(100 * (share as number)).toFixed(1)} %`
  const strangers = inARow(best?.strangers?.attempts)
  const claims = inARow(best?.verification?.attempts)
  const measured = {
    'right at first, of known users': [best?.rank1, inARow(best?.attempts)[1]?.rank1],
    'known and recognised as such (5 % of strangers are taken for somebody)': strangers.map(
      (found) => found?.points.find(({ fpir }) => fpir === 0.05)?.identified,
    ),
    'claims: equal error rate': claims.map((found) => found?.eer),
    'claims: right user refused, at a false match rate of 1 %': claims.map(
      (found) => found?.points.find(({ fmr }) => fmr === 0.01)?.fnmr,
    ),
  }
  for (const [title, [one, two]] of Object.entries(measured)) {
    const row = `| ${title} | ${percent(one)} | ${percent(two)} |`
    t.ok(readme.includes(row), row)
  }
})

t.test('the ratios in the README are those of the benches', async (t) => {
  const result = (name: string) =>
    readFileSync(new URL(`../bench/results/${name}.md`, import.meta.url), 'utf8')
  const ratio = (title: string) =>
    new RegExp(`^\\| ${title} \\| ([\\d.]+) `, 'm').exec(result('throughput'))?.[1]
  const times = result('peers').split('## This service, times the peer')[1] ?? ''
  const peer = (title: string) =>
    new RegExp(`^\\| ${title}[^|]*\\| ([\\d.]+) ×[^|]*\\| ([\\d.]+) ×[^|]*\\| ([\\d.]+) ×`, 'm').exec(
      times,
    ) ?? []
  const fastapi = peer('FastAPI')
  const flask = peer("the original's Flask: a pickle")
  for (const [i, model] of ['svm', 'rf', 'xgb'].entries()) {
    const [rate, latency] = [
      ratio(`${model}, of the empty route`),
      ratio(`${model}, latency at one connection, to the empty route`),
    ]
    const row = `| \`${model}\` | ${rate} | ${latency} × | ${fastapi[i + 1]} × | ${flask[i + 1]} × |`
    t.ok(readme.includes(row), row)
  }
})
