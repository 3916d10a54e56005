// What a service gets in a day, in turn: every route, every model, and of ten requests one that is refused.
import { ask, post } from './load.mjs'
import { keystrokes, summaries } from './typings.mjs'

const OF_SUMMARIES = ['svm', 'rf', 'xgb', 'summary']
const OF_KEYSTROKES = ['best', 'templates', 'trees']
const READ = ['/', '/models', '/models/best', '/health', '/health/live', '/health/ready']

const [typing] = keystrokes
const cut = { keystrokes: typing.keystrokes.slice(1) }
const backwards = { keystrokes: typing.keystrokes.toReversed() }
const text = { 'content-type': 'text/plain' }

/** Each with the status that it is answered with. */
const REFUSED = [
  [400, () => post('/predict/rf', { ...summaries[0], HT: { Mean: '48', STD: 1 } })],
  [400, () => post('/predict/best?top=0', typing)],
  [400, () => post('/predict', 'no object')],
  [404, () => post('/predict/nobody', summaries[0])],
  [404, () => ask('/nowhere')],
  [404, () => post('/verify/best', { user: -1, ...typing })],
  [405, () => ask('/predict/rf')],
  [415, () => post('/predict/rf', summaries[0], text)],
  [422, () => post('/predict/best', cut)],
  [422, () => post('/predict/best', backwards)],
  [422, () => post('/verify/rf', { user: 84, ...typing })],
  [422, () => post('/predict/best?fpir=0.5', typing)],
]
const REFUSED_EVERY = 10
const REQUESTS = 1200

const requests = []
const statuses = []
for (let i = 0; requests.length < REQUESTS; i++) {
  const refused = requests.length % REFUSED_EVERY === REFUSED_EVERY - 1
  const [status, make] = refused ? pick(REFUSED, Math.floor(i / REFUSED_EVERY)) : [200, () => answered(i)]
  requests.push(make())
  statuses.push(status)
}

export const mixture = {
  requests,
  statuses,
  check() {},
  described: `one in ${REFUSED_EVERY} of them refused, to all routes and models in turn`,
}

function answered(i) {
  const summary = pick(summaries, i)
  const one = pick(keystrokes, i)
  const of = (models) => pick(models, Math.floor(i / 8))
  switch (i % 8) {
    case 0:
      return post(`/predict/${of(OF_SUMMARIES)}`, summary)
    case 1:
      return post(`/predict/${of(OF_KEYSTROKES)}`, one)
    case 2:
      return post(`/predict/${of(OF_SUMMARIES)}?top=5`, one)
    case 3:
      return post('/predict', { Model: of(OF_SUMMARIES).toUpperCase(), ...summary })
    case 4:
      return post(`/verify/${of(OF_KEYSTROKES)}`, { user: 84, ...one })
    case 5:
      return post(`/predict/${of(OF_KEYSTROKES)}?top=5`, { attempts: [one, pick(keystrokes, i + 1)] })
    case 6:
      return post('/', { Model: 'best', ...one })
    default:
      return ask(pick(READ, Math.floor(i / 8)))
  }
}

function pick(list, i) {
  return list[i % list.length]
}
