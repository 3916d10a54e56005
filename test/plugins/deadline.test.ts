import { setTimeout as wait } from 'node:timers/promises'
import Fastify, { type FastifyRequest } from 'fastify'
import t from 'tap'
import { deadline } from '../../src/plugins/deadline.js'
import { RequestLog } from '../../src/plugins/request-log.js'
import { build } from '../fixtures/build.js'
import { captureLog } from '../fixtures/log.js'

const NEVER = new Promise(() => {})

// The service's own timer keeps no process alive, and neither does a request that is injected.
const alive = setInterval(() => {}, 1000)
t.teardown(() => clearInterval(alive))

t.test('what is not answered in time is 503, and what is answered is left alone', async (t) => {
  const requests = new RequestLog()
  const app = Fastify({ logger: { level: 'silent' }, logController: requests })
  t.teardown(() => app.close())
  app.register(deadline, { requests, answerWithinMs: 100, lookEveryMs: 10 })
  app.get('/never', () => NEVER)
  app.get('/late', () => wait(200, 'late'))
  app.get('/soon', () => wait(20, 'soon'))
  app.get('/slowly', (_request: FastifyRequest, reply) => {
    reply.hijack()
    setTimeout(() => reply.raw.end('slowly'), 200)
  })
  for (const url of ['/never', '/late']) {
    const answer = await app.inject(url)
    t.match(answer.json(), { code: 'KSR_TIMEOUT' }, url)
    t.equal(answer.statusCode, 503)
  }
  t.equal((await app.inject('/soon')).body, 'soon')
  t.equal((await app.inject('/slowly')).body, 'slowly')
  await wait(200)
  t.equal(requests.inFlight, 0)
})

t.test('what comes too late is not logged, nor the URL that it was asked by', async (t) => {
  const { logTo, text, lines } = captureLog()
  const requests = new RequestLog()
  const app = Fastify({ logger: { level: 'trace', stream: logTo }, logController: requests })
  t.teardown(() => app.close())
  app.setErrorHandler((_error, _request, reply) => reply.code(503).send({}))
  app.register(deadline, { requests, answerWithinMs: 100, lookEveryMs: 10 })
  app.get('/late', () => wait(200, 'late'))
  app.get('/fails', () => wait(200).then(() => Promise.reject(new Error('too late'))))
  for (const url of ['/late?secret', '/fails?secret']) t.equal((await app.inject(url)).statusCode, 503)
  await wait(300)
  t.ok(lines().length > 0)
  t.notMatch(text(), /[?]secret/)
})

t.test('the service answers a route that hangs with a problem that says when to come again', async (t) => {
  const app = build(t, {})
  app.get('/never', () => NEVER)
  const started = performance.now()
  const answer = await app.inject('/never')
  t.match(answer.json(), { status: 503, code: 'KSR_TIMEOUT', detail: 'The answer took too long.' })
  t.equal(answer.headers['retry-after'], '1')
  t.ok(performance.now() - started >= 15_000)
})
