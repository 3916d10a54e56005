import t from 'tap'
import { build, postTo, SUMMARY } from '../fixtures/build.js'
import { MODELS, readGolden } from '../fixtures/models.js'

const TYPINGS = readGolden(MODELS).keystrokes.map(({ keystrokes }) => ({ keystrokes }))
const [first, second] = TYPINGS
const app = build(t)
const post = postTo(app)

t.test('many samples are answered in their order, each as alone', async (t) => {
  const samples = [first, { attempts: [first, second] }, second]
  for (const query of ['', '?top=3&fpir=0.1']) {
    const alone = await Promise.all(samples.map((sample) => post(`/predict/best${query}`, sample)))
    const together = await post(`/predict/best/batch${query}`, { samples })
    t.equal(together.statusCode, 200)
    t.equal(together.body, `{"predictions":[${alone.map(({ body }) => body).join(',')}]}`)
  }
})

t.test('more than the model is asked at once are answered, too', async (t) => {
  const samples = Array.from({ length: 100 }, (_, i) => TYPINGS[i % TYPINGS.length])
  const answer = await post('/predict/rf/batch', { samples })
  const users = answer.json().predictions.map(({ user }: { user: number }) => user)
  const alone = await Promise.all(samples.map((sample) => post('/predict/rf', sample)))
  t.same(
    users,
    alone.map((one) => one.json().user),
  )
  t.ok(new Set(users).size > 1)
})

t.test('one that is at fault refuses all, and is pointed at', async (t) => {
  const late = structuredClone(first) as { keystrokes: { press: number; release: number }[] }
  ;(late.keystrokes[4] as { release: number }).release = -1
  const text = { keystrokes: [{ press: '0', release: 1 }] }
  const many = Array.from({ length: 40 }, () => first)
  for (const [samples, status, code, pointer] of [
    [[first, text], 400, 'KSR_INVALID_REQUEST', '/samples/1/keystrokes/0/press'],
    [
      [first, { attempts: [first, text] }],
      400,
      'KSR_INVALID_REQUEST',
      '/samples/1/attempts/1/keystrokes/0/press',
    ],
    [[first, { ...SUMMARY, STD: 1 }], 400, 'KSR_INVALID_REQUEST', '/samples/1/STD'],
    [[first, 7], 400, 'KSR_INVALID_REQUEST', '/samples/1'],
    [[], 400, 'KSR_INVALID_REQUEST', '/samples'],
    [[...many, late, text.keystrokes], 400, 'KSR_INVALID_REQUEST', '/samples/41'],
    [[...many, late, SUMMARY], 422, 'KSR_RELEASE_BEFORE_PRESS', '/samples/40/keystrokes/4/release'],
    [[first, SUMMARY], 422, 'KSR_NEEDS_KEYSTROKES', '/samples/1/keystrokes'],
    // This is found later than what follows it.
    [[first, { attempts: Array(5).fill(first) }, SUMMARY], 422, 'KSR_TOO_MANY_ATTEMPTS', '/samples/1'],
  ] as const) {
    const answer = await post('/predict/best/batch', { samples })
    t.equal(answer.statusCode, status, pointer)
    t.match(answer.json(), { code, errors: [{ pointer }] })
  }
})

t.test('what is wrong with the request is no fault of a sample', async (t) => {
  const none = await post('/predict/nobody/batch', { samples: [SUMMARY] })
  t.match(none.json(), { status: 404, code: 'KSR_MODEL_NOT_FOUND' })
  t.notOk('errors' in none.json())
  const point = await post('/predict/best/batch?fpir=0.3', { samples: [first] })
  t.match(point.json(), { code: 'KSR_NO_OPERATING_POINT', errors: [{ pointer: '/querystring/fpir' }] })
})

t.test('a batch may be larger than one sample, and has a limit of its own', async (t) => {
  const small = postTo(build(t, { BATCH_BODY_LIMIT: '4096', BODY_LIMIT: '2048' }))
  const samples = Array.from({ length: 20 }, () => SUMMARY)
  t.equal((await small('/predict/rf/batch', { samples })).statusCode, 200)
  const answer = await small('/predict/rf/batch', { samples: [...samples, ...samples] })
  t.match(answer.json(), { code: 'KSR_BODY_TOO_LARGE', detail: /4096/ })
})
