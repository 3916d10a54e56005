import t from 'tap'
import { build } from '../fixtures/build.js'

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
    input: { name: 'input', type: 'float32', shape: [-1, 8] },
    outputs: [
      { name: 'label', type: 'int64', shape: [-1] },
      { name: 'scores', shape: [-1, 110] },
    ],
    scores: /./,
    ties: /lowest/,
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
  t.ok(card.sha256.startsWith(card.version))
  t.notOk('check' in card, 'and nothing that only the service needs')
})

t.test('a card that there is not is 404', async (t) => {
  t.match((await build(t).inject('/models/knn')).json(), { status: 404, code: 'KSR_MODEL_NOT_FOUND' })
})

t.test('only the models that are served are listed', async (t) => {
  const app = build(t, { MODELS: 'rf' })
  t.equal((await app.inject('/models')).json().models.length, 1)
  t.equal((await app.inject('/models/svm')).statusCode, 404)
})
