import t from 'tap'
import { requestIdOf, traceOf } from '../../src/plugins/request-id.js'
import { build, SUMMARY } from '../fixtures/build.js'
import { Connection } from '../fixtures/connection.js'

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const TRACE = '0af7651916cd43dd8448eb211c80319c'
const SPAN = 'b7ad6b7169203331'

t.test('a request is called what its caller calls it, if that can stand in a log', async (t) => {
  for (const id of ['a', 'c4086484-ee90-4735-85dd-12be6fc883e2', 'order_7.retry-2', '0'.repeat(64)]) {
    t.equal(requestIdOf({ headers: { 'x-request-id': id } }), id)
  }
  for (const id of ['', '0'.repeat(65), 'a b', 'a,b', 'a"b', 'a\nb', 'ä', '{}', '%0a']) {
    t.match(requestIdOf({ headers: { 'x-request-id': id } }), UUID, id)
  }
  t.match(requestIdOf({ headers: {} }), UUID)
  t.not(requestIdOf({ headers: {} }), requestIdOf({ headers: {} }))
})

t.test('a trace is what W3C says, in the version that is known', async (t) => {
  for (const [sent, traceparent] of [
    [`00-${TRACE}-${SPAN}-01`, `00-${TRACE}-${SPAN}-01`],
    [`00-${TRACE}-${SPAN}-00`, `00-${TRACE}-${SPAN}-00`],
    [`01-${TRACE}-${SPAN}-01`, `00-${TRACE}-${SPAN}-01`],
    [`fe-${TRACE}-${SPAN}-01-what-later-versions-add`, `00-${TRACE}-${SPAN}-01`],
  ] as const) {
    t.same(traceOf(sent), { traceId: TRACE, traceparent }, sent)
  }
  for (const sent of [
    '',
    TRACE,
    `00-${TRACE}-${SPAN}`,
    `00-${TRACE}-${SPAN}-1`,
    `00-${TRACE}-${SPAN}-01-more`,
    `00-${TRACE}-${SPAN}-01 `,
    ` 00-${TRACE}-${SPAN}-01`,
    `ff-${TRACE}-${SPAN}-01`,
    `01-${TRACE}-${SPAN}-01more`,
    `00-${'0'.repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${TRACE.slice(1)}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}-01, 00-${TRACE}-${SPAN}-01`,
    [`00-${TRACE}-${SPAN}-01`, 'two'],
  ]) {
    t.equal(traceOf(sent), undefined, String(sent))
  }
})

const REQUESTS = [
  [{ method: 'POST', url: '/predict/rf', payload: SUMMARY }, 200],
  [{ method: 'GET', url: '/docs' }, 200],
  [{ method: 'GET', url: '/health/ready' }, 200],
  [{ method: 'POST', url: '/predict/rf', payload: {} }, 400],
  [{ method: 'GET', url: '/%zz' }, 400],
  [{ method: 'POST', url: '/predict/knn', payload: SUMMARY }, 404],
  [{ method: 'GET', url: '/nowhere' }, 404],
  [{ method: 'DELETE', url: '/models' }, 405],
  [{ method: 'GET', url: `/models/${'a'.repeat(200)}` }, 414],
] as const

t.test('every answer says what its request is called, and to which trace it belongs', async (t) => {
  const app = build(t)
  const headers = { 'x-request-id': 'caller.1', traceparent: `00-${TRACE}-${SPAN}-01` }
  for (const [request, status] of REQUESTS) {
    const given = await app.inject({ ...request, headers })
    t.equal(given.statusCode, status, request.url)
    t.match(given.headers, headers, request.url)
    if (status >= 400) t.equal(given.json().instance, 'caller.1')
    const made = await app.inject(request)
    t.match(made.headers['x-request-id'], UUID, request.url)
    t.notOk('traceparent' in made.headers)
  }
})

t.test('what is no id and no trace is not repeated', async (t) => {
  const app = build(t)
  const headers = { 'x-request-id': '<canary>', traceparent: `00-canary-${SPAN}-01` }
  for (const [request] of REQUESTS) {
    const answer = await app.inject({ ...request, headers })
    t.match(answer.headers['x-request-id'], UUID)
    t.notMatch(JSON.stringify(answer.headers) + answer.body, /canary/)
  }
})

t.test('what can not even be read has an id in its answer, the one in its problem', async (t) => {
  const app = build(t)
  const connection = await Connection.open(await app.listen({ port: 0 }))
  connection.write('nonsense\r\n\r\n')
  const answer = await connection.answer()
  t.equal(answer?.status, 400)
  t.equal(answer?.headers.get('x-request-id'), JSON.parse(answer?.body as string).instance)
})
