import t from 'tap'
import { build, postTo, SUMMARY } from '../fixtures/build.js'
import { readGolden } from '../fixtures/models.js'

const golden = readGolden()
const [ONE, TWO] = golden.keystrokes.map(({ keystrokes }) => ({ keystrokes })) as [Typing, Typing]
const RAW = ['trees', 'templates', 'best']

interface Typing {
  keystrokes: { press: number; release: number }[]
}

const app = build(t, { VERIFY_FAILURES: '0' })
await app.ready()
const post = postTo(app)

for (const model of RAW) {
  t.test(`${model} says whether the claimed user typed it`, async (t) => {
    const { version, decision } = app.models.card(model)
    const points = decision?.verification.points ?? []
    const point = points.find(({ attempts, fmr }) => attempts === 1 && fmr === 0.01)
    const answer = await post(`/verify/${model}`, { user: 84, ...ONE })
    t.equal(answer.statusCode, 200)
    t.equal(answer.headers['content-type'], 'application/json; charset=utf-8')
    const { match, score, anotherAttemptHelps, quality, ...rest } = answer.json()
    const { threshold, fnmr } = point ?? {}
    t.same(rest, { user: 84, model, version, threshold, fmr: 0.01, fnmr, attempts: 1 })
    t.equal(match, score >= (threshold as number))
    t.same([typeof anotherAttemptHelps, Array.isArray(quality)], ['boolean', true])
  })

  t.test(`of all users ${model} finds the one whom it names the most like the typing`, async (t) => {
    const { user } = (await post(`/predict/${model}`, ONE)).json()
    const claims = Array.from({ length: 110 }, (_, i) => i + 1)
    const answers = await Promise.all(
      claims.map(async (user) => (await post(`/verify/${model}`, { user, ...ONE })).json()),
    )
    const best = answers.reduce((best, answer) => (answer.score > best.score ? answer : best))
    t.equal(best.user, user)
  })
}

t.test('attempts are fused, and have points of their own', async (t) => {
  const points = app.models.card('best').decision?.verification.points ?? []
  const ask = async (...attempts: Typing[]) => (await post('/verify/best', { user: 84, attempts })).json()
  t.same(await ask(ONE), (await post('/verify/best', { user: 84, ...ONE })).json())
  const two = await ask(ONE, TWO)
  const { threshold, fnmr } = points.find(({ attempts, fmr }) => attempts === 2 && fmr === 0.01) ?? {}
  t.match(two, { attempts: 2, threshold, fnmr })
  t.ok(Math.abs(two.score - (await ask(TWO, ONE)).score) < 2e-6, 'in any order')
  const most = Math.max(...points.map(({ attempts }) => attempts))
  t.match(await ask(...Array(most + 1).fill(ONE)), {
    status: 422,
    code: 'KSR_TOO_MANY_ATTEMPTS',
    errors: [{ pointer: `/attempts/${most}` }],
  })
})

t.test('?fmr= picks another of the published operating points, of which the strict match less', async (t) => {
  const points = app.models.card('best').decision?.verification.points ?? []
  const answers = []
  for (const { fmr, fnmr, threshold } of points.filter(({ attempts }) => attempts === 1)) {
    const answer = (await post(`/verify/best?fmr=${fmr}`, { user: 84, ...ONE })).json()
    t.match(answer, { fmr, fnmr, threshold })
    answers.push(answer)
  }
  answers.sort((a, b) => a.fmr - b.fmr)
  t.same(
    answers.map(({ threshold }) => threshold),
    answers.map(({ threshold }) => threshold).toSorted((a, b) => b - a),
  )
})

t.test('an operating point that is not published is 422 with those that are', async (t) => {
  t.match((await post('/verify/best?fmr=0.02', { user: 84, ...ONE })).json(), {
    status: 422,
    code: 'KSR_NO_OPERATING_POINT',
    detail: 'The model "best" has no operating point at this fmr. It has 0.001, 0.01, 0.05.',
    errors: [{ pointer: '/querystring/fmr' }],
  })
})

t.test('a rate may be written in any way that JSON has, as programs write small ones', async (t) => {
  const plain = (await post('/verify/best?fmr=0.001', { user: 84, ...ONE })).body
  for (const query of ['fmr=1e-3', 'fmr=1e-03', 'fmr=0.10E-2', 'fmr=0.00100000000000000000000']) {
    t.equal((await post(`/verify/best?${query}`, { user: 84, ...ONE })).body, plain, query)
  }
  for (const query of ['fmr=5e-324', 'fmr=2.2250738585072014e-308', 'fmr=0.9999999999999999']) {
    t.equal((await post(`/verify/best?${query}`, { user: 84, ...ONE })).statusCode, 422, query)
  }
})

t.test('what is no rate, or no query of this route, is 400', async (t) => {
  for (const [query, pointer] of [
    ['fmr=0', '/querystring/fmr'],
    ['fmr=1', '/querystring/fmr'],
    ['fmr=.01', '/querystring/fmr'],
    ['fmr=-1e-2', '/querystring/fmr'],
    ['fmr=NaN', '/querystring/fmr'],
    ['fmr=', '/querystring/fmr'],
    ['top=1', '/querystring/top'],
    ['fpir=0.05', '/querystring/fpir'],
  ] as const) {
    const answer = await post(`/verify/best?${query}`, { user: 84, ...ONE })
    t.match(answer.json(), { status: 400, code: 'KSR_INVALID_REQUEST', errors: [{ pointer }] }, query)
  }
})

t.test('a user whom the model does not know is 404', async (t) => {
  for (const user of [111, 0, -1, 2 ** 60, '84', '', 'x'.repeat(5000)]) {
    const answer = await post('/verify/best', { user, ...ONE })
    t.match(answer.json(), {
      status: 404,
      code: 'KSR_USER_NOT_FOUND',
      detail: 'The model "best" does not know the user of the claim.',
      errors: [{ pointer: '/user' }],
    })
  }
})

t.test('a model that there is not is 404, and one of summaries verifies nobody', async (t) => {
  t.match((await post('/verify/knn', { user: 84, ...ONE })).json(), {
    status: 404,
    code: 'KSR_MODEL_NOT_FOUND',
  })
  for (const model of ['svm', 'rf', 'xgb']) {
    const answer = await post(`/verify/${model}`, { user: 84, ...ONE })
    t.match(answer.json(), {
      status: 422,
      code: 'KSR_NO_VERIFICATION',
      detail: `The model "${model}" verifies no claims. Those of raw keystrokes do.`,
    })
  }
})

t.test('a body that does not have the documented form is 400 and says which field', async (t) => {
  const first = ONE.keystrokes[0]
  const cases: [string, unknown, string][] = [
    ['nothing', {}, '/user'],
    ['no user', ONE, '/user'],
    ['no user of attempts', { attempts: [ONE] }, '/user'],
    ['null for a user', { user: null, ...ONE }, '/user'],
    ['true for a user', { user: true, ...ONE }, '/user'],
    ['a list of users', { user: [84], attempts: [ONE] }, '/user'],
    ['half a user', { user: 84.5, ...ONE }, '/user'],
    ['no typing', { user: 84 }, '/keystrokes'],
    ['a summary', { user: 84, ...SUMMARY }, '/keystrokes'],
    ['keystrokes and attempts', { user: 84, ...ONE, attempts: [ONE] }, '/attempts'],
    ['a model', { user: 84, Model: 'best', ...ONE }, '/Model'],
    ['no attempts', { user: 84, attempts: [] }, '/attempts'],
    ['nine attempts', { user: 84, attempts: Array(9).fill(ONE) }, '/attempts'],
    [
      'a keystroke without its release',
      { user: 84, attempts: [ONE, { keystrokes: [{ press: 0 }] }] },
      '/attempts/1/keystrokes/0/release',
    ],
    [
      'a release that is text',
      { user: 84, keystrokes: [{ ...first, release: '1' }] },
      '/keystrokes/0/release',
    ],
    ['a list for a body', [], ''],
  ]
  for (const [title, body, pointer] of cases) {
    const answer = await post('/verify/best', body)
    t.match(answer.json(), { status: 400, code: 'KSR_INVALID_REQUEST', errors: [{ pointer }] }, title)
    t.equal(answer.json().errors.length, 1, 'and of no other field')
  }
})

t.test('timings that contradict each other or the text are 422 and name the keystroke', async (t) => {
  const short = { keystrokes: ONE.keystrokes.slice(1) }
  for (const [body, pointer] of [
    [{ user: 84, ...short }, '/keystrokes/12'],
    [{ user: 84, attempts: [ONE, short] }, '/attempts/1/keystrokes/12'],
  ] as const) {
    const answer = await post('/verify/best', body)
    t.match(answer.json(), { status: 422, code: 'KSR_KEYSTROKE_COUNT', errors: [{ pointer }] })
  }
})

t.test('what is odd about a typing is a warning beside the answer', async (t) => {
  const keystrokes = Array.from({ length: 13 }, (_, i) => ({ press: 100 * i, release: 100 * i + 50 }))
  const { quality } = (await post('/verify/best', { user: 84, attempts: [ONE, { keystrokes }] })).json()
  t.ok(quality.includes('too-regular'))
})

t.test(
  'after five false claims to be a user the next is heard after a pause, whoever is right',
  async (t) => {
    const { user } = (await post('/predict/best', ONE)).json()
    const other = user === 1 ? 2 : 1
    const app = build(t)
    const claim = (user: number, model = 'best') => postTo(app)(`/verify/${model}`, { user, ...ONE })
    for (let i = 0; i < 5; i++) {
      t.match((await claim(other, RAW[i % RAW.length])).json(), { match: false })
      t.equal((await claim(user + 1000)).statusCode, 404)
    }
    const answer = await claim(other)
    t.match(answer.json(), {
      status: 429,
      code: 'KSR_CLAIMS_PAUSED',
      detail: 'The last 5 claims to be this user did not match: the next is heard after a pause.',
    })
    t.equal(answer.headers['retry-after'], '30')
    t.equal((await claim(user)).statusCode, 200, 'of others it is')
  },
)
