import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import { createInterface } from 'node:readline'
import { setTimeout as wait } from 'node:timers/promises'
import Fastify from 'fastify'
import t from 'tap'
import { buildApp } from '../../src/app.js'
import { loadConfig } from '../../src/config.js'
import { AJV } from '../../src/plugins/compilers.js'
import { problems } from '../../src/plugins/problems.js'
import { stream } from '../../src/routes/stream.js'
import { shared } from '../../src/schemas/shared.js'
import { build, postTo, SUMMARY } from '../fixtures/build.js'
import { captureLog } from '../fixtures/log.js'
import { MODELS, readGolden } from '../fixtures/models.js'

const NDJSON = 'application/x-ndjson'
const TYPINGS = readGolden(MODELS).keystrokes.map(({ keystrokes }) => ({ keystrokes }))
const [first] = TYPINGS as [object]
const app = build(t)
const post = postTo(app)
const line = (sample: unknown) => `${JSON.stringify(sample)}\n`

const send = (url: string, payload: string | Buffer, headers = {}) =>
  app.inject({ method: 'POST', url, headers: { 'content-type': NDJSON, ...headers }, payload })

t.test('every line is answered in its order, each as alone', async (t) => {
  const samples = Array.from({ length: 100 }, (_, i) => TYPINGS[i % TYPINGS.length])
  for (const query of ['', '?top=3&fpir=0.1']) {
    const alone = await Promise.all(samples.map((sample) => post(`/predict/best${query}`, sample)))
    const answer = await send(`/predict/best/stream${query}`, samples.map(line).join(''))
    t.equal(answer.statusCode, 200)
    t.equal(answer.headers['content-type'], NDJSON)
    t.equal(answer.body, alone.map(({ body }) => `${body}\n`).join(''))
  }
  t.equal((await send('/predict/best/stream', '\n \r\n')).body, '')
})

t.test('a line at fault is answered with its problem, the others as ever', async (t) => {
  const { logTo, text } = captureLog()
  const app = build(t, { BODY_LIMIT: '2048', LOG_LEVEL: 'info' }, { logTo })
  const tooLong = JSON.stringify({ keystrokes: Array(100).fill({ press: 0, release: 1 }) })
  const lines = [
    JSON.stringify(SUMMARY),
    '{"keystrokes":[{"press":"0","release":1}]}',
    '{"keystrokes":',
    '{"__proto__":{}}',
    Buffer.from('"\xff"', 'latin1'),
    '{"keystrokes":[]}',
    tooLong,
    'null',
    JSON.stringify(SUMMARY),
  ]
  const answer = await app.inject({
    method: 'POST',
    url: '/predict/rf/stream',
    headers: { 'content-type': NDJSON },
    payload: Buffer.concat(lines.flatMap((line) => [Buffer.from(line), Buffer.from('\n')])),
  })
  const [good, text0, cut, proto, bytes, none, long, nothing, last] = answer.body
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  t.match(good, { user: 84 })
  const instance = answer.headers['x-request-id']
  t.match(text0, {
    ...{ status: 400, code: 'KSR_INVALID_REQUEST', instance },
    errors: [{ pointer: '/keystrokes/0/press', message: 'must be number' }],
  })
  t.match(cut, { status: 400, code: 'KSR_INVALID_JSON' })
  t.match(proto, { status: 400, code: 'KSR_INVALID_JSON' })
  t.match(bytes, { status: 400, code: 'KSR_INVALID_JSON' })
  t.match(none, { status: 422, code: 'KSR_KEYSTROKE_COUNT', errors: [{ pointer: '/keystrokes/0' }] })
  t.match(long, { status: 413, code: 'KSR_BODY_TOO_LARGE', detail: /2048/ })
  t.match(nothing, { status: 400, code: 'KSR_INVALID_REQUEST', errors: [{ pointer: '' }] })
  t.same(last, good)
  t.match(text(), /"code":"KSR_KEYSTROKE_COUNT","msg":"request refused"/)
})

t.test('what is wrong with the request is answered as elsewhere', async (t) => {
  for (const [url, headers, status, code] of [
    ['/predict/nobody/stream', {}, 404, 'KSR_MODEL_NOT_FOUND'],
    ['/predict/rf/stream?top=x', {}, 400, 'KSR_INVALID_REQUEST'],
    ['/predict/rf/stream', { accept: 'application/json' }, 406, 'KSR_NOT_ACCEPTABLE'],
    ['/predict/rf/stream', { 'content-type': 'application/json' }, 415, 'KSR_UNSUPPORTED_MEDIA_TYPE'],
    ['/predict/rf/stream', { 'content-type': `${NDJSON};charset=x` }, 415, 'KSR_UNSUPPORTED_ENCODING'],
    ['/predict/rf/stream', { 'content-type': `${NDJSON};=` }, 415, 'KSR_UNSUPPORTED_MEDIA_TYPE'],
    ['/predict/rf/stream', { 'content-encoding': 'gzip' }, 415, 'KSR_UNSUPPORTED_ENCODING'],
  ] as const) {
    const answer = await send(url, line(SUMMARY), headers)
    t.match(answer.json(), { status, code })
    if (code === 'KSR_UNSUPPORTED_MEDIA_TYPE') t.match(answer.json().detail, NDJSON)
  }
  const nothing = await app.inject({ method: 'POST', url: '/predict/rf/stream' })
  t.match(nothing.json(), { status: 400, code: 'KSR_INVALID_REQUEST', errors: [{ pointer: '' }] })
  t.equal((await send('/predict/rf/stream', line(SUMMARY), { accept: NDJSON })).statusCode, 200)
})

/** A stream that is sent and read as it goes. */
async function open(app: ReturnType<typeof buildApp>, url: string) {
  const { port } = app.server.address() as { port: number }
  const sent = request({
    host: '127.0.0.1',
    port,
    method: 'POST',
    path: url,
    headers: { 'content-type': NDJSON },
  })
  sent.on('error', () => {})
  const answered = new Promise<IncomingMessage>((resolve) => sent.on('response', resolve))
  let lines: AsyncIterator<string> | undefined
  async function next() {
    lines ??= createInterface({ input: await answered })[Symbol.asyncIterator]()
    return JSON.parse((await lines.next()).value)
  }
  return { sent, answered, next }
}

t.test('answers come while the lines do, and for longer than any one request may take', async (t) => {
  const app = build(t)
  await app.listen({ port: 0 })
  // Node swaps the two where headers may take longer.
  app.server.headersTimeout = 100
  app.server.requestTimeout = 200
  const { sent, next } = await open(app, '/predict/best/stream')
  for (let i = 0; i < 4; i++) {
    sent.write(line(first))
    t.match(await next(), { model: 'best' })
    // Node looks once a second for requests that take too long.
    await wait(700)
  }
  sent.end(line(SUMMARY))
  t.match(await next(), { code: 'KSR_NEEDS_KEYSTROKES' })
})

t.test('more is read only when the answers are taken', async (t) => {
  const app = build(t)
  await app.listen({ port: 0 })
  const { sent, answered } = await open(app, '/predict/best/stream')
  const chunk = line(first).repeat(50)
  sent.write(chunk)
  const response = await answered
  response.pause()
  const before = process.memoryUsage().rss
  let written = 0
  // What is neither read nor in the buffers of the system stays with its sender.
  for (; written < 1000 && (await flows(sent, chunk)); written++);
  t.ok(written < 1000, 'the sender has to wait')
  t.ok(process.memoryUsage().rss - before < 200e6)
  sent.end()
  let lines = 0
  for await (const _ of createInterface({ input: response })) lines++
  t.equal(lines, (written + 2) * 50)
})

/** Whether what is written leaves for the other side before long. */
async function flows(sent: ClientRequest, chunk: string): Promise<boolean> {
  if (sent.write(chunk)) return true
  return Promise.race([
    new Promise<true>((resolve) => sent.once('drain', () => resolve(true))),
    wait(2000, false),
  ])
}

t.test('whoever hangs up in the middle is no failure', async (t) => {
  const { logTo, text } = captureLog()
  const app = buildApp(loadConfig({ LOG_LEVEL: 'info' }), { logTo })
  t.teardown(() => app.close())
  await app.listen({ port: 0 })
  const { sent, next } = await open(app, '/predict/best/stream')
  sent.write(line(first))
  await next()
  sent.destroy()
  while (!/request given up/.test(text())) await wait(20)
  t.notMatch(text(), /"level":[456]0/)
})

t.test('a line that comes byte by byte ends the stream', async (t) => {
  const app = Fastify({ ajv: AJV })
  t.teardown(() => app.close())
  app.decorate('models', { get: () => ({}) } as never)
  app.decorate('metrics', { refused() {} } as never)
  app.decorate('charge', async () => {})
  for (const schema of shared) app.addSchema(schema)
  app.register(problems)
  app.register(stream, { maxCandidates: 5, bodyLimit: 1000, lineWithinMs: 50 })
  await app.listen({ port: 0 })
  const { sent, next, answered } = await open(app as never, '/predict/best/stream')
  const closed = new Promise((resolve) => sent.on('close', resolve))
  sent.write('1\n')
  await next()
  const slow = setInterval(() => sent.write(' '), 30)
  t.teardown(() => clearInterval(slow))
  t.match(await next(), { status: 408, code: 'KSR_REQUEST_TIMEOUT' })
  for await (const _ of await answered);
  await closed
})
