import { createHash } from 'node:crypto'
import t from 'tap'
import { captureLog } from '../fixtures/log.js'
import { jittered, person, times } from '../fixtures/people.js'
import { isProblem, service } from '../fixtures/texts.js'

const typing = (type: () => object[]) => ({ keystrokes: type() })
const attempts = (type: () => object[], count: number) => ({ attempts: times(count, () => typing(type)) })

t.test('who typed it is said, with candidates and the rates that it was decided by', async (t) => {
  const { app, ask, enrolled } = await service(t)
  const types = await enrolled(6)
  const answer = await ask('POST', '/login/identify?top=3&fpir=0.1', typing(types[0]))
  t.equal(answer.statusCode, 200)
  const found = answer.json()
  t.match(found, {
    ...{
      user: 'u0',
      model: 'enrolment',
      version: app.models.enrolment?.artefact.version,
      decision: 'known',
      attempts: 1,
    },
    ...{ confidence: Number, operatingPoint: { fpir: 0.1, fnir: Number, threshold: Number }, quality: [] },
    ...{ anotherAttemptHelps: Boolean, candidates: [{ user: 'u0', score: found.confidence }, {}, {}] },
  })
  t.equal(found.candidates.length, 3)
  const plain = (await ask('POST', '/login/identify', typing(types[1] as () => object[]))).json()
  t.match(plain, { user: 'u1', operatingPoint: { fpir: 0.05 } })
  t.notOk('candidates' in plain)
  t.ok(plain.operatingPoint.threshold > found.operatingPoint.threshold)
  const two = (await ask('POST', '/login/identify', attempts(types[2] as () => object[], 2))).json()
  t.match(two, { user: 'u2', attempts: 2 })
  t.equal((await ask('POST', '/login/identify', typing(person(77)))).json().decision, 'unknown')
})

t.test('of many samples each is answered, or none where one is at fault', async (t) => {
  const { ask, enrolled } = await service(t)
  const types = await enrolled(4)
  const samples = times(40, (i) => typing(types[i % 4] as () => object[]))
  const batch = (samples: object[], query = '') => ask('POST', `/login/identify/batch${query}`, { samples })
  const { predictions } = (await batch(samples, '?top=2')).json()
  t.equal(predictions.length, 40)
  t.ok(predictions.filter(({ user }: { user: string }, i: number) => user === `u${i % 4}`).length >= 38)
  t.equal(predictions[0].candidates.length, 2)
  isProblem(t, await batch([]), 400, 'KSR_INVALID_REQUEST', '/samples')
  const [first] = samples as [{ keystrokes: object[] }]
  isProblem(
    t,
    await batch([typing(types[1] as () => object[]), { keystrokes: first.keystrokes.slice(1) }]),
    422,
    'KSR_KEYSTROKE_COUNT',
    '/samples/1/keystrokes/12',
  )
  const again = typing(types[2] as () => object[])
  isProblem(t, await batch([again, again]), 409, 'KSR_REPLAYED', '/samples/1/keystrokes')
  const mended = await batch([again])
  t.match(mended.json().predictions, [{ user: 'u2', decision: 'known' }], 'what was refused was not heard')
  isProblem(t, await batch([again]), 409, 'KSR_REPLAYED', '/samples/0/keystrokes')
  isProblem(
    t,
    await batch([typing(types[3] as () => object[])], '?fpir=0.2'),
    422,
    'KSR_NO_OPERATING_POINT',
    '/querystring/fpir',
  )
})

t.test('a claim matches or does not, by the rate that is wanted', async (t) => {
  const { ask, enrolled } = await service(t)
  const [type] = await enrolled(2)
  const claim = (body: object, query = '', user = 'u0') =>
    ask('POST', `/login/verify${query}`, { user, ...body })
  const answer = await claim(typing(type))
  t.equal(answer.statusCode, 200)
  t.match(answer.json(), {
    ...{
      user: 'u0',
      model: 'enrolment',
      match: true,
      score: Number,
      threshold: Number,
      fmr: 0.01,
      fnmr: Number,
    },
    ...{ attempts: 1, anotherAttemptHelps: Boolean, quality: [] },
  })
  const strict = (await claim(typing(type), '?fmr=0.001')).json()
  t.equal(strict.fmr, 0.001)
  t.ok(strict.threshold > answer.json().threshold)
  t.match((await claim(attempts(type, 3))).json(), { match: true, attempts: 3 })
  t.match((await claim(typing(person(88)))).json(), { match: false })
  t.match((await claim(typing(type), '', 'u1')).json(), { user: 'u1', match: false })
})

t.test('what can not be asked is refused with its place', async (t) => {
  const { ask, enrolled } = await service(t, { MAX_CANDIDATES: '3' })
  const [type] = await enrolled(1)
  await ask('POST', '/login/users/ben/samples', typing(person(9)))
  const body = typing(type)
  for (const [url, payload, status, code, pointer] of [
    ['verify', { user: 'nobody', ...body }, 404, 'KSR_NOT_ENROLLED', '/user'],
    ['verify', { user: 'ben', ...body }, 409, 'KSR_NOT_READY', '/user'],
    ['verify', body, 400, 'KSR_INVALID_REQUEST', '/user'],
    ['verify', { user: 7, ...body }, 400, 'KSR_INVALID_REQUEST', '/user'],
    ['verify', { user: '-', ...body }, 400, 'KSR_INVALID_REQUEST', '/user'],
    ['verify?fmr=0.02', { user: 'u0', ...body }, 422, 'KSR_NO_OPERATING_POINT', '/querystring/fmr'],
    ['verify?fmr=2', { user: 'u0', ...body }, 400, 'KSR_INVALID_REQUEST', '/querystring/fmr'],
    ['verify', { user: 'u0', ...attempts(type, 8) }, 422, 'KSR_TOO_MANY_ATTEMPTS', '/attempts/3'],
    ['verify', { user: 'u0', keystrokes: [] }, 422, 'KSR_KEYSTROKE_COUNT', '/keystrokes/0'],
    ['identify?fpir=0.02', body, 422, 'KSR_NO_OPERATING_POINT', '/querystring/fpir'],
    ['identify?top=4', body, 400, 'KSR_INVALID_REQUEST', '/querystring/top'],
    ['identify', attempts(type, 4), 422, 'KSR_TOO_MANY_ATTEMPTS', '/attempts/3'],
    ['identify', { HT: {} }, 400, 'KSR_INVALID_REQUEST', '/keystrokes'],
  ] as const) {
    isProblem(t, await ask('POST', `/login/${url}`, payload), status, code, pointer, `${url} ${code}`)
  }
  await ask('PUT', '/empty', { keys: 13 })
  isProblem(t, await ask('POST', '/empty/identify', body), 409, 'KSR_NOBODY_ENROLLED')
})

t.test('a typing that somebody was recognised by is not taken twice', async (t) => {
  const { ask, enrolled } = await service(t)
  const [type] = await enrolled(1)
  const [claimed, asked] = [type(), type()]
  await ask('POST', '/login/verify', { user: 'u0', keystrokes: claimed })
  isProblem(
    t,
    await ask('POST', '/login/verify', { user: 'u0', keystrokes: jittered(claimed, 3) }),
    409,
    'KSR_REPLAYED',
    '/keystrokes',
  )
  isProblem(
    t,
    await ask('POST', '/login/identify', { keystrokes: claimed }),
    409,
    'KSR_REPLAYED',
    '/keystrokes',
  )
  await ask('POST', '/login/identify', { keystrokes: asked })
  isProblem(
    t,
    await ask('POST', '/login/verify', { user: 'u0', keystrokes: asked }),
    409,
    'KSR_REPLAYED',
    '/keystrokes',
  )
})

t.test('a typing that is not taken twice is named as it was sent', async (t) => {
  const { ask, enrolled } = await service(t)
  const [type] = await enrolled(1)
  const [claimed, added] = [type(), type()]
  await ask('POST', '/login/verify', { user: 'u0', keystrokes: claimed })
  await ask('POST', '/login/users/u0/samples', { keystrokes: added })
  for (const [path, keystrokes, user] of [
    ['/login/verify', claimed, { user: 'u0' }],
    ['/login/identify', claimed, {}],
    ['/login/users/u0/samples', added, {}],
  ] as const) {
    const alone = await ask('POST', path, { ...user, keystrokes })
    isProblem(t, alone, 409, 'KSR_REPLAYED', '/keystrokes')
    const attempt = await ask('POST', path, { ...user, attempts: [{ keystrokes }] })
    isProblem(t, attempt, 409, 'KSR_REPLAYED', '/attempts/0')
  }
  const batch = await ask('POST', '/login/identify/batch', {
    samples: [typing(type), { attempts: [{ keystrokes: claimed }] }],
  })
  isProblem(t, batch, 409, 'KSR_REPLAYED', '/samples/1/attempts/0')
})

t.test('after false claims in a row a user can not be claimed for a while; others can', async (t) => {
  const { ask, enrolled } = await service(t, { VERIFY_FAILURES: '3' })
  const types = await enrolled(2)
  const claim = (user: string, type: () => object[]) =>
    ask('POST', '/login/verify', { user, ...typing(type) })
  for (let i = 0; i < 3; i++) t.equal((await claim('u0', person(50 + i))).json().match, false)
  const paused = await claim('u0', types[0])
  isProblem(t, paused, 429, 'KSR_CLAIMS_PAUSED')
  t.match(paused.headers['retry-after'], /^\d+$/)
  t.equal((await claim('u1', types[1] as () => object[])).json().match, true)
})

t.test('everything that is done with typings is noted: who, whom, when and what came of it', async (t) => {
  for (const LOG_LEVEL of ['info', 'error', 'silent']) {
    const log = captureLog()
    const { ask } = await service(t, { LOG_LEVEL }, { logTo: log.logTo })
    const type = person(1)
    await ask('PUT', '/login', { keys: 13 })
    await ask('GET', '/login')
    const { added } = (await ask('POST', '/login/users/anna/samples', attempts(type, 4))).json()
    await ask('POST', '/login/verify', { user: 'anna', ...typing(type) })
    await ask('POST', '/login/verify', { user: 'anna', ...typing(person(2)) })
    await ask('POST', '/login/verify', { user: 'nobody', ...typing(type) })
    await ask('POST', '/login/identify', typing(type))
    await ask('POST', '/login/identify/batch', { samples: [typing(type), typing(person(2))] })
    const archive = (await ask('GET', '/login/templates')).json()
    await ask('POST', '/login/templates', archive)
    await ask('DELETE', `/login/users/anna/samples/${added[0]}`)
    await ask('DELETE', '/login/users/anna')
    await ask('DELETE', '/login/users/anna')
    await ask('DELETE', '/login')
    const lines = log.lines().filter(({ audit }) => audit !== undefined)
    if (LOG_LEVEL === 'silent') {
      t.same(log.lines(), [], 'unless nothing at all is')
      continue
    }
    const text = 'login'
    t.same(
      lines.map(({ audit }) => audit),
      [
        { action: 'put-text', text, outcome: 'done' },
        { action: 'enrol', text, user: 'anna', outcome: 'done' },
        { action: 'verify', text, user: 'anna', outcome: 'match' },
        { action: 'verify', text, user: 'anna', outcome: 'no match' },
        { action: 'verify', text, user: 'nobody', outcome: 'refused (404)' },
        { action: 'identify', text, user: 'anna', outcome: 'known' },
        { action: 'identify', text, user: 'anna', outcome: 'known' },
        { action: 'identify', text, user: 'anna', outcome: 'unknown' },
        { action: 'export', text, user: 'anna', outcome: 'done' },
        { action: 'import', text, user: 'anna', outcome: 'kept' },
        { action: 'delete-sample', text, user: 'anna', sample: added[0], outcome: 'done' },
        { action: 'delete-user', text, user: 'anna', outcome: 'done' },
        { action: 'delete-user', text, user: 'anna', outcome: 'refused (404)' },
        { action: 'delete-text', text, outcome: 'done' },
      ],
      LOG_LEVEL,
    )
    for (const line of lines) {
      t.same(Object.keys(line).sort(), ['audit', 'hostname', 'level', 'msg', 'pid', 'reqId', 'time'])
      t.match(line, { level: 30, msg: 'audit', time: Number, reqId: /./ })
    }
  }
})

t.test('an answer that is given again is noted as such', async (t) => {
  const log = captureLog()
  const { ask, enrolled } = await service(t, { LOG_LEVEL: 'error' }, { logTo: log.logTo })
  await enrolled(1)
  const before = log.lines().length
  const typed = attempts(person(2), 3)
  for (let i = 0; i < 2; i++)
    await ask('POST', '/login/users/anna/samples', typed, { 'idempotency-key': 'a' })
  t.same(
    log
      .lines()
      .slice(before)
      .map(({ audit }) => audit),
    ['done', 'repeated'].map((outcome) => ({ action: 'enrol', text: 'login', user: 'anna', outcome })),
  )
})

t.test('of an archive everybody is noted who was enrolled, of one that is refused, too', async (t) => {
  const log = captureLog()
  const { ask, enrolled } = await service(t, { MAX_ENROLLED: '2', LOG_LEVEL: 'error' }, { logTo: log.logTo })
  await enrolled(2)
  const two = (await ask('GET', '/login/templates')).json()
  await ask('DELETE', '/login/users/u1')
  await ask('POST', '/login/users/u2/samples', attempts(person(3), 3))
  const other = (await ask('GET', '/login/templates')).json()
  await ask('DELETE', '/login')
  await ask('PUT', '/login', { keys: 13 })
  const before = log.lines().length
  await ask('POST', '/login/templates', other)
  await ask('DELETE', '/login/users/u2')
  await ask('POST', '/login/templates', two)
  isProblem(t, await ask('POST', '/login/templates', other), 409, 'KSR_LIMIT')
  const imports = log
    .lines()
    .slice(before)
    .map(({ audit }) => audit)
  const [action, text] = ['import', 'login']
  t.same(
    imports.filter((audit) => (audit as { action: string }).action === action),
    [
      { action, text, user: 'u0', outcome: 'done' },
      { action, text, user: 'u2', outcome: 'done' },
      { action, text, user: 'u0', outcome: 'kept' },
      { action, text, user: 'u1', outcome: 'done' },
      { action, text, user: 'u0', outcome: 'kept' },
      { action, text, outcome: 'refused (409)' },
    ],
  )
})

t.test('where callers are known the audit says who it was', async (t) => {
  const log = captureLog()
  const API_KEYS = `app:${createHash('sha256').update('secret').digest('hex')}`
  const { ask } = await service(t, { LOG_LEVEL: 'error', API_KEYS }, { logTo: log.logTo })
  await ask('PUT', '/login', { keys: 13 }, { 'x-api-key': 'secret' })
  t.match(log.lines(), [{ audit: { action: 'put-text' }, caller: 'key app' }])
})
