import { once } from 'node:events'
import { type AddressInfo, connect } from 'node:net'
import Fastify, { type FastifyReply, type FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import { coded } from '../../src/errors.js'
import { audit } from '../../src/plugins/audit.js'
import { captureLog } from '../fixtures/log.js'

/** An app whose one audited route does what is wanted; and what is noted of it. */
async function service(
  t: Test,
  handler: (request: FastifyRequest, reply: FastifyReply) => unknown,
  before?: (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>,
) {
  const log = captureLog()
  const app = Fastify({ logger: { level: 'error', stream: log.logTo as { write(line: string): void } } })
  t.teardown(() => app.close())
  await app.register(audit)
  if (before !== undefined) app.addHook('preHandler', before)
  app.get('/texts/:text', { config: { audit: 'export' } }, async (request, reply) => handler(request, reply))
  app.post('/texts/:text', { config: { audit: 'verify' } }, async (request, reply) => handler(request, reply))
  app.get('/other', async () => 'nothing')
  const noted = () => log.lines().flatMap(({ audit }) => (audit === undefined ? [] : [audit]))
  return { app, noted }
}
const text = 'login'

t.test('what a handler does is noted once, for HEAD, too, and what is not to be audited never', async (t) => {
  const { app, noted } = await service(t, () => 'well')
  await app.inject('/texts/login')
  await app.inject({ method: 'HEAD', url: '/texts/login' })
  await app.inject('/other')
  const line = { action: 'export', text, outcome: 'done' }
  t.same(noted(), [line, line])
})

t.test('what it notes itself is all there is, unless it is refused', async (t) => {
  let refuse = false
  const { app, noted } = await service(t, (request) => {
    request.audit('kept', 'anna')
    request.audit('done', 'ben')
    if (refuse) throw coded('KSR_LIMIT', [2, 'users'])
    return 'well'
  })
  const lines = [
    { action: 'export', text, user: 'anna', outcome: 'kept' },
    { action: 'export', text, user: 'ben', outcome: 'done' },
  ]
  await app.inject('/texts/login')
  t.same(noted(), lines)
  refuse = true
  await app.inject('/texts/login')
  t.same(noted(), [...lines, ...lines, { action: 'export', text, outcome: 'refused (409)' }])
})

t.test('whoever is claimed in vain is noted, and what fails as refused', async (t) => {
  const { app, noted } = await service(t, () => {
    throw new Error('no disk')
  })
  await app.inject({ method: 'POST', url: '/texts/login', payload: { user: 'anna' } })
  await app.inject({ method: 'HEAD', url: '/texts/login' })
  t.same(noted(), [
    { action: 'verify', text, user: 'anna', outcome: 'refused (500)' },
    { action: 'export', text, outcome: 'refused (500)' },
  ])
})

t.test('what stands before the handler refuses, or repeats an answer', async (t) => {
  let refuse = true
  const { app, noted } = await service(
    t,
    () => 'well',
    async (_, reply) => {
      if (refuse) throw coded('KSR_CLAIMS_PAUSED', [1])
      return reply.send('as before')
    },
  )
  await app.inject('/texts/login')
  refuse = false
  await app.inject('/texts/login')
  t.same(noted(), [
    { action: 'export', text, outcome: 'refused (429)' },
    { action: 'export', text, outcome: 'repeated' },
  ])
})

t.test('what is done after its time is noted, and what nobody waits for any more', async (t) => {
  let go = () => {}
  const { app, noted } = await service(t, async (request, reply) => {
    await new Promise<void>((resolve) => {
      go = resolve
      if (request.headers['x-late'] === undefined) return
      reply.code(503).send('too late')
      reply.hijack()
    })
    return 'well'
  })
  await app.inject({ url: '/texts/login', headers: { 'x-late': 'yes' } })
  t.same(noted(), [])
  go()
  await new Promise(setImmediate)
  const line = { action: 'export', text, outcome: 'done' }
  t.same(noted(), [line])
  await app.listen({ port: 0 })
  go = () => {}
  const arrived = new Promise<void>((resolve) => {
    app.server.once('request', () => resolve())
  })
  const socket = connect((app.server.address() as AddressInfo).port, '127.0.0.1')
  socket.write('GET /texts/login HTTP/1.1\r\nhost: x\r\n\r\n')
  await arrived
  await new Promise(setImmediate)
  socket.destroy()
  await once(socket, 'close')
  await new Promise((resolve) => setTimeout(resolve, 50))
  t.same(noted(), [line])
  go()
  await new Promise(setImmediate)
  t.same(noted(), [line, line])
})
