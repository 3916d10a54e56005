import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import t from 'tap'
import { BATCH_CHANNEL } from '../../src/inference/batch.js'
import type { Recogniser } from '../../src/inference/recogniser.js'
import { withoutTime } from '../fixtures/batches.js'
import { build, postTo, SUMMARY } from '../fixtures/build.js'
import { readGolden, TYPISTS } from '../fixtures/models.js'

const golden = readGolden()
type Typed = { press: number; release: number }
const KEYSTROKES = golden.keystrokes[0]?.keystrokes as Typed[]
const MODELS = ['svm', 'rf', 'xgb']
const OF_SUMMARIES = [...MODELS, 'summary']
const RAW = ['trees', 'templates', 'best']
/** What the models of raw keystrokes answer beside the user and the model. */
const RAW_FIELDS = ['decision', 'confidence', 'operatingPoint', 'attempts', 'anotherAttemptHelps', 'quality']

// Their scores would be hidden: they tell what the models were trained on.
const app = build(t, { SHOW_SCORES: 'rf,xgb' })
await app.ready()
const post = postTo(app)

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
}

for (const model of OF_SUMMARIES) {
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
  for (const model of OF_SUMMARIES) {
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
    [
      'keystrokes and attempts',
      { keystrokes: KEYSTROKES, attempts: [{ keystrokes: KEYSTROKES }] },
      '/attempts',
    ],
    ['a summary and attempts', { ...SUMMARY, attempts: [{ keystrokes: KEYSTROKES }] }, '/HT'],
    ['attempts that are no list', { attempts: { keystrokes: KEYSTROKES } }, '/attempts'],
    ['no attempts', { attempts: [] }, '/attempts'],
    ['nine attempts', { attempts: Array(9).fill({ keystrokes: [] }) }, '/attempts'],
    ['an attempt that is a list', { attempts: [KEYSTROKES] }, '/attempts/0'],
    ['an attempt that is a summary', { attempts: [{ keystrokes: [] }, SUMMARY] }, '/attempts/1/keystrokes'],
    [
      'text for a release in an attempt',
      { attempts: [{ keystrokes: KEYSTROKES }, { keystrokes: [{ ...first, release: '1' }, ...rest] }] },
      '/attempts/1/keystrokes/0/release',
    ],
    ['a claim', { user: 84, keystrokes: KEYSTROKES }, '/user'],
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
  const fused = { attempts: [{ keystrokes: KEYSTROKES }] }
  t.match((await post('/predict', fused)).json(), { errors: [{ pointer: '/Model' }] })
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

t.test('top is a whole number from 1 to MAX_CANDIDATES, written as in JSON, once', async (t) => {
  for (const query of [
    'top=0',
    'top=6',
    'top=-1',
    'top=2.5',
    'top=02',
    'top=%2B2',
    'top=2.',
    'top=1e999',
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
  const two = (await post('/predict/rf?top=2', SUMMARY)).body
  for (const query of ['top=2.0', 'top=2e0', 'top=20e-1', 'top=0.2E%2B1']) {
    t.equal((await post(`/predict/rf?${query}`, SUMMARY)).body, two, query)
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

t.test('candidates come without scores where the manifest or HIDE_SCORES says so', async (t) => {
  const hiding = build(t, { HIDE_SCORES: 'svm' })
  const candidates = async (model: string) =>
    (await hiding.inject({ method: 'POST', url: `/predict/${model}?top=1`, payload: SUMMARY })).json()
      .candidates
  t.same(await candidates('svm'), [{ user: 84 }])
  t.same(await candidates('rf'), [{ user: 84 }], 'its scores tell what it was trained on')
  const shown = (await post('/predict/rf?top=1', SUMMARY)).json()
  t.match(shown.candidates, [{ user: 84, score: Number }], 'SHOW_SCORES')
  t.match(await candidates('summary'), [{ user: Number, score: Number }])
})

for (const model of RAW) {
  t.test(
    `${model} says of raw keystrokes who it is, how surely, and whether it is anybody known`,
    async (t) => {
      const { version, decision } = app.models.card(model)
      const points = decision?.identification.points ?? []
      for (const { keystrokes } of golden.keystrokes.slice(0, 20)) {
        const answer = await post(`/predict/${model}`, { keystrokes })
        t.equal(answer.statusCode, 200)
        const { user, ...rest } = answer.json()
        t.same(Object.keys(rest), ['model', 'version', ...RAW_FIELDS])
        const point = points.find(({ attempts, fpir }) => attempts === 1 && fpir === 0.05)
        const operatingPoint = { fpir: 0.05, fnir: point?.fnir, threshold: point?.threshold }
        t.match(rest, { model, version, operatingPoint, attempts: 1, decision: /^(un)?known$/ })
        t.ok(rest.confidence > 0 && rest.confidence <= 1)
        for (const url of ['/predict', '/']) {
          const named = await post(url, { Model: model.toUpperCase(), keystrokes })
          t.same(named.json(), { prediction: user, user, ...rest }, url)
        }
      }
    },
  )

  t.test(`${model} answers keystrokes as it does the timings that Python makes of them`, async (t) => {
    const recogniser = app.models.get(model) as Recogniser
    for (const { keystrokes, timings } of golden.keystrokes) {
      const { user, confidence } = (await post(`/predict/${model}`, { keystrokes })).json()
      const direct = await recogniser.identify([Float32Array.from(timings)])
      t.equal(user, direct.user)
      t.ok(Math.abs(confidence - (direct.confidence as number)) < 1e-4)
    }
  })

  t.test(`${model} fuses attempts, in any order`, async (t) => {
    const [one, two, three] = golden.keystrokes.map(({ keystrokes }) => ({ keystrokes }))
    const ask = async (...attempts: unknown[]) => (await post(`/predict/${model}?top=5`, { attempts })).json()
    const alone = (await post(`/predict/${model}?top=5`, one)).json()
    t.same(await ask(one), alone, 'one is what keystrokes are')
    const fused = await ask(one, two)
    t.equal(fused.attempts, 2)
    const turned = await ask(two, one)
    t.equal(turned.user, fused.user)
    t.ok(Math.abs(turned.confidence - fused.confidence) < 2e-6)
    t.equal((await ask(one, two, three)).attempts, 3)
    const twice = await ask(one, one)
    t.equal(twice.user, alone.user)
    t.ok(twice.confidence >= alone.confidence)
  })

  t.test(`${model} needs raw keystrokes`, async (t) => {
    for (const [url, body] of [
      [`/predict/${model}`, SUMMARY],
      ['/', { Model: model, ...SUMMARY }],
    ] as const) {
      const answer = await post(url, body)
      const errors = [{ pointer: '/keystrokes', message: answer.json().detail }]
      t.match(answer.json(), { status: 422, code: 'KSR_NEEDS_KEYSTROKES', errors })
    }
  })
}

t.test('candidates of a model of raw keystrokes have probabilities, the user at their head', async (t) => {
  const all = build(t, { MAX_CANDIDATES: '110', SHOW_SCORES: RAW.join() })
  for (const model of RAW) {
    const request = {
      method: 'POST',
      url: `/predict/${model}?top=110`,
      payload: { keystrokes: KEYSTROKES },
    } as const
    const { user, confidence, candidates } = (await all.inject(request)).json()
    const scores = candidates.map(({ score }: { score: number }) => score)
    t.same(candidates[0], { user, score: confidence })
    t.same(
      scores,
      scores.toSorted((a: number, b: number) => b - a),
    )
    const sum = scores.reduce((sum: number, score: number) => sum + score, 0)
    t.ok(Math.abs(sum - 1) < 1e-4, `they sum to ${sum}`)
  }
})

t.test('?fpir= picks another of the published operating points', async (t) => {
  const points = app.models.card('best').decision?.identification.points ?? []
  for (const { fpir, fnir, threshold } of points.filter(({ attempts }) => attempts === 1)) {
    const answer = await post(`/predict/best?fpir=${fpir}`, { keystrokes: KEYSTROKES })
    t.same(answer.json().operatingPoint, { fpir, fnir, threshold })
  }
  const named = await post('/predict?fpir=0.1&top=1', { Model: 'Best', keystrokes: KEYSTROKES })
  t.match(named.json(), { operatingPoint: { fpir: 0.1 }, candidates: [{}] })
  t.equal((await post('/predict/best?fpir=0.10', { keystrokes: KEYSTROKES })).statusCode, 200)
})

t.test('an operating point that is not published is 422 with those that are', async (t) => {
  for (const fpir of ['0.2', '0.051', '0.5']) {
    const answer = await post(`/predict/best?fpir=${fpir}`, { keystrokes: KEYSTROKES })
    t.match(answer.json(), {
      status: 422,
      code: 'KSR_NO_OPERATING_POINT',
      detail: 'The model "best" has no operating point at this fpir. It has 0.01, 0.05, 0.1.',
      errors: [{ pointer: '/querystring/fpir' }],
    })
  }
  const none = await post('/predict/rf?fpir=0.05', SUMMARY)
  t.match(none.json(), { status: 422, code: 'KSR_NO_OPERATING_POINT', detail: /It has none/ })
})

t.test('fpir is a number between 0 and 1, written as in JSON, once', async (t) => {
  for (const query of [
    'fpir=0',
    'fpir=1',
    'fpir=5',
    'fpir=-0.05',
    'fpir=.05',
    'fpir=0.',
    'fpir=0.0',
    'fpir=00.05',
    'fpir=5e',
    'fpir=1e-400',
    'fpir=0,05',
    'fpir=0x1',
    'fpir=+0.05',
    'fpir=%200.05',
    'fpir=NaN',
    'fpir=',
    'fpir=0.05&fpir=0.1',
  ]) {
    const answer = await post(`/predict/best?${query}`, { keystrokes: KEYSTROKES })
    t.equal(answer.statusCode, 400, query)
    t.match(answer.json(), { code: 'KSR_INVALID_REQUEST', errors: [{ pointer: '/querystring/fpir' }] }, query)
  }
})

t.test('more attempts than a model has operating points for are 422, with how many it takes', async (t) => {
  const points = app.models.card('best').decision?.identification.points ?? []
  const most = Math.max(...points.map(({ attempts }) => attempts))
  const attempts = (count: number) => ({ attempts: Array(count).fill({ keystrokes: KEYSTROKES }) })
  t.match((await post('/predict/best', attempts(most))).json(), {
    attempts: most,
    anotherAttemptHelps: false,
  })
  t.match((await post('/predict/best', attempts(most + 1))).json(), {
    status: 422,
    code: 'KSR_TOO_MANY_ATTEMPTS',
    detail: `The model "best" takes up to ${most} attempts; ${most + 1} were sent.`,
    errors: [{ pointer: `/attempts/${most}` }],
  })
})

t.test('a model of summaries fuses no attempts', async (t) => {
  for (const model of OF_SUMMARIES) {
    const answer = await post(`/predict/${model}`, { attempts: [{ keystrokes: KEYSTROKES }] })
    t.match(answer.json(), {
      status: 422,
      code: 'KSR_ATTEMPTS_NOT_FUSED',
      errors: [{ pointer: '/attempts' }],
    })
  }
})

t.test('what is wrong with the timings of an attempt is 422 and names attempt and keystroke', async (t) => {
  const attempts = (keystrokes: unknown[]) => ({ attempts: [{ keystrokes: KEYSTROKES }, { keystrokes }] })
  const press = KEYSTROKES[3]?.press as number
  const cases: [unknown, string, string][] = [
    [attempts(KEYSTROKES.slice(1)), 'KSR_KEYSTROKE_COUNT', '/attempts/1/keystrokes/12'],
    [attempts([]), 'KSR_KEYSTROKE_COUNT', '/attempts/1/keystrokes/0'],
    [
      attempts(KEYSTROKES.with(3, { press, release: press - 1 })),
      'KSR_RELEASE_BEFORE_PRESS',
      '/attempts/1/keystrokes/3/release',
    ],
    [
      attempts(KEYSTROKES.with(4, { press: press - 1, release: press })),
      'KSR_PRESS_ORDER',
      '/attempts/1/keystrokes/4/press',
    ],
  ]
  for (const model of RAW) {
    for (const [body, code, pointer] of cases) {
      const answer = await post(`/predict/${model}`, body)
      t.match(answer.json(), { status: 422, code, errors: [{ pointer, message: answer.json().detail }] })
    }
  }
})

t.test('what is odd about a typing is a warning beside the answer', async (t) => {
  const zero = KEYSTROKES.with(3, { ...(KEYSTROKES[3] as Typed), release: KEYSTROKES[3]?.press as number })
  const script = Array.from({ length: 13 }, (_, i) => ({ press: 100 * i, release: 100 * i + 50 }))
  for (const model of RAW) {
    const warnings = async (body: object) => (await post(`/predict/${model}`, body)).json().quality
    t.ok((await warnings({ keystrokes: zero })).includes('impossible-hold'))
    t.same((await warnings({ keystrokes: script })).slice(0, 2), ['too-regular', 'coarse-clock'])
    const both = await warnings({ attempts: [{ keystrokes: zero }, { keystrokes: script }] })
    t.same(both.slice(0, 3), ['too-regular', 'impossible-hold', 'coarse-clock'])
    const far = script.map(({ press, release }) => ({ press: 1e9 * press, release: 1e9 * release }))
    t.ok((await warnings({ keystrokes: far })).includes('out-of-range'), 'and far out it is answered, too')
  }
})

t.test('best is served alone as well as with its members', async (t) => {
  const alone = build(t, { MODELS: 'best' })
  const request = { method: 'POST', url: '/predict/best?top=5', payload: { keystrokes: KEYSTROKES } } as const
  t.same((await alone.inject(request)).json(), (await app.inject(request)).json())
  t.equal((await alone.inject({ ...request, url: '/predict/trees' })).statusCode, 404)
})

t.test('requests of one turn to best and to its members share runs', async (t) => {
  const runs: unknown[] = []
  const note = (batch: unknown) => runs.push(withoutTime(batch))
  subscribe(BATCH_CHANNEL, note)
  t.teardown(() => unsubscribe(BATCH_CHANNEL, note))
  const payload = { attempts: [{ keystrokes: KEYSTROKES }, { keystrokes: KEYSTROKES }] }
  await Promise.all(RAW.map((model) => app.inject({ method: 'POST', url: `/predict/${model}`, payload })))
  t.same(
    (runs as { model: string }[]).sort((a, b) => a.model.localeCompare(b.model)),
    [
      { model: 'templates', rows: 4 },
      { model: 'trees', rows: 4 },
    ],
  )
})

t.test('requests of one turn share a run of their model', async (t) => {
  const runs: unknown[] = []
  const note = (batch: unknown) => runs.push(withoutTime(batch))
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
