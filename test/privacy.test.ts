import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { EnrolBody } from '../src/schemas/enrolment.js'
import { build } from './fixtures/build.js'
import { CANARY_SUMMARY, CANARY_USERS, canariesIn, canaryKeystrokes, MARK } from './fixtures/canary.js'
import { startCollector } from './fixtures/collector.js'
import { EVENTS, withBody, withMethod, withPath } from './fixtures/events.js'
import { captureLog } from './fixtures/log.js'
import { start } from './fixtures/server.js'
import { failingModels } from './fixtures/tiny.js'

const LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']

type App = ReturnType<typeof build>

/** How long and how large things were is any number. */
const MEASURED = /^(\w+_(?:seconds|bytes)\w*(?:\{.*\})?) \S+$/gm
/** What says something about requests beside the log and the answers to them: looked at after them. */
const sinks: ((app: App) => string | Promise<string>)[] = [
  async (app) => (await app.inject('/metrics')).body.replace(MEASURED, '$1'),
]

const ENROLMENT = EnrolBody['x-examples'].attempts.value

interface Request {
  method: string
  url: string
  headers?: Record<string, string>
  payload?: string
}

/** What a route takes, by keys of the text: good ones, and such as have a meaning that is none. A new one belongs here. */
const BODIES: Record<string, (keys: number) => object[]> = {
  'POST /predict/:model': (keys) => samples(keys),
  'POST /predict': (keys) => samples(keys).map((sample) => ({ Model: 'best', ...sample })),
  'POST /': (keys) => samples(keys).map((sample) => ({ Model: 'RF', ...sample })),
  'POST /predict/:model/batch': (keys) => [
    ...samples(keys).map((sample) => ({ samples: [sample] })),
    { samples: samples(keys) },
  ],
  // A line each, and all of them as one stream.
  'POST /predict/:model/stream': samples,
  'POST /v2/models/:model/infer': tensors,
  'POST /v2/models/:model/versions/:version/infer': tensors,
  'POST /verify/:model': (keys) =>
    samples(keys).flatMap((sample) => [84, ...CANARY_USERS].map((user) => ({ user, ...sample }))),
  'PUT /texts/:text': (keys) => [{ keys }, { keys, prior: 'general' }, { keys: 271828 }],
  'POST /texts/:text/users/:user/samples': samples,
  'POST /texts/:text/identify': samples,
  'POST /texts/:text/identify/batch': (keys) => [
    ...samples(keys).map((sample) => ({ samples: [sample] })),
    { samples: samples(keys) },
  ],
  'POST /texts/:text/verify': (keys) =>
    samples(keys).flatMap((sample) => ['anna', `${MARK}-user`].map((user) => ({ user, ...sample }))),
  'POST /texts/:text/templates': (keys) => [
    { format: 1, keys, users: [{ user: MARK, sealed: 'AAAA' }], sha256: '0'.repeat(64) },
  ],
}

/** Who is enrolled before, and what fits nothing that is there. */
function enrolments(keys: number): Request[] {
  const good = { keystrokes: canaryKeystrokes(keys) }
  const send = (method: string, url: string, body?: object, headers = {}): Request => ({
    ...{ method, url: `/texts/${url}`, headers: { ...(body ? JSON_TYPE : HEADERS), ...headers } },
    ...(body && { payload: JSON.stringify(body) }),
  })
  return [
    send('PUT', 'motto', { keys }),
    send('POST', 'motto/users/anna/samples', ENROLMENT),
    send('PUT', 'motto', { keys: keys + 1 }),
    send('PUT', `${MARK}-short`, { keys: 2, prior: 'shipped' }),
    send('PUT', MARK, { keys }),
    send('PUT', `${MARK}-more`, { keys }),
    send('PUT', MARK, { keys }, { 'if-match': `"${MARK}"` }),
    send('PUT', MARK, { keys }, { 'idempotency-key': MARK }),
    send('PUT', MARK, { keys: keys + 1 }, { 'idempotency-key': MARK }),
    send('POST', `${MARK}/identify`, good),
    send('POST', `${MARK}/users/${MARK}/samples`, good),
    send('POST', `${MARK}/verify`, { user: MARK, ...good }),
    send('DELETE', `motto/users/anna/samples/00000000-0000-4000-8000-000000000000`),
  ]
}

function samples(keys: number): object[] {
  const good = canaryKeystrokes(keys)
  const [first, second] = good as [(typeof good)[0], (typeof good)[0]]
  const typing = { keystrokes: good }
  return [
    CANARY_SUMMARY,
    typing,
    { attempts: [typing, typing] },
    { attempts: Array(8).fill(typing) },
    { keystrokes: good.slice(1) },
    { keystrokes: [...good, first] },
    { keystrokes: good.with(1, { press: second.press, release: second.press - 271828.182845 }) },
    { keystrokes: good.with(0, { press: second.press + 271828.182845, release: 1e9 }) },
    { attempts: [typing, { keystrokes: good.toReversed() }] },
  ]
}

function tensors(keys: number): object[] {
  const times = canaryKeystrokes(keys).map(({ press, release }) => [press, release])
  const { HT, PPT, RRT, RPT } = CANARY_SUMMARY
  const numbers = [HT, PPT, RRT, RPT].flatMap(({ Mean, STD }) => [Mean, STD])
  const raw = { name: 'input', datatype: 'FP64', shape: [1, keys, 2], data: times }
  const summary = { name: 'input', datatype: 'FP32', shape: [1, 8], data: numbers }
  return [
    { id: MARK, inputs: [raw] },
    { inputs: [summary] },
    { inputs: [{ ...raw, data: times.toReversed() }] },
    { inputs: [{ ...raw, data: times.map(([press, release]) => [release, press]) }] },
    { inputs: [{ ...raw, name: MARK }] },
    { inputs: [{ ...raw, datatype: MARK }] },
    { inputs: [{ ...raw, shape: [271828, 182845] }] },
    { inputs: [{ ...summary, data: numbers.with(1, -271828.182845) }] },
    { inputs: [{ ...summary, parameters: { binary_data_size: 271828 }, data: null }] },
    { inputs: [raw], outputs: [{ name: MARK }] },
    { inputs: [raw], model_name: MARK },
  ]
}

// What comes from the caller, is no business of the log, and may be anything.
const HEADERS = Object.fromEntries(
  [
    'authorization',
    'cookie',
    'user-agent',
    'referer',
    'origin',
    'x-api-key',
    'x-forwarded-for',
    'forwarded',
    'host',
  ].map((name) => [name, `${MARK}-271828.182845`]),
)
/** In the form of a token, so that the keys for it are looked for. */
const TOKEN = [{ alg: 'ES256', kid: MARK }, { sub: MARK }].map((part) =>
  Buffer.from(JSON.stringify(part)).toString('base64url'),
)
HEADERS.authorization = `Bearer ${TOKEN.join('.')}.${MARK}`
const JSON_TYPE = { ...HEADERS, 'content-type': 'application/json' }

/** Everything that can be asked of a route, well and badly. */
function requestsOf(route: string, keys: number, names: string[], bodyLimit: number): Request[] {
  const [method = '', pattern = ''] = route.replace(':version', MARK).split(' ')
  const urls = pattern.includes(':model')
    ? [...names, `${MARK}-model`, '%E0%A4%A', 'x'.repeat(101)].map((name) => pattern.replace(':model', name))
    : pattern.includes(':text')
      ? [
          // Whoever is deleted is asked for nothing any more.
          method === 'DELETE' ? pattern : pattern.replace(':text', 'motto').replace(':user', 'anna'),
          pattern.replaceAll(/:\w+/g, `${MARK}-name`),
          pattern.replaceAll(/:\w+/g, '%E0%A4%A'),
          pattern.replaceAll(/:\w+/g, 'x'.repeat(101)),
        ]
      : [pattern.replace('*', `${MARK}/271828.182845`), pattern.replace('*', 'json')]
  const queries = [
    'top=271828.182845',
    `top=${MARK}`,
    `${MARK}=271828.182845`,
    'fpir=0.271828182845',
    'fmr=0.271828182845',
  ]
  const [url = ''] = urls
  const asked = [...urls, ...queries.map((query) => `${url}?${query}`)]
  if (!['POST', 'PUT'].includes(method)) {
    return [
      ...asked.map((url) => ({ method, url, headers: HEADERS })),
      { method, url: pattern, headers: { ...HEADERS, accept: `text/${MARK}` } },
      { method: 'PATCH', url: `${pattern}?${MARK}=271828.182845`, headers: HEADERS },
    ]
  }
  const bodies = (BODIES[route]?.(keys) ?? []).map((body) => JSON.stringify(body))
  if (route.endsWith('/stream')) bodies.push(bodies.join('\n'))
  const [good = ''] = bodies
  const bad = [
    ...bodies.map((body) => body.slice(0, -9)),
    ...bodies.map((body) => body.replace(/(\d+\.\d+)/, '"$1"')),
    ...bodies.map((body) => body.replace('{', `{"${MARK}":271828.182845,"271828.182845":1,`)),
    ...bodies.map((body) => body.replace('{', '{"__proto__":{"a":271828.182845},')),
    ...bodies.map((body) => body.replaceAll(/(\d+\.\d+)/g, '$1e300')),
    `${MARK} 271828.182845`,
    `"${MARK}"`,
    '271828.182845',
    '',
    good.padEnd(bodyLimit + 1),
  ]
  // What is wrong with a sample is so however many go in a request.
  const most = /(batch|stream|infer)$|:text/.test(route) ? 2 : undefined
  const headers = {
    ...JSON_TYPE,
    ...(route.endsWith('/stream') && { 'content-type': 'application/x-ndjson' }),
  }
  return [
    ...asked.flatMap((url, i) =>
      bodies.slice(0, i === 0 ? undefined : most).map((payload) => ({ method, url, headers, payload })),
    ),
    ...bad.map((payload) => ({ method, url, headers, payload })),
    { method, url, headers: { ...HEADERS, 'content-type': `text/${MARK}` }, payload: good },
    { method, url, headers: { ...JSON_TYPE, 'content-encoding': 'gzip' }, payload: good },
    { method, url, headers: { ...JSON_TYPE, accept: `text/${MARK}` }, payload: good },
    { method, url, headers: { ...JSON_TYPE, 'content-length': '9' }, payload: good },
    { method: 'PATCH', url: `${url}?${MARK}=271828.182845`, headers: JSON_TYPE, payload: good },
  ]
}

const ELSEWHERE: Request[] = ['GET', 'POST'].map((method) => ({
  method,
  url: `/${MARK}/271828.182845?${MARK}=271828.182845`,
  headers: JSON_TYPE,
  ...(method === 'POST' && { payload: JSON.stringify(CANARY_SUMMARY) }),
}))

/** What Node's parser refuses, or waits for in vain. */
const UNREADABLE = [
  `FOO /${MARK} HTTP/1.1\r\nHost: ${MARK}\r\n\r\n`,
  `GET /${MARK} 271828.182845 HTTP/1.1\r\n\r\n`,
  `GET / HTTP/1.1\r\nHost: x\r\n${MARK}: ${MARK.repeat(3000)}\r\n\r\n`,
  `GET / HTTP/1.1\r\nHost: x\r\n${MARK} 271828.182845\r\n\r\n`,
  'POST /predict/rf HTTP/1.1\r\nHost: x\r\nContent-Length: 271828.182845\r\n\r\n',
  `POST /predict/rf HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${MARK}\r\n271828.182845`,
  `POST /predict/rf HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"HT":{"Mean":271828.182845`,
]

/** Fields of log lines and problem documents that say nothing of what was sent. */
const OWN = ['time', 'pid', 'hostname', 'ms', 'reqId', 'instance']
/** Of the audit log: ids are what it is about. */
const AUDITED = ['text', 'user', 'sample']

/** A line of the log, or an answer, without what is the service's own. */
function withoutOwn(line: string): string {
  try {
    const { audit, ...rest } = JSON.parse(line)
    const told = Object.entries({ ...audit }).filter(([name]) => !AUDITED.includes(name))
    return JSON.stringify([rest, told], (name, value) => (OWN.includes(name) ? undefined : value))
  } catch {
    return line
  }
}

/** Their messages name what was asked for. */
const TELLS_NAMES = [
  'KSR_MODEL_NOT_FOUND',
  'KSR_TOO_MANY_ATTEMPTS',
  'KSR_TEXT_NOT_FOUND',
  'KSR_TEXT_DIFFERS',
  'KSR_NOT_ENROLLED',
  'KSR_SAMPLE_NOT_FOUND',
  'KSR_NOT_READY',
  'KSR_NOBODY_ENROLLED',
]
const withoutQuoted = (text: string) => text.replaceAll(/".*?"/g, '')

/** A problem document without what its caller is told of names that the caller gave. */
function withoutNames(body: string): string {
  const { errors = [], detail, code, error, ...rest } = JSON.parse(body)
  // Of the inference protocol: where it is, and what is there.
  if (error !== undefined) return error.replaceAll(/\/\S+/g, '').replace(/model ".*?"/, 'model')
  const messages = errors.map(({ message }: { message: string }) =>
    TELLS_NAMES.includes(code) ? withoutQuoted(message) : message,
  )
  const told = TELLS_NAMES.includes(code) ? withoutQuoted(detail) : detail
  return withoutOwn(JSON.stringify({ ...rest, code, detail: told, messages }))
}

interface Seen {
  codes: Set<string>
  /** What was found where it must not be. */
  leaks: string[]
  routes: string[]
}

/** Feeds everything to a service and to so many of its models, the last ones, and looks at all that it says. */
async function feed(app: App, seen: Seen, models = 0): Promise<void> {
  const routes: string[] = []
  app.addHook('onRoute', ({ method, url }) => {
    for (const one of [method].flat()) if (one !== 'HEAD') routes.push(`${one} ${url}`)
  })
  await app.ready()
  seen.routes.push(...routes)
  const { keys, cards } = app.models
  const names = cards.map(({ name }) => name).slice(-models)
  const answered = (status: number, headers: object, body: string, what: string): void => {
    // The lines of a stream are answered one by one.
    if (status < 400) {
      for (const line of body.split('\n').filter((line) => line.includes('"KSR_')))
        answered(400, {}, line, what)
      return
    }
    seen.codes.add(JSON.parse(body).code)
    const found = canariesIn(`${JSON.stringify(headers)} ${withoutNames(body)}`)
    if (found.length > 0) seen.leaks.push(`${found} in the answer ${body} to ${what}`)
  }
  for (const request of [
    ...enrolments(keys),
    ...routes.flatMap((route) => requestsOf(route, keys, names, app.initialConfig.bodyLimit as number)),
    ...ELSEWHERE,
  ]) {
    const { statusCode, headers, body } = await app.inject(request as { method: 'GET' })
    const { 'content-length': _, date: __, ...others } = headers
    answered(statusCode, others, body, `${request.method} ${request.url}`)
  }
  for (const sink of sinks) {
    const said = await sink(app)
    const found = canariesIn(said)
    if (found.length > 0) seen.leaks.push(`${found} in ${said}`)
  }

  await app.listen({ port: 0 })
  app.server.headersTimeout = 100
  app.server.requestTimeout = 200
  const { port } = app.server.address() as AddressInfo
  const received = await Promise.all(UNREADABLE.map((bytes) => raw(port, bytes)))
  // What is unreadable may come after what was answered.
  for (const answer of received.flatMap((all) => all.split(/(?=HTTP\/1\.1 )/))) {
    const [head = '', body = ''] = answer.split('\r\n\r\n')
    answered(Number(head.split(' ')[1]), {}, body, head)
  }
}

async function raw(port: number, bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1').on('error', () => {})
  socket.write(bytes)
  return text(socket)
}

t.test('a canary is found in whatever form', async (t) => {
  const press = canaryKeystrokes(13)[0]?.press as number
  for (const form of [
    press,
    press / 1000,
    Math.round(press),
    Math.trunc(press),
    press.toFixed(1),
    Math.fround(press),
  ]) {
    t.not(canariesIn(`x ${form}y`).length, 0, String(form))
  }
  for (const form of [press.toExponential(4), -press, `"${press}"`, `ms=${press * 1e6}`]) {
    t.not(canariesIn(`${form}`).length, 0, String(form))
  }
  t.not(canariesIn(String(Math.round(CANARY_SUMMARY.HT.STD * 1000))).length, 0)
  t.same(canariesIn(`x${MARK.toUpperCase()}x`), [MARK])
  t.same(canariesIn('{"status":400,"ms":1.234,"time":1795707944823,"idx":54321}'), [])
})

// Most of the time something waits: for what comes late, or for closing.
t.jobs = 4
// A busy machine takes its time.
t.setTimeout(300_000)

/** Who is turned away is told no more, and no more is said of them. */
const TURNED_AWAY = [
  { API_KEYS: `app:${'0'.repeat(64)}` },
  { JWT_JWKS_URL: 'http://127.0.0.1:1/', JWT_ISSUER: 'issuer', JWT_AUDIENCE: 'audience' },
  { RATE_LIMIT: '1' },
  { ENROLMENT_TABLE: 'users' },
  { MAX_TEXTS: '2' },
]
/**
 * Answered before anything is read, to what takes too long, to what is sent at the same time, and of what was sealed with another key:
 * their own tests bring them about.
 */
const ELSEWHERE_TESTED = [
  'KSR_CONFLICT',
  'KSR_IDEMPOTENT_REQUEST_PENDING',
  'KSR_OVERLOADED',
  'KSR_SEALED',
  'KSR_TIMEOUT',
]

for (const level of LEVELS) {
  t.test(`at ${level}, nothing of what was sent is in the log or in a refusal`, async (t) => {
    const seen: Seen = { codes: new Set(), leaks: [], routes: [] }
    const lines: string[] = []
    const logTo = { write: (line: string) => lines.push(line) }
    for (const settings of [{}, { MODEL_DIR: failingModels(t) }]) {
      const app = build(t, { LOG_LEVEL: level, ...settings }, { logTo })
      await feed(app, seen, level === 'trace' ? undefined : 3)
    }
    for (const settings of TURNED_AWAY) {
      const config = { LOG_LEVEL: level, MODELS: 'rf', ...settings }
      await feed(build(t, config, { logTo }), seen)
    }
    // The audit log is written whatever else is.
    t.equal(lines.length > 0, level !== 'silent')
    for (const line of lines) {
      const found = canariesIn(withoutOwn(line).replace(/(127\.0\.0\.1|\[::1?\]):\d+/g, ''))
      if (found.length > 0) seen.leaks.push(`${found} in the line ${line}`)
    }
    t.same(seen.leaks.slice(0, 5), [])
    const posted = new Set(seen.routes.filter((route) => /^(POST|PUT) /.test(route)))
    t.same([...posted].sort(), Object.keys(BODIES).sort(), 'every route that takes a body was given some')
    const document = readFileSync(new URL('../openapi.yaml', import.meta.url), 'utf8')
    const codes = new Set(document.match(/KSR_[A-Z_]+[A-Z]/g))
    t.same(
      [...codes].filter((code) => !seen.codes.has(code)).sort(),
      ELSEWHERE_TESTED,
      'every refusal of the contract was met',
    )
  })
}

t.test('traces, and metrics as Lambda writes them, have nothing of it either', async (t) => {
  const seen: Seen = { codes: new Set(), leaks: [], routes: [] }
  const collector = await startCollector(t)
  const tracing = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, MODEL_DIR: failingModels(t) }
  const traced = build(t, tracing)
  await feed(traced, seen, 3)
  await traced.flushTraces()
  t.match(collector.sent(), 'POST /predict/:model')
  // Times in ns.
  t.same(canariesIn(collector.sent().replace(/\d{19}/g, '')), [])
  const { logTo, text } = captureLog()
  const settings = { AWS_LAMBDA_FUNCTION_NAME: 'recognition', METRICS: 'on', MODEL_DIR: failingModels(t) }
  const emf = build(t, settings, { logTo })
  await feed(emf, seen, 3)
  emf.metrics.flush()
  t.match(text(), '"CloudWatchMetrics"')
  t.same(canariesIn(text().replace(/"(Timestamp|Duration|Latency|Inference\w*)":[^,}]*/g, '')), [])
  t.same(seen.leaks.slice(0, 5), [])
})

/** What a process of its own writes until it ends. */
function written({ stdout, stderr }: ChildProcess): Promise<string> {
  return Promise.all([stdout, stderr].map((stream) => text(stream as Readable))).then((all) => all.join('\n'))
}

const linesOf = (all: string) =>
  all.split('\n').map((line) => withoutOwn(line).replace(/127\.0\.0\.1:\d+/g, ''))

t.test('what a process writes past its log has nothing of it either', async (t) => {
  for (const level of ['trace', 'silent']) {
    const port = await freePort()
    const server = start({ LOG_LEVEL: level, MODEL_DIR: failingModels(t), PORT: String(port) })
    t.teardown(() => server.kill('SIGKILL'))
    const all = written(server)
    const ask = (request: Request) =>
      fetch(`http://127.0.0.1:${port}${request.url}`, { ...request, body: request.payload ?? null })
    const up = await until(() => ask({ method: 'GET', url: '/health' }))
    t.equal(up.status, 200)
    const statuses = new Set<number>()
    for (const model of ['index', 'root', 'plain']) {
      for (const body of samples(2)) {
        const headers = { 'content-type': 'application/json', 'user-agent': MARK }
        const payload = JSON.stringify(body)
        statuses.add((await ask({ method: 'POST', url: `/predict/${model}`, headers, payload })).status)
      }
    }
    t.ok(statuses.has(500) && statuses.has(422) && statuses.has(200))
    await Promise.all(UNREADABLE.slice(0, -1).map((bytes) => raw(port, bytes)))
    server.kill()
    t.same(canariesIn(linesOf(await all).join('\n')), [], level)
  }
})

const LAMBDA = JSON.stringify(fileURLToPath(new URL('../src/lambda.ts', import.meta.url)))

/** Tells what comes of each event: what Lambda answers, and what it writes to the log where the handler throws. */
const INVOKE = `
  const { handler } = await import(${LAMBDA})
  process.once('message', async (events) => {
    const answers = []
    for (const event of events) {
      try {
        answers.push(await handler(event, { awsRequestId: 'id' }))
      } catch (error) {
        console.error(error.name, error.message, error.stack, JSON.stringify(error))
        answers.push(null)
      }
    }
    process.send(answers, () => process.disconnect())
  })
  process.send('ready')
`

function canaryEvents(): unknown[] {
  const bodies = samples(2).flatMap((sample) => {
    const good = JSON.stringify({ Model: 'index', ...sample })
    return [
      good,
      good.replace('index', 'root'),
      good.slice(0, -9),
      good.replace('{', `{"${MARK}":271828.182845,`),
    ]
  })
  const changed = [...EVENTS.values()].flatMap((event) => [
    ...bodies.map((body) => withBody(event, body)),
    withPath(withMethod(event, 'GET'), `/${MARK}/271828.182845`),
    withPath(withMethod(event, 'GET'), `/models/${MARK}`),
    { ...event, headers: { ...event.headers, ...HEADERS } },
    { ...event, queryStringParameters: { [MARK]: '271828.182845' }, rawQueryString: `${MARK}=271828.182845` },
    { ...event, body: { [MARK]: 271828.182845 } },
    { ...event, requestContext: { ...event.requestContext, requestId: MARK, stage: MARK }, cookies: [MARK] },
    { ...event, requestContext: MARK },
    { ...event, headers: { [MARK]: 271828.182845 } },
    { ...event, headers: { ...event.headers, [`${MARK} \n`]: MARK } },
  ])
  const direct = samples(2).flatMap((sample) => [
    { Model: 'index', ...sample },
    { Model: MARK, ...sample },
    sample,
  ])
  return [
    ...changed,
    ...direct,
    { [MARK]: 271828.182845 },
    MARK,
    271828.182845,
    [MARK],
    { Model: MARK, HT: MARK },
  ]
}

t.test('nor has what the function logs, whether it answers, refuses or fails', async (t) => {
  for (const level of ['trace', 'silent']) {
    const child = spawn(process.execPath, [...process.execArgv, '--input-type=module', '--eval', INVOKE], {
      env: { ...process.env, LOG_LEVEL: level, MODEL_DIR: failingModels(t) },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    const all = written(child)
    await once(child, 'message')
    child.send(canaryEvents() as object)
    const [answers] = (await once(child, 'message')) as [
      ({ statusCode?: number; body?: string; code?: string } | null)[],
    ]
    t.same(canariesIn(linesOf(await all).join('\n')), [], level)
    const documents = answers.flatMap((answer) => {
      if (answer === null) return []
      const { statusCode = 0, body = '', code } = answer
      if (code !== undefined) return [JSON.stringify(answer)]
      return statusCode >= 400 ? [body] : []
    })
    const codes = new Set(documents.map((document) => JSON.parse(document).code))
    t.ok(['KSR_INTERNAL', 'KSR_INVALID_JSON', 'KSR_PRESS_ORDER'].every((code) => codes.has(code)))
    t.ok(answers.includes(null))
    t.same(documents.map(withoutNames).flatMap(canariesIn), [])
  }
})

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}

/** Asks until there is an answer, for half a minute at most. */
async function until<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
  for (let left = 300; ; left--) {
    try {
      return await ask()
    } catch (error) {
      if (left === 0) throw error
      await wait(100)
    }
  }
}
