import dns from 'node:dns'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { build, SUMMARY } from './fixtures/build.js'
import { type Answer, Connection } from './fixtures/connection.js'
import { output, start } from './fixtures/server.js'

const SAMPLE = JSON.stringify(SUMMARY)
const HUNDREDS = 300

type Line = Record<string, unknown>

/** A service that listens, with what it logs. */
async function listen(t: Test, settings: NodeJS.ProcessEnv = {}) {
  const lines: string[] = []
  const logTo = { write: (line: string) => lines.push(line) }
  const app = build(t, { LOG_LEVEL: 'trace', MODELS: 'rf,templates', ...settings }, { logTo })
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  return { app, url, log: () => lines.join(''), lines: (): Line[] => lines.map((line) => JSON.parse(line)) }
}

function post(body: string, headers = '', path = '/predict/rf'): string {
  const length = Buffer.byteLength(body, 'latin1')
  return `POST ${path} HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n${headers}\r\n${body}`
}

/** What comes back on a connection of its own, byte for byte as it is sent, in latin1. */
async function ask(url: string, bytes: string, answers = 1): Promise<(Answer | undefined)[]> {
  const connection = await Connection.open(url)
  connection.write(bytes)
  const found = []
  for (let i = 0; i < answers; i++) found.push(await connection.answer())
  connection.destroy()
  return found
}

async function code(url: string, bytes: string): Promise<string> {
  const [answer] = await ask(url, bytes)
  if (answer === undefined) return 'closed'
  return answer.status === 200 ? '200' : `${answer.status} ${JSON.parse(answer.body).code}`
}

/** A caller as they should be: served, and in time. */
async function served(t: Test, url: string): Promise<void> {
  const began = performance.now()
  const headers = { 'content-type': 'application/json' }
  const answer = await fetch(`${url}/predict/rf`, { method: 'POST', headers, body: SAMPLE })
  t.match(await answer.json(), { user: 84 })
  const took = performance.now() - began
  t.ok(took < 1500, `served in ${took.toFixed(0)} ms`)
}

t.test('no body changes what objects are', async (t) => {
  const { url } = await listen(t)
  for (const body of [
    '{"__proto__":{"user":1}}',
    '{"\\u005f_proto__":{"user":1}}',
    '{"__pr\\u006fto__":null}',
    '{"keystrokes":[{"__proto__":{"press":1}}]}',
    '{"constructor":{"prototype":{"user":1}}}',
    '{"HT":{"constructor":{"prot\\u006ftype":{}}}}',
  ]) {
    t.equal(await code(url, post(body)), '400 KSR_INVALID_JSON', body)
  }
  t.equal(await code(url, post('{"constructor":1}')), '400 KSR_INVALID_REQUEST')
  t.notOk('user' in {})
  for (const path of ['/predict/__proto__', '/predict/constructor', '/models/__proto__']) {
    const request = path.startsWith('/models')
      ? `GET ${path} HTTP/1.1\r\nhost: test\r\n\r\n`
      : post(SAMPLE, '', path)
    t.equal(await code(url, request), '404 KSR_MODEL_NOT_FOUND', path)
  }
  await served(t, url)
})

t.test('bodies as deep as they may be long are refused like others', async (t) => {
  const { url } = await listen(t)
  const deep = 32 * 1024
  for (const body of [
    '['.repeat(2 * deep),
    '{"a":'.repeat(deep / 3),
    '['.repeat(deep) + ']'.repeat(deep),
    `${'{"a":'.repeat(deep / 4)}1${'}'.repeat(deep / 4)}`,
    `{"keystrokes":${'['.repeat(deep / 2)}${']'.repeat(deep / 2)}}`,
    `{"__proto__":${'['.repeat(deep / 2)}${']'.repeat(deep / 2)}}`,
  ]) {
    t.match(await code(url, post(body)), /^400 KSR_INVALID_(JSON|REQUEST)$/, body.slice(0, 20))
  }
  t.equal(await code(url, post(' '.repeat(64 * 1024 + 1))), '413 KSR_BODY_TOO_LARGE')
  await served(t, url)
})

t.test('numbers that are none, or too large for one, are refused', async (t) => {
  const { url } = await listen(t)
  const big = '9'.repeat(400)
  for (const number of [
    '1e39',
    '-1e39',
    '1e400',
    big,
    `-${big}`,
    `0.${big}e999`,
    '"48"',
    'null',
    'true',
    '[48]',
  ]) {
    const body = `{"HT":{"Mean":${number},"STD":1}${SAMPLE.slice(SAMPLE.indexOf(',"PPT'))}`
    t.equal(await code(url, post(body)), '400 KSR_INVALID_REQUEST', number.slice(0, 20))
  }
  for (const number of [
    'NaN',
    'nan',
    'Infinity',
    '-Infinity',
    'inf',
    '0x10',
    '01',
    '+1',
    '.5',
    '5.',
    '1_000',
    '1e',
    '１',
  ]) {
    const body = `{"HT":{"Mean":${number},"STD":1}}`
    t.equal(await code(url, post(Buffer.from(body).toString('latin1'))), '400 KSR_INVALID_JSON', number)
  }
  await served(t, url)
})

t.test('halves of characters name nobody and nothing', async (t) => {
  const { url } = await listen(t)
  const typing = JSON.stringify({
    keystrokes: Array.from({ length: 13 }, (_, i) => ({ press: 200 * i, release: 200 * i + 90 })),
  })
  const claim = (user: string) => post(`${typing.slice(0, -1)},"user":"${user}"}`, '', '/verify/templates')
  for (const user of ['\\ud800', '\\udc00\\ud800', 'a\\ud83d', '\\u0000']) {
    t.equal(await code(url, claim(user)), '404 KSR_USER_NOT_FOUND', user)
    const named = `${SAMPLE.slice(0, -1)},"Model":"${user}"}`
    t.equal(await code(url, post(named, '', '/predict')), '404 KSR_MODEL_NOT_FOUND', user)
    t.equal(await code(url, post(`{"${user}":1}`)), '400 KSR_INVALID_REQUEST', user)
  }
  t.equal(await code(url, claim('\xed\xa0\x80')), '400 KSR_INVALID_JSON')
  await served(t, url)
})

t.test('a compressed bomb is turned away before it is read', async (t) => {
  const { url } = await listen(t)
  const bomb = gzipSync(Buffer.alloc(60_000_000, '[')).toString('latin1')
  const before = process.memoryUsage.rss()
  const headers = `transfer-encoding: chunked\r\ncontent-encoding: gzip\r\n\r\n${bomb.length.toString(16)}\r\n${bomb}\r\n0\r\n\r\n`
  const request = `POST /predict/rf HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n${headers}`
  for (let i = 0; i < 20; i++) t.equal(await code(url, request), '415 KSR_UNSUPPORTED_ENCODING')
  t.ok(process.memoryUsage.rss() - before < 100e6)
  await served(t, url)
})

t.test('a body whose length is said wrongly, or twice, is refused and the connection closed', async (t) => {
  const { app, url } = await listen(t)
  app.server.headersTimeout = 200
  app.server.requestTimeout = 300
  const start = 'POST /predict/rf HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n'
  const hidden = 'GET /models HTTP/1.1\r\nhost: test\r\n\r\n'
  const chunks = `${SAMPLE.length.toString(16)}\r\n${SAMPLE}\r\n0\r\n\r\n`
  for (const [what, bytes, expected] of [
    ['shorter', `${start}content-length: 20\r\n\r\n${SAMPLE}`, '400 KSR_INVALID_JSON'],
    ['longer', `${start}content-length: 5000\r\n\r\n${SAMPLE}`, '408 KSR_REQUEST_TIMEOUT'],
    ['none', `${start}\r\n${SAMPLE}`, '400 KSR_INVALID_JSON'],
    ['negative', `${start}content-length: -1\r\n\r\n${SAMPLE}`, '400 KSR_BAD_REQUEST'],
    ['with a sign', `${start}content-length: +${SAMPLE.length}\r\n\r\n${SAMPLE}`, '400 KSR_BAD_REQUEST'],
    ['in another base', `${start}content-length: 0x9c\r\n\r\n${SAMPLE}`, '400 KSR_BAD_REQUEST'],
    [
      'too large for a number',
      `${start}content-length: ${'9'.repeat(30)}\r\n\r\n${SAMPLE}`,
      '400 KSR_BAD_REQUEST',
    ],
    [
      'twice',
      `${start}content-length: 0\r\ncontent-length: ${SAMPLE.length}\r\n\r\n${SAMPLE}`,
      '400 KSR_BAD_REQUEST',
    ],
    ['as a list', `${start}content-length: 0, ${SAMPLE.length}\r\n\r\n${SAMPLE}`, '400 KSR_BAD_REQUEST'],
    [
      'and chunked',
      `${start}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n${chunks}${hidden}`,
      '400 KSR_BAD_REQUEST',
    ],
    [
      'chunked, and',
      `${start}transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n${chunks}${hidden}`,
      '400 KSR_BAD_REQUEST',
    ],
    [
      'chunked, with a space',
      `${start}transfer-encoding : chunked\r\n\r\n${chunks}${hidden}`,
      '400 KSR_BAD_REQUEST',
    ],
    [
      'nearly chunked',
      `${start}transfer-encoding: xchunked\r\n\r\n${chunks}${hidden}`,
      '400 KSR_BAD_REQUEST',
    ],
    [
      'chunked, then not',
      `${start}transfer-encoding: chunked, identity\r\n\r\n${chunks}${hidden}`,
      '400 KSR_BAD_REQUEST',
    ],
    ['folded', `${start}transfer-encoding:\r\n chunked\r\n\r\n${chunks}${hidden}`, '400 KSR_BAD_REQUEST'],
  ] as const) {
    const connection = await Connection.open(url)
    connection.write(bytes)
    const answer = await connection.answer()
    t.equal(`${answer?.status} ${JSON.parse(answer?.body ?? '{}').code}`, expected, what)
    t.equal(await connection.answer(), undefined, 'and what is behind it is not taken for a request')
  }
  await served(t, url)
})

t.test('chunks that are none are refused', async (t) => {
  const { app, url } = await listen(t)
  app.server.headersTimeout = 200
  app.server.requestTimeout = 300
  const start =
    'POST /predict/rf HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n'
  for (const [chunks, expected] of [
    ['zz\r\n', '400 KSR_BAD_REQUEST'],
    ['-1\r\n', '400 KSR_BAD_REQUEST'],
    ['fffffffffffffffff\r\n', '400 KSR_BAD_REQUEST'],
    ['2\r\n{}x\r\n0\r\n\r\n', '400 KSR_BAD_REQUEST'],
    ['2\n{}\n0\n\n', '400 KSR_BAD_REQUEST'],
    [`2;${'x'.repeat(20_000)}\r\n{}\r\n0\r\n\r\n`, '400 KSR_BAD_REQUEST'],
    ['2\r\n{}\r\n', '408 KSR_REQUEST_TIMEOUT'],
    [`11170\r\n${' '.repeat(70_000)}\r\n0\r\n\r\n`, '413 KSR_BODY_TOO_LARGE'],
    [`${SAMPLE.length.toString(16)}\r\n${SAMPLE}\r\n0\r\n\r\n`, '200'],
  ] as const) {
    t.equal(await code(url, start + chunks), expected, chunks.slice(0, 20))
  }
  await served(t, url)
})

t.test('requests sent one behind the other are answered in order, with whatever between them', async (t) => {
  const { url } = await listen(t)
  const good = post(SAMPLE)
  const health = 'GET /health/live HTTP/1.1\r\nhost: test\r\n\r\n'
  const seen = async (bytes: string, answers: number) =>
    (await ask(url, bytes, answers)).map((answer) => answer?.status).join()
  t.equal(await seen(good + post(SAMPLE, '', '/predict/knn') + health + good, 4), '200,404,200,200')
  t.equal(await seen(`${good + good}nonsense\r\n\r\n${good}`, 4), '200,200,400,')
  t.equal(
    await seen(
      `${good + health}POST / HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n`,
      4,
    ),
    '200,200,400,',
  )
  t.equal(await seen(`${good}GET / HTTP/1.1\r\n\r\n${good}`, 3), '200,400,')
  t.equal(
    await seen(`${good}GET / HTTP/1.1\r\nhost: test\r\nx: ${'a'.repeat(20_000)}\r\n\r\n`, 3),
    '200,431,',
  )
  t.equal(await seen(good.repeat(100), 100), Array.from({ length: 100 }, () => 200).join())
  await served(t, url)
})

/** Hundreds of connections of which every one does this, while others are served. @returns what they were answered in the end */
async function besieged(t: Test, url: string, start: string, next: string): Promise<(number | undefined)[]> {
  const connections = await Promise.all(Array.from({ length: HUNDREDS }, () => Connection.open(url)))
  for (const connection of connections) connection.write(start)
  const drip = setInterval(() => {
    for (const connection of connections) if (!connection.closed) connection.write(next)
  }, 100)
  t.teardown(() => clearInterval(drip))
  const ends = Promise.all(connections.map(async (connection) => (await connection.answer())?.status))
  for (let i = 0; i < 5; i++) {
    await served(t, url)
    await wait(100)
  }
  const statuses = await ends
  clearInterval(drip)
  for (const connection of connections) {
    await connection.answer()
    if (!connection.closed) t.fail('a connection is still open')
  }
  return statuses
}

t.test('who sends slowly is told so, and holds up nobody', async (t) => {
  for (const [what, start, next] of [
    ['headers', 'POST /predict/rf HTTP/1.1\r\nhost: test\r\n', 'x: y\r\n'],
    ['one header', 'POST /predict/rf HTTP/1.1\r\nhost: test\r\nx: ', 'y'],
    ['a body', post(SAMPLE, '').slice(0, -100), ' '],
    [
      'chunks',
      'POST /predict/rf HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n',
      '1\r\n \r\n',
    ],
  ] as const) {
    await t.test(what, async (t) => {
      const { app, url } = await listen(t, { MODELS: 'rf' })
      app.server.headersTimeout = 500
      app.server.requestTimeout = 1000
      const statuses = await besieged(t, url, start, next)
      t.same([...new Set(statuses)], [408])
      t.notOk(app.isOverloaded())
    })
  }
})

t.test('who never sends anything is hung up on, by the limits as they are', async (t) => {
  const { app, url } = await listen(t, { MODELS: 'rf' })
  const began = performance.now()
  const statuses = await besieged(t, url, '', '')
  t.same([...new Set(statuses)], [408])
  const took = performance.now() - began
  t.ok(took > 4500 && took < 9000, `after ${took.toFixed(0)} ms`)
  t.ok(app.server.keepAliveTimeout > 60_000, 'a balancer has to be the first to let go')
})

t.test('who never reads the answers is hung up on', async (t) => {
  const { app, url } = await listen(t)
  t.ok(app.server.timeout > app.server.requestTimeout)
  app.server.timeout = 500
  const connection = await Connection.open(url)
  const [served] = [once(app.server, 'connection')]
  const silent = await Connection.open(url)
  const [socket] = await served
  silent.pause()
  silent.write('GET /models/rf HTTP/1.1\r\nhost: test\r\n\r\n'.repeat(3000))
  await once(socket, 'close')
  t.ok(socket.destroyed)
  silent.destroy()
  connection.destroy()
})

t.test('too many headers, or too large ones, are 431', async (t) => {
  const { url } = await listen(t)
  const many = (count: number) => Array.from({ length: count }, (_, i) => `x${i}: y\r\n`).join('')
  t.equal(await code(url, post(SAMPLE, many(90))), '200')
  for (const headers of [
    many(101),
    many(1500),
    'a:\r\n'.repeat(3000),
    many(5000),
    `x: ${'y'.repeat(20_000)}\r\n`,
    `cookie: ${'a=b; '.repeat(4000)}\r\n`,
  ]) {
    t.equal(await code(url, post(SAMPLE, headers)), '431 KSR_HEADERS_TOO_LARGE')
  }
  await served(t, url)
})

t.test('paths, queries and methods may be as long and odd as they like', async (t) => {
  const { url } = await listen(t)
  const get = (target: string, method = 'GET') => `${method} ${target} HTTP/1.1\r\nhost: test\r\n\r\n`
  for (const [request, expected] of [
    [get(`/models/${'x'.repeat(15_000)}`), '414 KSR_URL_TOO_LONG'],
    [get(`/${'x'.repeat(15_000)}`), '404 KSR_ROUTE_NOT_FOUND'],
    [get(`/${'/'.repeat(15_000)}`), '404 KSR_ROUTE_NOT_FOUND'],
    [get(`/${'../'.repeat(5000)}models`), '404 KSR_ROUTE_NOT_FOUND'],
    [get(`/${'x'.repeat(20_000)}`), '431 KSR_HEADERS_TOO_LARGE'],
    [post(SAMPLE, '', `/predict/rf?top=1&x=${'y'.repeat(15_000)}`), '400 KSR_INVALID_REQUEST'],
    [post(SAMPLE, '', `/predict/rf?${'a&'.repeat(7000)}`), '400 KSR_INVALID_REQUEST'],
    [post(SAMPLE, '', '/predict/rf?__proto__=1&top[]=2'), '400 KSR_INVALID_REQUEST'],
    [get('/models/%00'), '404 KSR_MODEL_NOT_FOUND'],
    [get('/models/%'), '400 KSR_INVALID_URL'],
    [get('/models/%c0%af'), '400 KSR_INVALID_URL'],
    [get('/models/\0'), '400 KSR_BAD_REQUEST'],
    [get('/models/a b'), '400 KSR_BAD_REQUEST'],
    [get('/models', 'X'.repeat(1000)), '400 KSR_BAD_REQUEST'],
    [get('/models', 'get'), '400 KSR_BAD_REQUEST'],
    [get('/models', 'TRACE'), '405 KSR_METHOD_NOT_ALLOWED'],
    [get('*', 'OPTIONS'), '405 KSR_METHOD_NOT_ALLOWED'],
    [`GET /models HTTP/1.1\r\nhost: test\r\nx: \0\r\n\r\n`, '400 KSR_BAD_REQUEST'],
    [`GET /models HTTP/1.1\r\nhost: test\r\nx: y\nz: a\r\n\r\n`, '400 KSR_BAD_REQUEST'],
    [`GET /models HTTP/1.1\r\nhost: test\r\nx y: z\r\n\r\n`, '400 KSR_BAD_REQUEST'],
    // Proxies ask like that, and a server has to understand it (RFC 9112, section 3.2.2).
    [get('http://test/models?x'), '200'],
    [get('HTTPS://test'), '200'],
    [get('http://test/models/nope'), '404 KSR_MODEL_NOT_FOUND'],
    [get('ftp://test/models'), '404 KSR_ROUTE_NOT_FOUND'],
  ] as const) {
    t.equal(await code(url, request), expected, request.slice(0, 40))
  }
  await served(t, url)
})

t.test('other protocols are turned away', async (t) => {
  const { url } = await listen(t)
  for (const [what, bytes, expected] of [
    ['HTTP/0.9', 'GET /models\r\n\r\n', '400 KSR_BAD_REQUEST'],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', '400 KSR_BAD_REQUEST'],
    ['HTTP/3', 'GET / HTTP/3.0\r\nhost: test\r\n\r\n', '400 KSR_BAD_REQUEST'],
    ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', '400 KSR_BAD_REQUEST'],
    ['SSH', 'SSH-2.0-OpenSSH_9.6\r\n', '400 KSR_BAD_REQUEST'],
    ['a tunnel', 'CONNECT test:443 HTTP/1.1\r\nhost: test\r\n\r\n', 'closed'],
    [
      'WebSocket',
      'GET /models HTTP/1.1\r\nhost: test\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
      '200',
    ],
    [
      'HTTP/2 by upgrade',
      'GET /models HTTP/1.1\r\nhost: test\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n',
      '200',
    ],
    ['HTTP/1.0', 'GET /models HTTP/1.0\r\n\r\n', '200'],
  ] as const) {
    t.equal(await code(url, bytes), expected, what)
  }
  await served(t, url)
})

t.test('what is expected is met or passed over', async (t) => {
  const { url } = await listen(t)
  const waits = await Connection.open(url)
  const [head = '', body = ''] = post(SAMPLE, 'expect: 100-continue\r\n').split('\r\n\r\n')
  waits.write(`${head}\r\n\r\n`)
  t.equal((await waits.answer())?.status, 100)
  waits.write(body)
  t.equal((await waits.answer())?.status, 200)
  t.equal(await code(url, post(SAMPLE, 'expect: the impossible\r\n')), '200')
})

t.test('a request to no host or to two is 400', async (t) => {
  const { url } = await listen(t)
  t.equal(await code(url, 'GET /models HTTP/1.1\r\n\r\n'), '400 KSR_BAD_REQUEST')
  t.equal(await code(url, 'GET /models HTTP/1.1\r\nhost: a\r\nHost: b\r\n\r\n'), '400 KSR_BAD_REQUEST')
  t.equal(await code(url, 'GET /models HTTP/1.1\r\nhost:\r\n\r\n'), '200', 'an empty one is one')
})

t.test(
  'what is refused before it is a request is in the log under its id, and nothing of what was sent',
  async (t) => {
    const { url, log, lines } = await listen(t)
    const canary = '27182818'
    for (const bytes of [
      `GET /${canary} HTTP/1.1\r\nx: ${canary}\r\n\r\n`,
      `${canary} / HTTP/1.1\r\nhost: ${canary}\r\n\r\n`,
      `GET /${canary} HTTP/1.1\r\nhost: ${canary}\r\n${`x: ${canary}\r\n`.repeat(101)}\r\n`,
      `GET /${canary} HTTP/1.1\r\nhost: ${canary}\r\nx: ${canary.repeat(3000)}\r\n\r\n`,
      `POST /predict/rf HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n8\r\n${canary}${canary}\r\n`,
    ]) {
      const [answer] = await ask(url, bytes)
      const { instance, code, status } = JSON.parse(answer?.body as string)
      t.match(
        lines().filter(({ reqId }) => reqId === instance),
        [{ level: 30, code, status, msg: 'request refused' }],
      )
      t.equal(answer?.headers.get('connection'), 'close')
      t.notMatch(answer?.body, canary)
    }
    t.notMatch(log(), canary)
  },
)

t.test('no answer tells what serves it', async (t) => {
  const { url } = await listen(t)
  for (const bytes of [
    'GET / HTTP/1.1\r\nhost: test\r\n\r\n',
    'GET /docs HTTP/1.1\r\nhost: test\r\n\r\n',
    'GET /docs/json HTTP/1.1\r\nhost: test\r\n\r\n',
    'GET /health HTTP/1.1\r\nhost: test\r\n\r\n',
    'GET /nowhere HTTP/1.1\r\nhost: test\r\n\r\n',
    'GET / HTTP/1.1\r\n\r\n',
    'nonsense\r\n\r\n',
    post(SAMPLE),
    post('{'),
  ]) {
    const [answer] = await ask(url, bytes)
    for (const name of ['server', 'x-powered-by', 'via']) t.equal(answer?.headers.has(name), false, name)
    t.notMatch(JSON.stringify([...(answer?.headers ?? [])]), /fastify|node/i)
  }
})

t.test('there are only so many connections, and those that there are are served', async (t) => {
  const { url } = await listen(t, { MAX_CONNECTIONS: '5' })
  const connections = await Promise.all(Array.from({ length: 5 }, () => Connection.open(url)))
  const more = await Connection.open(url)
  t.equal(await more.answer(), undefined)
  for (const connection of connections) {
    connection.write(post(SAMPLE))
    t.equal((await connection.answer())?.status, 200)
  }
  for (const connection of connections) connection.destroy()
})

t.test('several workers have each their share of them, and hang up on the rest at once', async (t) => {
  const server = start({ WORKERS: '2', MAX_CONNECTIONS: '3', MODELS: 'rf' })
  t.teardown(() => server.kill('SIGKILL'))
  const exited = once(server, 'exit')
  const both = /Server listening at (\S+\d)[\s\S]*Server listening/
  const url = both.exec(await output(server.stdout, both))?.[1] as string
  // One after the other: of many at once the worker that is sooner done with one gets more.
  const connections: Connection[] = []
  for (let i = 0; i < 20; i++) {
    connections.push(await Connection.open(url))
    await wait(20)
  }
  await wait(500)
  t.equal(connections.filter(({ closed }) => closed).length, 14)
  const [open] = connections.filter(({ closed }) => !closed)
  open?.write(post(SAMPLE))
  t.equal((await open?.answer())?.status, 200)
  server.kill('SIGTERM')
  t.same(await exited, [0, null])
})

t.test('on a name with two addresses both are held to the same', async (t) => {
  const lookup = dns.lookup
  t.teardown(() => Object.assign(dns, { lookup }))
  // As where `localhost` is 127.0.0.1 and ::1.
  type Done = (error: Error | null, found: dns.LookupAddress[]) => void
  const two = (name: string, options: dns.LookupAllOptions, done?: Done) => {
    if (name !== 'localhost' || !done) return lookup(name, options, done as never)
    done(
      null,
      ['127.0.0.1', '127.0.0.2'].map((address) => ({ address, family: 4 })),
    )
  }
  const app = build(t, { MODELS: 'rf', MAX_CONNECTIONS: '5' })
  await app.ready()
  app.server.once('listening', () => Object.assign(dns, { lookup: two }))
  await app.listen({ port: 0, host: 'localhost' })
  const { port } = app.server.address() as AddressInfo
  for (const host of ['127.0.0.1', '127.0.0.2']) {
    const url = `http://${host}:${port}`
    await served(t, url)
    t.equal(await code(url, 'GET / HTTP/1.1\r\n\r\n'), '400 KSR_BAD_REQUEST')
    t.equal(await code(url, 'nonsense\r\n\r\n'), '400 KSR_BAD_REQUEST')
    const upgrade = 'connection: upgrade\r\nupgrade: websocket\r\n'
    t.equal(await code(url, `GET /models HTTP/1.1\r\nhost: test\r\n${upgrade}\r\n`), '200')
    const connections = await Promise.all(Array.from({ length: 6 }, () => Connection.open(url)))
    await wait(100)
    t.ok(connections.some((connection) => connection.closed))
    for (const connection of connections) connection.destroy()
  }
})
