import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readManifest } from '../src/inference/manifest.js'
import { modelFolder } from '../src/inference/model-source.js'
import { MODELS } from './fixtures/models.js'

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
const scaling = readFileSync(new URL('../docs/scaling.md', import.meta.url), 'utf8')
const models = readFileSync(new URL('../docs/models.md', import.meta.url), 'utf8').replace(/\s+/g, ' ')

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

t.test('the figures on the page of the models are the measured ones', async (t) => {
  const manifest = await readManifest(modelFolder(MODELS))
  const evaluation = (wanted: string) => manifest.models.find(({ name }) => name === wanted)?.evaluation
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`
  const interval = (of: number[] | undefined) => of?.map(percent).join(' to ')
  const [best, summary] = [evaluation('best'), evaluation('summary')]
  const rank1 = percent(best?.rank1 as number)
  t.match(
    models,
    `right at first in ${rank1} (95 % interval ${interval(best?.rank1Interval)}) of the typings`,
  )
  t.match(
    models,
    `\`summary\` in ${percent(summary?.rank1 as number)} (${interval(summary?.rank1Interval)}), guessing`,
  )
  t.match(models, `memory: ${100 * (best?.training.rank1 as number)} % for \`best\``)
  t.match(models, `somebody else for ${percent(1 - (best?.rank1 as number))} of known users' typings`)
  t.match(
    models,
    `${best?.perUser.belowHalf} of the ${manifest.classes.length} users are recognised in fewer than half`,
  )
  const strangers = best?.strangers?.attempts.find(({ attempts }) => attempts === 1)?.points
  const claims = best?.verification?.attempts.find(({ attempts }) => attempts === 1)?.points
  const missed = [0.05, 0.01].map((wanted) => {
    const { identified = 0, identifiedInterval } = strangers?.find(({ fpir }) => fpir === wanted) ?? {}
    return [1 - identified, identifiedInterval?.map((share) => 1 - share).reverse()] as const
  })
  const refused = [0.01, 0.001].map((wanted) => {
    const { fnmr = 0, fnmrInterval } = claims?.find(({ fmr }) => fmr === wanted) ?? {}
    return [fnmr, fnmrInterval] as const
  })
  const rows = [...missed, ...refused].map(([share, of]) => `| ${percent(share)} | ${interval(of)} |`)
  t.same(models.match(/\| [\d.]+ % \| [\d.]+ % to [\d.]+ % \|/g), rows)
  const cpu = (model: string) =>
    Number(new RegExp(`\\| \`${model}\` \\|.*\\| ([\\d,]+) \\| [\\d,]+ \\|$`, 'm').exec(scaling)?.[1])
  t.ok(Math.abs(cpu('templates') / cpu('best') - 0.5) < 0.1, 'templates take half the CPU time')
})

t.test('the figures of users who enrol later are the measured ones', async (t) => {
  type Kind = 'eer' | 'fnmr' | 'rank1'
  type Rates = Record<'samples' | 'attempts' | 'enrolled' | Kind, number> &
    Record<`${Kind}Interval`, number[]>
  const enrolment: { measured: Rates[]; general: { measured: Rates[] } } = JSON.parse(
    readFileSync(join(MODELS, 'enrolment.json'), 'utf8'),
  )
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`
  const measured = (samples: number, attempts: number) =>
    enrolment.measured.find((found) => found.samples === samples && found.attempts === attempts) as Rates
  const told = (found: Rates, kind: Kind) =>
    `${percent(found[kind])} (${found[`${kind}Interval`].map(percent).join(' to ')})`
  for (const samples of [1, 3, 5, 7]) {
    const found = measured(samples, 1)
    const cells = (['eer', 'fnmr', 'rank1'] as const).map((kind) => told(found, kind))
    t.match(models, `| ${samples} | ${cells.join(' | ')} |`)
  }
  t.match(models, `two attempts the equal error rate is ${told(measured(5, 2), 'eer')}`)
  const [five, eight, thirteen] = enrolment.general.measured
    .filter(({ samples, attempts, enrolled }) => samples === 5 && attempts === 1 && enrolled === 30)
    .map(({ eer }) => percent(eer))
  t.match(models, `it is ${five}, ${eight} and ${thirteen}`)
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
