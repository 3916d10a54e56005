import { spawnSync } from 'node:child_process'
import { tracingChannel } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { ROW_CHANNEL } from '../../src/inference/batch.js'
import { build, SUMMARY } from '../fixtures/build.js'
import { startCollector } from '../fixtures/collector.js'
import { readGolden } from '../fixtures/models.js'

const SERVER = 2
const ERROR = 2
const TRACE = '0af7651916cd43dd8448eb211c80319c'
const PARENT = 'b7ad6b7169203331'
const KEYSTROKES = readGolden().keystrokes[0]?.keystrokes
// Only what the tests say counts here.
for (const name of Object.keys(process.env)) if (name.startsWith('OTEL_')) delete process.env[name]
// The process does not end before what it sends nowhere is given up.
process.env.OTEL_EXPORTER_OTLP_TIMEOUT = '1000'
process.env.OTEL_BSP_EXPORT_TIMEOUT = '1000'

interface Test {
  teardown(close: () => unknown): void
}

async function traced(t: Test, options: Parameters<typeof build>[2] = {}) {
  const collector = await startCollector(t)
  const app = build(t, { LOG_LEVEL: 'info', OTEL_EXPORTER_OTLP_ENDPOINT: collector.url }, options)
  await app.ready()
  return { app, collector }
}

const quiet = () => ({ logTo: new PassThrough().resume() })

t.test(
  'a request is a span of its route, status and method, and what it waited for a child of it',
  async (t) => {
    const { app, collector } = await traced(t, quiet())
    await app.inject({ method: 'POST', url: '/predict/rf?top=2', payload: SUMMARY })
    await app.flushTraces()
    t.same([...collector.paths], ['POST /v1/traces application/json'])
    const [inference, request, ...more] = collector.spans()
    t.same(more, [])
    t.match(request, { name: 'POST /predict/:model', kind: SERVER, status: { code: 0 } })
    t.notOk(request?.parentSpanId)
    t.same(request?.attributes, {
      'http.request.method': 'POST',
      'http.route': '/predict/:model',
      'http.response.status_code': 200,
    })
    t.match(request?.resource, { 'service.name': 'keystroke-recognition', 'service.version': /^\d/ })
    t.match(inference, { name: 'inference', parentSpanId: request?.spanId, traceId: request?.traceId })
    t.same(inference?.attributes, { 'keystroke.model': 'rf', 'keystroke.batch.rows': 1 })
  },
)

t.test('each request of a batch has its own share of it in its own trace', async (t) => {
  const { app, collector } = await traced(t, quiet())
  const ask = () => app.inject({ method: 'POST', url: '/predict/svm', payload: SUMMARY })
  await Promise.all([ask(), ask(), ask()])
  await app.flushTraces()
  const spans = collector.spans()
  const inferences = spans.filter(({ name }) => name === 'inference')
  t.same(
    inferences.map(({ attributes }) => attributes['keystroke.batch.rows']),
    [3, 3, 3],
  )
  const requests = spans.filter(({ name }) => name !== 'inference')
  t.same(
    inferences.map(({ parentSpanId }) => parentSpanId).sort(),
    requests.map(({ spanId }) => spanId).sort(),
  )
})

t.test('a trace that the caller began goes on, in the answer and in the log', async (t) => {
  const logTo = new PassThrough()
  const { app, collector } = await traced(t, { logTo })
  const headers = { traceparent: `00-${TRACE}-${PARENT}-01` }
  const answer = await app.inject({ url: '/models', headers })
  await app.flushTraces()
  const [span] = collector.spans()
  t.match(span, { traceId: TRACE, parentSpanId: PARENT })
  t.equal(answer.headers.traceparent, `00-${TRACE}-${span?.spanId}-01`)
  const lines = logTo.read().toString()
  t.equal(lines.match(/"traceId"/g).length, 1)
  t.match(JSON.parse(lines), { traceId: TRACE, route: '/models' })
})

t.test(
  'a trace that begins here is in the answer and in the log, too, also that of a request to nowhere',
  async (t) => {
    const logTo = new PassThrough()
    const { app, collector } = await traced(t, { logTo })
    const answer = await app.inject({ url: '/nowhere?canary', headers: { traceparent: 'canary' } })
    await app.flushTraces()
    const [span, ...more] = collector.spans()
    t.same(more, [])
    t.match(span, { name: 'GET', status: { code: 0 }, attributes: { 'http.response.status_code': 404 } })
    t.equal(answer.headers.traceparent, `00-${span?.traceId}-${span?.spanId}-01`)
    const lines = logTo.read().toString()
    t.equal(lines.match(new RegExp(`"traceId":"${span?.traceId}"`, 'g')).length, 2)
    t.notMatch(lines + collector.sent(), /canary/)
  },
)

t.test('one that the caller does not want to have kept is kept nowhere', async (t) => {
  const { app, collector } = await traced(t, quiet())
  const headers = { traceparent: `00-${TRACE}-${PARENT}-00` }
  const answer = await app.inject({ method: 'POST', url: '/predict/rf', payload: SUMMARY, headers })
  t.match(answer.headers.traceparent, new RegExp(`^00-${TRACE}-[0-9a-f]{16}-00$`))
  await app.flushTraces()
  t.same(collector.spans(), [])
})

t.test('health and metrics are asked for without end, and not traced', async (t) => {
  const { app, collector } = await traced(t, quiet())
  for (const url of ['/health', '/health/ready', '/health/live', '/metrics']) {
    t.equal((await app.inject(url)).headers.traceparent, undefined)
  }
  await app.flushTraces()
  t.same(collector.spans(), [])
})

t.test(
  'nothing that was sent is in a span: neither path, query, user, body nor what an error says of it',
  async (t) => {
    const { app, collector } = await traced(t, quiet())
    const canary = '271828'
    const headers = {
      'content-type': 'application/json',
      'user-agent': canary,
      baggage: `user=${canary}`,
      traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`,
      tracestate: `user=${canary}`,
    }
    for (const [url, payload] of [
      [`/predict/rf?top=${canary}`, SUMMARY],
      [`/predict/${canary}`, SUMMARY],
      [`/verify/best?fmr=0.${canary}`, { user: Number(canary), keystrokes: KEYSTROKES }],
      ['/verify/best', { user: Number(canary), keystrokes: KEYSTROKES }],
      ['/predict/rf', `{"HT":{"Mean":${canary}`],
      ['/predict/rf', `{"HT":{"Mean":"${canary}"}}`],
      ['/predict/rf', { keystrokes: [{ press: Number(canary), release: 0 }] }],
      [`/${canary}`, SUMMARY],
    ] as const) {
      const answer = await app.inject({ method: 'POST', url, headers, payload: payload as object })
      t.ok(answer.statusCode >= 400, url)
    }
    await app.flushTraces()
    t.equal(collector.spans().filter(({ name }) => name.startsWith('POST')).length, 8)
    t.notMatch(collector.sent(), new RegExp(canary))
    for (const { status, events } of collector.spans()) t.same([status, events], [{ code: 0 }, []])
  },
)

t.test('what fails here is an error, without what it says', async (t) => {
  const collector = await startCollector(t)
  const app = build(t, { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url })
  app.register(async (app) => {
    app.get('/fails', () => {
      throw new Error('a canary')
    })
    const row = { model: 'rf', rows: 1 }
    const run = () => Promise.reject(new Error('a canary'))
    app.get('/row', () => tracingChannel(ROW_CHANNEL).tracePromise(run, row))
    app.get('/refuses', (_request, reply) => reply.code(500).send('a canary'))
  })
  for (const url of ['/fails', '/refuses', '/row']) await app.inject(url)
  await app.flushTraces()
  for (const { status, events } of collector.spans()) t.same([status, events], [{ code: ERROR }, []])
  t.equal(collector.spans().length, 4)
  t.notMatch(collector.sent(), /canary/)
})

t.test('the names and the sampling are those of the environment', async (t) => {
  process.env.OTEL_SERVICE_NAME = 'typing'
  process.env.OTEL_RESOURCE_ATTRIBUTES = 'deployment.environment.name=test'
  t.teardown(() => {
    for (const name of ['SERVICE_NAME', 'RESOURCE_ATTRIBUTES', 'TRACES_SAMPLER'])
      delete process.env[`OTEL_${name}`]
  })
  const { app, collector } = await traced(t, quiet())
  await app.inject('/')
  await app.close()
  t.match(collector.spans()[0]?.resource, { 'service.name': 'typing', 'deployment.environment.name': 'test' })

  process.env.OTEL_TRACES_SAMPLER = 'always_off'
  const { app: untraced, collector: unasked } = await traced(t, quiet())
  t.match((await untraced.inject('/')).headers.traceparent, /-00$/)
  await untraced.close()
  t.same(unasked.spans(), [])
})

t.test('what is left is sent when the service closes', async (t) => {
  const { app, collector } = await traced(t, quiet())
  await app.inject('/')
  t.same(collector.spans(), [])
  await app.close()
  t.match(collector.spans(), [{ name: 'GET /' }])
})

t.test('a collector that does not answer delays and fails nothing, and is told of once', async (t) => {
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    sockets.push(socket.on('error', () => {}))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const { port } = server.address() as { port: number }
  const logTo = new PassThrough()
  const settings = { LOG_LEVEL: 'info', OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` }
  process.env.OTEL_EXPORTER_OTLP_TIMEOUT = '6000'
  const app = build(t, settings, { logTo })
  await app.ready()
  process.env.OTEL_EXPORTER_OTLP_TIMEOUT = '1000'
  const times: number[] = []
  for (let i = 0; i < 4; i++) {
    const begun = performance.now()
    t.equal((await app.inject('/')).statusCode, 200)
    await app.flushTraces()
    times.push(performance.now() - begun)
  }
  t.ok((times[0] as number) < 3000, `${times}`)
  for (const ms of times.slice(1)) t.ok(ms < 230, `${times}`)
  t.equal(
    logTo
      .read()
      .toString()
      .match(/"level":40.*traces can not be sent/g).length,
    1,
  )
  const begun = performance.now()
  await app.close()
  t.ok(performance.now() - begun < 4000)
})

t.test('a collector that is back is told of, too', async (t) => {
  const collector = await startCollector(t)
  const logTo = new PassThrough()
  const app = build(t, { LOG_LEVEL: 'info', OTEL_EXPORTER_OTLP_ENDPOINT: collector.url }, { logTo })
  let logged = ''
  logTo.on('data', (lines) => {
    logged += lines
  })
  collector.refuse = true
  await app.inject('/')
  await app.flushTraces()
  collector.refuse = false
  for (let i = 0; i < 100 && !logged.includes('traces are sent again'); i++) {
    await app.inject('/')
    await app.flushTraces()
    await wait(20)
  }
  const messages = logged.match(/"msg":"traces[^"]*"/g)
  t.same(messages, ['"msg":"traces can not be sent"', '"msg":"traces are sent again"'])
})

t.test('without a collector nothing of OpenTelemetry is loaded', async (t) => {
  const app = JSON.stringify(new URL('../../src/app.ts', import.meta.url))
  const config = JSON.stringify(new URL('../../src/config.ts', import.meta.url))
  const script = `
    const { buildApp } = await import(${app})
    const { loadConfig } = await import(${config})
    const app = buildApp(loadConfig({ ...process.env, LOG_LEVEL: 'silent' }))
    await app.inject('/')
    await app.inject('/metrics')
    const loaded = Object.keys((await import('node:module')).Module._cache)
    console.log(loaded.filter((path) => /@opentelemetry|@fastify.otel/.test(path)).length)
    process.exit()
  `
  const loaded = (settings: NodeJS.ProcessEnv) => {
    const flags = [...process.execArgv, '--input-type=module', '--eval', script]
    const env = { ...process.env, ...settings }
    return Number(spawnSync(process.execPath, flags, { encoding: 'utf8', env, cwd: ROOT }).stdout)
  }
  t.equal(loaded({}), 0)
  t.ok(loaded({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' }) > 50)
})

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
