import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import t from 'tap'
import { BATCH_CHANNEL } from '../../src/inference/batch.js'
import { build, SUMMARY } from '../fixtures/build.js'
import { readGolden, TYPISTS } from '../fixtures/models.js'

const golden = readGolden()
const KEYSTROKES = golden.keystrokes[0]?.keystrokes as { press: number; release: number }[]
const MODELS = ['svm', 'rf', 'xgb']

const app = build(t)
await app.ready()
const post = (url: string, payload: unknown) =>
  app.inject({
    method: 'POST',
    url,
    headers: { 'content-type': 'application/json' },
    payload: typeof payload === 'string' ? payload : JSON.stringify(payload),
  })

for (const model of MODELS) {
  t.test(`the sample request is user 84 by ${model}, at every route`, async (t) => {
    const { version } = app.models.card(model)
    const answer = await post(`/predict/${model}`, SUMMARY)
    t.equal(answer.statusCode, 200)
    t.equal(answer.headers['content-type'], 'application/json; charset=utf-8')
    t.same(answer.json(), { user: 84, model, version })
    for (const url of ['/predict', '/']) {
      for (const name of [model, model.toUpperCase()]) {
        const named = await post(url, { Model: name, ...SUMMARY })
        t.same(
          [named.statusCode, named.json()],
          [200, { prediction: 84, user: 84, model, version }],
          `${url} ${name}`,
        )
      }
    }
  })

  t.test(`raw keystrokes and the summary they make get the same answer from ${model}`, async (t) => {
    for (const { keystrokes, features } of golden.keystrokes) {
      const [HT, PPT, RRT, RPT] = [0, 2, 4, 6].map((i) => ({ Mean: features[i], STD: features[i + 1] }))
      const raw = await post(`/predict/${model}?top=5`, { keystrokes })
      t.equal(raw.statusCode, 200)
      t.same(raw.json(), (await post(`/predict/${model}?top=5`, { HT, PPT, RRT, RPT })).json())
    }
  })
}

t.test('a typing with raw keystrokes is answered at the routes with a model inside, too', async (t) => {
  const { user } = (await post('/predict/rf', { keystrokes: KEYSTROKES })).json()
  t.match((await post('/predict', { Model: 'Rf', keystrokes: KEYSTROKES })).json(), {
    prediction: user,
    user,
  })
})

t.test('?top=k adds the best k candidates, best first, the user at their head', async (t) => {
  for (const model of MODELS) {
    const { user, candidates } = (await post(`/predict/${model}?top=5`, SUMMARY)).json()
    t.equal(candidates.length, 5)
    t.equal(candidates[0].user, user)
    const rest = candidates.slice(1).map(({ score }: { score: number }) => score)
    t.same(
      rest,
      rest.toSorted((a: number, b: number) => b - a),
    )
  }
  const named = (await post('/predict?top=1', { Model: 'xgb', ...SUMMARY })).json()
  t.match(named, { prediction: 84, candidates: [{ user: 84, score: Number }] })
})

t.test('negative latencies, as overlapping keys make them, are taken', async (t) => {
  const rollover = { ...SUMMARY, RPT: { Mean: -20.5, STD: 31 }, RRT: { Mean: -1, STD: 3 } }
  t.equal((await post('/predict/svm', rollover)).statusCode, 200)
})

t.test('a body that does not have the documented form is 400 and says which field', async (t) => {
  const { HT, PPT, RRT, RPT } = SUMMARY
  const first = KEYSTROKES[0] as { press: number; release: number }
  const rest = KEYSTROKES.slice(1)
  const cases: [string, unknown, string, string?][] = [
    ['text for a number', { HT: { ...HT, Mean: '48.43' }, PPT, RRT, RPT }, '/HT/Mean'],
    ['hexadecimal text', { HT: { ...HT, Mean: '0x10' }, PPT, RRT, RPT }, '/HT/Mean'],
    ['empty text', { HT, PPT: { ...PPT, STD: '' }, RRT, RPT }, '/PPT/STD'],
    ['null', { HT, PPT, RRT, RPT: { ...RPT, STD: null } }, '/RPT/STD'],
    ['true', { HT, PPT, RRT: { ...RRT, Mean: true }, RPT }, '/RRT/Mean'],
    ['a list', { HT: { ...HT, Mean: [48] }, PPT, RRT, RPT }, '/HT/Mean'],
    ['more than float32 holds', { HT, PPT: { ...PPT, Mean: 1e39 }, RRT, RPT }, '/PPT/Mean'],
    ['less than float32 holds', { HT, PPT, RRT, RPT: { ...RPT, Mean: -1e39 } }, '/RPT/Mean'],
    ['a negative deviation', { HT, PPT, RRT: { ...RRT, STD: -0.1 }, RPT }, '/RRT/STD'],
    ['a negative mean hold', { HT: { ...HT, Mean: -1 }, PPT, RRT, RPT }, '/HT/Mean'],
    ['a missing number', { HT: { Mean: 1 }, PPT, RRT, RPT }, '/HT/STD'],
    ['a missing kind of time', { HT, PPT, RRT }, '/RPT'],
    ['an unknown property', { ...SUMMARY, ht: HT }, '/ht'],
    ['an unknown inner property', { ...SUMMARY, HT: { ...HT, 'a/~b': 1 } }, '/HT/a~1~0b'],
    ['a model in the body of the route that names one', { ...SUMMARY, Model: 'SVM' }, '/Model'],
    ['a summary and keystrokes', { ...SUMMARY, keystrokes: KEYSTROKES }, '/HT'],
    ['keystrokes that are no list', { keystrokes: {} }, '/keystrokes'],
    ['a keystroke without its release', { keystrokes: [{ press: 0 }, ...rest] }, '/keystrokes/0/release'],
    ['text for a press', { keystrokes: [{ ...first, press: '0' }, ...rest] }, '/keystrokes/0/press'],
    ['a key name', { keystrokes: [{ ...first, key: 'a' }, ...rest] }, '/keystrokes/0/key'],
    [
      'a time past 2^53',
      { keystrokes: [first, { press: 2, release: 2 ** 53 }, ...rest] },
      '/keystrokes/1/release',
    ],
    ['nothing', {}, '/HT'],
    ['a list for a body', [], ''],
    ['null for a body', null, ''],
    ['an overflowing number', JSON.stringify(SUMMARY).replace('48.43', '1e999'), '/HT/Mean'],
  ]
  for (const [title, body, pointer] of cases) {
    const answer = await post('/predict/rf', body)
    t.equal(answer.statusCode, 400, title)
    t.equal(answer.headers['content-type'], 'application/problem+json; charset=utf-8')
    t.match(answer.json(), { code: 'KSR_INVALID_REQUEST', errors: [{ pointer, message: /./ }] }, title)
    t.equal(answer.json().errors.length, 1, 'and of no other field')
  }
})

t.test('a body that is not JSON, or that poisons a prototype, is 400', async (t) => {
  for (const body of [
    '{',
    'NaN',
    '{"HT":{"Mean":NaN}}',
    '',
    '{"__proto__":{}}',
    '{"constructor":{"prototype":{}}}',
  ]) {
    const answer = await post('/predict/rf', body)
    t.equal(answer.statusCode, 400, body)
    t.equal(answer.json().code, 'KSR_INVALID_JSON', body)
    t.equal(answer.json().detail, 'The body is not valid JSON.')
  }
})

t.test('the routes with a model inside want one', async (t) => {
  t.match((await post('/predict', SUMMARY)).json(), {
    code: 'KSR_INVALID_REQUEST',
    errors: [{ pointer: '/Model' }],
  })
  t.match((await post('/', { Model: 5, ...SUMMARY })).json(), { errors: [{ pointer: '/Model' }] })
  const raw = { Model: 'rf', keystrokes: [{ press: 0 }, { press: 1, release: 2 }] }
  t.match((await post('/predict', raw)).json(), { errors: [{ pointer: '/keystrokes/0/release' }] })
})

t.test('timings that contradict each other or the text are 422 and name the keystroke', async (t) => {
  const spoilt = (i: number, change: object) => ({
    keystrokes: KEYSTROKES.map((key, k) => (k === i ? { ...key, ...change } : key)),
  })
  const press = KEYSTROKES[4]?.press as number
  const cases: [unknown, string, string][] = [
    [{ keystrokes: KEYSTROKES.slice(1) }, 'KSR_KEYSTROKE_COUNT', '/keystrokes/12'],
    [{ keystrokes: [] }, 'KSR_KEYSTROKE_COUNT', '/keystrokes/0'],
    [{ keystrokes: KEYSTROKES.slice(0, 1) }, 'KSR_KEYSTROKE_COUNT', '/keystrokes/1'],
    [{ keystrokes: Array(1100).fill({ press: 0, release: 1 }) }, 'KSR_KEYSTROKE_COUNT', '/keystrokes/13'],
    [spoilt(4, { release: press - 0.1 }), 'KSR_RELEASE_BEFORE_PRESS', '/keystrokes/4/release'],
    [spoilt(5, { press: press - 0.1 }), 'KSR_PRESS_ORDER', '/keystrokes/5/press'],
  ]
  for (const model of MODELS) {
    for (const [body, code, pointer] of cases) {
      const answer = await post(`/predict/${model}`, body)
      t.equal(answer.statusCode, 422)
      t.match(answer.json(), {
        title: 'Unprocessable Entity',
        code,
        errors: [{ pointer, message: answer.json().detail }],
      })
    }
  }
})

t.test('a model that there is not is 404', async (t) => {
  for (const [url, body] of [
    ['/predict/knn', SUMMARY],
    ['/predict/__proto__', SUMMARY],
    ['/predict', { Model: 'KNN', ...SUMMARY }],
  ] as const) {
    const answer = await post(url, body)
    t.equal(answer.statusCode, 404)
    t.match(answer.json(), { code: 'KSR_MODEL_NOT_FOUND', detail: /GET \/models lists/ })
  }
})

t.test('top is a whole number from 1 to MAX_CANDIDATES, written plainly, once', async (t) => {
  for (const query of [
    'top=0',
    'top=6',
    'top=-1',
    'top=2.5',
    'top=five',
    'top=',
    'top=0x2',
    'top=%202',
    'top=1&top=2',
  ]) {
    const answer = await post(`/predict/rf?${query}`, SUMMARY)
    t.equal(answer.statusCode, 400, query)
    t.match(answer.json(), { code: 'KSR_INVALID_REQUEST', errors: [{ pointer: '/querystring/top' }] }, query)
  }
  const unknown = await post('/predict/rf?tpo=5', SUMMARY)
  t.match(unknown.json(), { status: 400, errors: [{ pointer: '/querystring/tpo' }] })
})

t.test('MAX_CANDIDATES moves the limit, and 0 turns candidates off', async (t) => {
  const request = { method: 'POST', payload: SUMMARY } as const
  const many = build(t, { MAX_CANDIDATES: '110' })
  t.equal((await many.inject({ ...request, url: '/predict/rf?top=110' })).json().candidates.length, 110)
  const none = build(t, { MAX_CANDIDATES: '0' })
  t.match((await none.inject({ ...request, url: '/predict/rf?top=1' })).json(), {
    status: 400,
    errors: [{ pointer: '/querystring/top' }],
  })
  t.equal((await none.inject({ ...request, url: '/predict/rf' })).json().user, 84)
})

t.test('HIDE_SCORES answers candidates of that model without scores', async (t) => {
  const hiding = build(t, { HIDE_SCORES: 'rf' })
  const candidates = async (model: string) =>
    (await hiding.inject({ method: 'POST', url: `/predict/${model}?top=1`, payload: SUMMARY })).json()
      .candidates
  t.same(await candidates('rf'), [{ user: 84 }])
  t.match(await candidates('xgb'), [{ user: 84, score: Number }])
})

t.test('requests of one turn share a run of their model', async (t) => {
  const runs: unknown[] = []
  const note = (batch: unknown) => runs.push(batch)
  subscribe(BATCH_CHANNEL, note)
  t.teardown(() => unsubscribe(BATCH_CHANNEL, note))
  const ask = () => app.inject({ method: 'POST', url: '/predict/rf', payload: SUMMARY })
  await Promise.all(Array.from({ length: 5 }, ask))
  t.same(runs, [{ model: 'rf', rows: 5 }])
})

t.test('requests at the same time each get their own answer', async (t) => {
  const rows = golden.rows.slice(0, 60)
  const answers = await Promise.all(
    rows.map(([a, b, c, d, e, f, g, h]) =>
      post('/predict/rf', {
        HT: { Mean: a, STD: b },
        PPT: { Mean: c, STD: d },
        RRT: { Mean: e, STD: f },
        RPT: { Mean: g, STD: h },
      }),
    ),
  )
  t.same(
    answers.map((answer) => answer.json().user),
    golden.models.rf?.labels.slice(0, 60),
  )
})

t.test("one's own models are served as well: text for ids, another number of keys", async (t) => {
  const own = build(t, { MODEL_DIR: TYPISTS })
  const { keystrokes } = readGolden(TYPISTS)
  t.equal(keystrokes[0]?.keystrokes.length, 5)
  const ask = (payload: object) => own.inject({ method: 'POST', url: '/predict/svm?top=3', payload })
  for (const { keystrokes: typing } of keystrokes) {
    const { user, candidates } = (await ask({ keystrokes: typing })).json()
    t.ok(['007', 'ann', 'zoë'].includes(user), user)
    t.same(candidates.map((candidate: { user: string }) => candidate.user).sort(), ['007', 'ann', 'zoë'])
  }
  t.match((await ask({ keystrokes: KEYSTROKES })).json(), { status: 422, detail: /The text has 5 keys; 13/ })
})
