import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { build } from './fixtures/build.js'
import { MODELS } from './fixtures/models.js'

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')

t.test('every curl of the README gets the answer that is printed under it', async (t) => {
  const app = build(t)
  const blocks = /```sh\ncurl -s localhost:3000(\S+) [^`]*?-d '([^']*)'\n```\n\n```json\n([^`]*)```/g
  const shown = [...readme.matchAll(blocks)]
  t.equal(shown.length, 2)
  for (const [, url = '', payload = '', printed = ''] of shown) {
    const headers = { 'content-type': 'application/json' }
    const answer = await app.inject({ method: 'POST', url, headers, payload })
    t.same({ ...answer.json(), ...requestId(answer.json(), printed) }, JSON.parse(printed))
  }
})

/** The request id is another each time. */
function requestId(answer: { instance?: string }, printed: string) {
  return answer.instance === undefined ? {} : { instance: JSON.parse(printed).instance }
}

t.test('the accuracies in the README are the ones that training measured', async (t) => {
  const { models } = JSON.parse(readFileSync(join(MODELS, 'manifest.json'), 'utf8'))
  const percent = (share: number) => `${(share * 100).toFixed(1)} %`
  for (const { name, evaluation } of models) {
    const { rank1, rank5, rank1Interval, training } = evaluation
    const interval = rank1Interval.map((share: number) => (share * 100).toFixed(1)).join(' to ')
    const cells = [`\`${name}\``, percent(rank1), interval, percent(rank5), percent(training.rank1)]
    t.ok(readme.includes(`| ${cells.join(' | ')} |`), cells.join(' | '))
  }
})
