import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { build } from '../fixtures/build.js'
import { MODELS } from '../fixtures/models.js'

t.test('the models are listed with where to read on', async (t) => {
  const app = build(t)
  const { models } = (await app.inject('/models')).json()
  t.same(models.map(({ name }: { name: string }) => name).slice(0, 3), ['svm', 'rf', 'xgb'])
  for (const { href, name, version } of models) t.match((await app.inject(href)).json(), { name, version })
})

t.test('a card tells what a model eats, what its scores mean and how well it recognises', async (t) => {
  const app = build(t)
  const card = (await app.inject('/models/rf')).json()
  t.match(card, {
    keys: 13,
    users: 110,
    accepts: ['summary', 'keystrokes'],
    hideScores: true,
    input: { name: 'input', type: 'float32', shape: [-1, 8] },
    outputs: [
      { name: 'label', type: 'int64', shape: [-1] },
      { name: 'scores', shape: [-1, 110] },
    ],
    scores: /./,
    ties: /lowest/,
    version: /^[0-9a-f]{12}$/,
    sha256: /^[0-9a-f]{64}$/,
    evaluation: {
      protocol: 'leave one repetition out',
      n: 880,
      rank1: Number,
      rank5: Number,
      training: { n: 880 },
    },
  })
  t.equal(card.features.join(), 'HT.Mean,HT.STD,PPT.Mean,PPT.STD,RRT.Mean,RRT.STD,RPT.Mean,RPT.STD')
  t.notOk('check' in card, 'and nothing that only the service needs')
})

t.test('the card of a model of raw keystrokes tells how it decides, too', async (t) => {
  const app = build(t)
  const trees = (await app.inject('/models/trees')).json()
  t.equal(trees.features.length, 76)
  t.match(trees, {
    accepts: ['keystrokes', 'attempts'],
    input: { shape: [-1, 76] },
    ranges: { HT: [Number, Number], PPT: Array, RRT: Array, RPT: Array },
    decision: {
      correlation: Number,
      identification: { own: Number, cohort: Number, temperature: Number, points: Array },
      verification: { own: Number, cohort: Number, temperature: Number, points: Array },
    },
    sha256: /^[0-9a-f]{64}$/,
  })
  const point = trees.decision.identification.points.find(
    ({ attempts, fpir }: Record<string, number>) => attempts === 1 && fpir === 0.05,
  )
  t.match(point, { threshold: Number, fnir: Number })
})

t.test('a card of a composed model names its members in place of a file', async (t) => {
  const best = (await build(t).inject('/models/best')).json()
  t.match(best, { accepts: ['keystrokes', 'attempts'], decision: Object })
  t.same(best.members.map(({ model }: { model: string }) => model).sort(), ['templates', 'trees'])
  for (const name of ['file', 'input', 'outputs', 'bytes', 'sha256']) t.notOk(name in best, name)
})

t.test('a card is whole: nothing of what training measured is left out', async (t) => {
  const { models } = JSON.parse(readFileSync(join(MODELS, 'manifest.json'), 'utf8'))
  const app = build(t)
  for (const { name, evaluation, decision, members, parameters } of models) {
    const card = (await app.inject(`/models/${name}`)).json()
    t.same(
      [card.evaluation, card.decision, card.members, card.parameters],
      [evaluation, decision, members, parameters],
      name,
    )
  }
})

t.test('a card says whether scores are hidden here', async (t) => {
  const app = build(t, { SHOW_SCORES: 'rf', HIDE_SCORES: 'svm' })
  t.equal((await app.inject('/models/rf')).json().hideScores, false)
  t.equal((await app.inject('/models/svm')).json().hideScores, true)
})

t.test('a card that there is not is 404', async (t) => {
  t.match((await build(t).inject('/models/knn')).json(), { status: 404, code: 'KSR_MODEL_NOT_FOUND' })
})

t.test('only the models that are served are listed', async (t) => {
  const app = build(t, { MODELS: 'rf' })
  t.equal((await app.inject('/models')).json().models.length, 1)
  t.equal((await app.inject('/models/svm')).statusCode, 404)
})
