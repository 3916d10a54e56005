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
  t.match(answer.json(), { status: 413, code: 'KSR_BODY_TOO_LARGE', detail: /larger than the 65536 bytes/ })
})

t.test('a body of another length than announced is 400', async (t) => {
  const headers = { ...json, 'content-length': '9' }
  const answer = await build(t).inject({ method: 'POST', url: '/predict/rf', headers, payload: '{}' })
  t.match(answer.json(), { status: 400, code: 'KSR_BAD_REQUEST' })
})

t.test('a URL that can not be decoded is 400, a part that is too long 414', async (t) => {
  const app = build(t)
  t.match((await app.inject('/models/%E0%A4%A')).json(), { status: 400, code: 'KSR_INVALID_URL' })
  t.match((await app.inject(`/models/${'x'.repeat(101)}`)).json(), { status: 414, code: 'KSR_URL_TOO_LONG' })
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
