import { once } from 'node:events'
import { type AddressInfo, connect } from 'node:net'
import Fastify from 'fastify'
import t from 'tap'
import { problems } from '../../src/plugins/problems.js'
import { build, SUMMARY } from '../fixtures/build.js'

const json = { 'content-type': 'application/json' }

t.test('a problem document has every part of its form', async (t) => {
  const answer = await build(t).inject('/nowhere')
  t.equal(answer.headers['content-type'], 'application/problem+json; charset=utf-8')
  const { instance, ...rest } = answer.json()
  t.match(instance, /^[0-9a-f-]{36}$/)
  t.same(rest, {
    type: 'urn:problem-type:ksr:route-not-found',
    title: 'Not Found',
    status: 404,
    detail: 'There is nothing at this path. GET / lists what there is.',
    code: 'KSR_ROUTE_NOT_FOUND',
  })
})

t.test('a path under another method is 405 with the methods it has', async (t) => {
  const app = build(t)
  for (const [method, url, allow] of [
    ['GET', '/predict/rf', 'POST'],
    ['GET', '/predict', 'POST'],
    ['PUT', '/', 'GET, HEAD, POST'],
    ['DELETE', '/models/rf?x=1', 'GET, HEAD'],
    ['OPTIONS', '/health', 'GET, HEAD'],
    ['PATCH', '/docs', 'GET, HEAD'],
  ] as const) {
    const answer = await app.inject({ method, url })
    t.equal(answer.statusCode, 405)
    t.equal(answer.headers.allow, allow)
    t.match(answer.json(), { code: 'KSR_METHOD_NOT_ALLOWED', detail: `This path answers ${allow} only.` })
  }
})

t.test('the body of a request to nowhere does not matter', async (t) => {
  const request = { method: 'POST', url: '/health', headers: json, payload: '{' } as const
  t.equal((await build(t).inject(request)).statusCode, 405)
})

t.test('a body in another media type is 415', async (t) => {
  const app = build(t)
  for (const type of ['text/plain', 'application/xml', 'application/x-www-form-urlencoded', 'nonsense']) {
    const answer = await app.inject({
      method: 'POST',
      url: '/predict/rf',
      headers: { 'content-type': type },
      payload: 'x',
    })
    t.match(answer.json(), { status: 415, code: 'KSR_UNSUPPORTED_MEDIA_TYPE' }, type)
    t.equal(answer.json().detail, 'Send the body as application/json.')
  }
})

t.test('JSON with a charset is JSON', async (t) => {
  const headers = { 'content-type': 'application/json; charset=utf-8' }
  const request = { method: 'POST', url: '/predict/rf', headers, payload: JSON.stringify(SUMMARY) } as const
  t.equal((await build(t).inject(request)).statusCode, 200)
})

t.test('a body past the limit is 413', async (t) => {
  const answer = await build(t).inject({
    method: 'POST',
    url: '/predict/rf',
    headers: json,
    payload: ' '.repeat(65537),
  })
  t.match(answer.json(), {
    status: 413,
    code: 'KSR_BODY_TOO_LARGE',
    detail: /larger than the 65536 bytes that are read\.$/,
  })
})

t.test('a body of another length than announced is 400', async (t) => {
  const headers = { ...json, 'content-length': '9' }
  const answer = await build(t).inject({ method: 'POST', url: '/predict/rf', headers, payload: '{}' })
  t.match(answer.json(), { status: 400, code: 'KSR_BAD_REQUEST' })
})

t.test('a URL that can not be decoded is 400, a part that is too long 414', async (t) => {
  const app = build(t)
  const broken = (await app.inject('/models/%E0%A4%A')).json()
  t.match(broken, { status: 400, code: 'KSR_INVALID_URL' })
  t.equal(broken.detail, 'The URL is not valid.')
  t.match((await app.inject(`/models/${'x'.repeat(101)}`)).json(), { status: 414, code: 'KSR_URL_TOO_LONG' })
})

t.test('a file of the documentation that there is not is a problem document, too', async (t) => {
  const answer = await build(t).inject('/docs/static/nope.js')
  t.match(answer.json(), { status: 404, code: 'KSR_ROUTE_NOT_FOUND' })
})

/** What comes back on a socket that sends just these bytes. */
async function raw(port: number, bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.write(bytes)
  let answer = ''
  for await (const chunk of socket) answer += chunk
  return answer
}

t.test('bytes that are no request get a problem document and a closed connection', async (t) => {
  const app = build(t)
  await app.listen({ port: 0 })
  const { port } = app.server.address() as AddressInfo
  t.ok(app.server.headersTimeout < app.server.requestTimeout, 'or Node swaps them')
  app.server.headersTimeout = 100
  app.server.requestTimeout = 200
  for (const [bytes, status, code] of [
    ['FOO / HTTP/1.1\r\nHost: x\r\n\r\n', '400 Bad Request', 'KSR_BAD_REQUEST'],
    [
      `GET / HTTP/1.1\r\nHost: x\r\nX: ${'a'.repeat(17000)}\r\n\r\n`,
      '431 Request Header',
      'KSR_HEADERS_TOO_LARGE',
    ],
    [
      'POST /predict/rf HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{',
      '408 Request Timeout',
      'KSR_REQUEST_TIMEOUT',
    ],
  ] as const) {
    const [head = '', body = ''] = (await raw(port, bytes)).split('\r\n\r\n')
    t.match(head, `HTTP/1.1 ${status}`)
    t.match(head, /content-type: application\/problem\+json/i)
    t.match(JSON.parse(body), { code, instance: /^[0-9a-f-]{36}$/ })
  }
  t.equal((await fetch(`http://127.0.0.1:${port}/health`)).status, 200, 'and others are served')
})

t.test('a caller that is gone is not answered', async (t) => {
  const app = build(t)
  await app.listen({ port: 0 })
  const { port } = app.server.address() as AddressInfo
  const socket = connect(port, '127.0.0.1')
  const [served] = await once(app.server, 'connection')
  socket.write('POST /predict/rf HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{')
  await once(app.server, 'request')
  socket.resetAndDestroy()
  await new Promise((closed) => served.on('close', closed))
  t.ok(served.destroyed)
})

t.test('an unforeseen error tells the caller its request id and the log its cause', async (t) => {
  const lines: string[] = []
  const app = Fastify({ logger: { stream: { write: (line: string) => lines.push(line) } } })
  t.teardown(() => app.close())
  app.register(problems)
  app.get('/', async () => {
    throw new Error('the secret cause')
  })
  const answer = await app.inject('/')
  t.match(answer.json(), { status: 500, code: 'KSR_INTERNAL', instance: 'req-1' })
  t.notMatch(answer.body, /secret/)
  t.match(lines.join(''), /"reqId":"req-1".*the secret cause/)
})

t.test('a route that finds something missing answers as for a path that there is not', async (t) => {
  const app = build(t)
  app.get('/missing', (_request, reply) => reply.callNotFound())
  const answer = await app.inject('/missing')
  t.equal(answer.statusCode, 404)
  t.equal(answer.json().code, 'KSR_ROUTE_NOT_FOUND')
})
