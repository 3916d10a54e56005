import { setTimeout as wait } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { build, SUMMARY } from '../fixtures/build.js'
import { type Answer, Connection } from '../fixtures/connection.js'
import { flood } from '../fixtures/flood.js'

const BODY = JSON.stringify(SUMMARY)
const MANY = 400

function post(headers = '', path = '/predict/rf', method = 'POST', version = '1.1'): string {
  return `${method} ${path} HTTP/${version}\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: ${BODY.length}\r\n${headers}\r\n${BODY}`
}

async function listen(t: Test, settings: NodeJS.ProcessEnv) {
  const lines: { level: number; msg: string; refused?: number }[] = []
  const logTo = { write: (line: string) => lines.push(JSON.parse(line)) }
  const app = build(t, { LOG_LEVEL: 'info', MODELS: 'rf', ...settings }, { logTo })
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const told = () => lines.filter(({ msg }) => /overload/.test(msg))
  return { app, url, told }
}

/** A service with more callers than it can serve in a millisecond, which is all that it is given here. */
async function overloaded(t: Test, settings: NodeJS.ProcessEnv = {}) {
  const service = await listen(t, { OVERLOAD_MS: '1', ...settings })
  const callers = flood(t, service.url, post(), MANY)
  await until(() => service.app.isOverloaded())
  return { ...service, callers }
}

async function until(there: () => unknown): Promise<void> {
  for (let i = 0; i < 1000 && !there(); i++) await wait(20)
}

/** Asks until it is refused. */
async function refused(connection: Connection, request: string): Promise<Answer> {
  for (let i = 0; i < 500; i++) {
    connection.write(request)
    const answer = await connection.answer()
    if (answer?.status === 503) return answer
    if (answer === undefined) throw new Error('the connection has ended without a refusal')
  }
  throw new Error('it was never refused')
}

t.test('what is too much is refused, and the connection is as good as before', async (t) => {
  const { app, url, callers, told } = await overloaded(t)
  const connection = await Connection.open(url)
  const instances = new Set()
  for (let i = 0; i < 3; i++) {
    const { headers, body } = await refused(connection, post())
    t.equal(headers.get('content-type'), 'application/problem+json; charset=utf-8')
    t.equal(headers.get('retry-after'), '1')
    t.equal(headers.get('connection'), 'keep-alive')
    const { instance, ...problem } = JSON.parse(body)
    instances.add(instance)
    t.match(instance, /^[0-9a-f-]{36}$/)
    t.same(problem, {
      type: 'urn:problem-type:ksr:overloaded',
      title: 'Service Unavailable',
      status: 503,
      detail: 'There are more requests than can be answered in time.',
      code: 'KSR_OVERLOADED',
    })
  }
  t.equal(instances.size, 3)
  const { 200: served, 503: sent, ...others } = (await callers.after(1000)) as { 200: number; 503: number }
  t.ok(served > 100 && sent > 100, `${served} served, ${sent} refused`)
  t.same(others, {})
  t.ok(app.overloadRefusals() >= sent)

  await until(() => told().length > 1)
  callers.stop()
  await until(() => told().length > 2)
  t.notOk(app.isOverloaded())
  t.match(told(), [
    { level: 40, msg: 'overloaded: what can not be answered in time is refused' },
    { level: 40, msg: 'still overloaded' },
    { level: 30, msg: 'no longer overloaded', refused: app.overloadRefusals() },
  ])
  connection.write(post())
  t.equal((await connection.answer())?.status, 200)
})

t.test('health and metrics are answered all the same', async (t) => {
  const { url } = await overloaded(t, { BASE_PATH: '/api' })
  const connection = await Connection.open(url)
  for (const path of ['/health', '/health/ready?x', '/health/live', '/api/health/ready']) {
    for (let i = 0; i < 10; i++) {
      connection.write(`GET ${path} HTTP/1.1\r\nhost: test\r\n\r\n`)
      t.equal((await connection.answer())?.status, 200, path)
    }
  }
  t.equal((await refused(connection, post('', '/healthy', 'POST'))).status, 503, 'but nothing else')
})

t.test('but not any number of them', async (t) => {
  const { url } = await overloaded(t)
  const probes = 'GET /health HTTP/1.1\r\nhost: test\r\n\r\n'.repeat(100)
  const connection = await Connection.open(url)
  connection.write(probes)
  const statuses = []
  for (let i = 0; i < 100; i++) statuses.push((await connection.answer())?.status)
  t.ok(statuses.includes(503))
  t.ok(statuses.includes(200))
})

t.test('refusals keep to the protocol where something is unusual', async (t) => {
  const { url } = await overloaded(t)
  // Of HEAD nothing but the head, so that the next answer is found where it begins.
  const connection = await Connection.open(url)
  for (let i = 0; i < 20; i++) {
    connection.write('HEAD /models HTTP/1.1\r\nhost: test\r\n\r\n')
    const head = await connection.head()
    t.match(head?.status, /^(200|503)$/)
  }
  await refused(connection, post())

  for (const [what, request] of [
    ['a body that waits to be asked for', post('expect: 100-continue\r\n')],
    [
      'a body past the limit',
      'POST /predict/rf HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: 70000\r\n\r\n{',
    ],
    [
      'a body without a length',
      'POST /predict/rf HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n',
    ],
    ['a caller that closes', post('connection: close\r\n')],
    ['HTTP/1.0', post('', '/predict/rf', 'POST', '1.0')],
  ] as const) {
    const answer = await oneRefusal(url, request)
    t.equal(answer.headers.get('connection'), 'close', what)
    t.match(JSON.parse(answer.body), { code: 'KSR_OVERLOADED' })
  }
})

/** Asks over new connections until it is refused. */
async function oneRefusal(url: string, request: string): Promise<Answer> {
  for (let i = 0; i < 500; i++) {
    const connection = await Connection.open(url)
    connection.write(request)
    let answer = await connection.answer()
    if (answer?.status === 100) answer = await connection.answer()
    connection.destroy()
    if (answer?.status === 503) return answer
  }
  throw new Error('it was never refused')
}

t.test('requests one behind the other are answered in their order', async (t) => {
  const { url } = await overloaded(t)
  const connection = await Connection.open(url)
  let both = 0
  for (let i = 0; i < 50; i++) {
    // The model that does not exist is answered at once, the other at the end of the turn.
    connection.write(post() + post('', '/predict/knn') + post())
    const statuses = []
    for (let j = 0; j < 3; j++) statuses.push((await connection.answer())?.status)
    t.match(statuses.join(), /^(200|503),(404|503),(200|503)$/)
    if (new Set(statuses).size > 1) both++
  }
  t.comment(`${both} times not all the same`)
})

t.test('while it closes, a refusal is the last answer of its connection', async (t) => {
  const { app, url } = await overloaded(t)
  const connection = await Connection.open(url)
  await refused(connection, post())
  const closed = app.close()
  await until(() => app.isDraining())
  const answer = await refusedOrLast(connection)
  t.equal(answer?.headers.get('connection'), 'close')
  await closed
})

async function refusedOrLast(connection: Connection): Promise<Answer | undefined> {
  connection.write(post())
  return connection.answer()
}

t.test('it can be turned off', async (t) => {
  const { app, url, told } = await listen(t, { OVERLOAD_MS: '0' })
  const callers = flood(t, url, post(), MANY)
  t.same(Object.keys(await callers.after(3000)), ['200'])
  t.same([app.isOverloaded(), app.overloadRefusals(), told()], [false, 0, []])
})

t.test('64 callers that wait for their answers are all served at the defaults', async (t) => {
  const { url, told } = await listen(t, {})
  const callers = flood(t, url, post(), 64)
  t.same(Object.keys(await callers.after(3000)), ['200'])
  t.same(told(), [])
})

t.test('what is injected, as on Lambda, is never refused', async (t) => {
  const { app } = await overloaded(t)
  const asked = Array.from({ length: 300 }, () =>
    app.inject({ method: 'POST', url: '/predict/rf', payload: SUMMARY }),
  )
  for (const { statusCode } of await Promise.all(asked)) t.equal(statusCode, 200)
})
