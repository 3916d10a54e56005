import { PassThrough } from 'node:stream'
import t from 'tap'
import { build, SUMMARY } from '../fixtures/build.js'

function logged(t: { teardown(close: () => unknown): void }) {
  const stream = new PassThrough()
  const app = build(t, { LOG_LEVEL: 'trace' }, { logTo: stream })
  return {
    app,
    lines: () =>
      (stream.read() ?? '')
        .toString()
        .split('\n')
        .filter(Boolean)
        .map((line: string) => JSON.parse(line)),
  }
}

t.test('a request is one line: its route, its status, its time, its id', async (t) => {
  const { app, lines } = logged(t)
  await app.inject({ method: 'POST', url: '/predict/rf?top=1', payload: SUMMARY })
  const [line, ...more] = lines()
  t.same(more, [])
  t.match(line, {
    level: 30,
    reqId: /^[0-9a-f-]{36}$/,
    method: 'POST',
    route: '/predict/:model',
    status: 200,
    ms: Number,
  })
})

t.test('a refused request is no error of ours: its code at info', async (t) => {
  const { app, lines } = logged(t)
  await app.inject({ method: 'POST', url: '/predict/knn', payload: SUMMARY })
  t.match(lines(), [
    { level: 30, code: 'KSR_MODEL_NOT_FOUND' },
    { level: 30, status: 404 },
  ])
})

t.test('no log line and no problem holds a timing', async (t) => {
  const { app, lines } = logged(t)
  const canary = 271828.18
  const bodies = [
    JSON.stringify({ ...SUMMARY, HT: { Mean: canary, STD: -canary } }),
    JSON.stringify({
      keystrokes: [
        { press: canary, release: 0 },
        { press: 1, release: canary },
      ],
    }),
    JSON.stringify({ ...SUMMARY, HT: { Mean: canary, STD: 1 } }),
    `{"HT":{"Mean":${canary}`,
    `{"HT":{"Mean":"${canary}"}}`,
  ]
  for (const payload of bodies) {
    const headers = { 'content-type': 'application/json' }
    const { body } = await app.inject({ method: 'POST', url: `/predict/rf?top=${canary}`, headers, payload })
    t.notMatch(body, /271828/)
    t.notMatch((await app.inject({ method: 'POST', url: '/predict/rf', headers, payload })).body, /271828/)
  }
  t.notMatch(JSON.stringify(lines()), /271828/)
})

t.test('a request that breaks off is an error with its cause', async (t) => {
  const { app, lines } = logged(t)
  app.get('/broken', (_request, reply) => {
    reply.raw.destroy(new Error('socket gone'))
  })
  await t.rejects(app.inject('/broken'))
  t.match(lines(), [
    { level: 50, msg: 'request broke off', route: '/broken', err: { message: 'socket gone' } },
  ])
})

t.test('what asks for health or metrics all day is told of at debug, but for what is amiss', async (t) => {
  const { app, lines } = logged(t)
  for (const url of ['/health', '/health/live', '/health/ready', '/metrics']) await app.inject(url)
  t.same(
    lines().map(({ level, route, status }: Record<string, unknown>) => [level, route, status]),
    ['/health', '/health/live', '/health/ready', '/metrics'].map((route) => [20, route, 200]),
  )
  await app.inject('/health?canary')
  await app.inject('/healthy')
  app.isDraining = () => true
  await app.inject('/health/ready')
  t.match(lines(), [
    { level: 20, route: '/health' },
    { level: 30, code: 'KSR_ROUTE_NOT_FOUND' },
    { level: 30, status: 404 },
    { level: 30, route: '/health/ready', status: 503 },
  ])
})

t.test('a path that can not be read has its line as well', async (t) => {
  const { app, lines } = logged(t)
  await app.inject('/%zz')
  t.match(lines(), [
    { level: 30, code: 'KSR_INVALID_URL' },
    { level: 30, method: 'GET', status: 400, msg: 'request completed' },
  ])
})

t.test('every line about a request says to which trace of the caller it belongs', async (t) => {
  const { app, lines } = logged(t)
  const traceId = '0af7651916cd43dd8448eb211c80319c'
  const headers = { traceparent: `00-${traceId}-b7ad6b7169203331-00` }
  await app.inject({ method: 'POST', url: '/predict/knn', payload: SUMMARY, headers })
  t.match(lines(), [
    { traceId, code: 'KSR_MODEL_NOT_FOUND' },
    { traceId, status: 404 },
  ])
  await app.inject({ url: '/models', headers: { traceparent: 'canary' } })
  const [line] = lines()
  t.notMatch(JSON.stringify(line), /canary|traceId/)
})
