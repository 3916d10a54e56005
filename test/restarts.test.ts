import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type Counts, startCallers } from '../bench/lib/callers.mjs'
import { SUMMARY } from './fixtures/build.js'
import { post } from './fixtures/connection.js'
import { address, start } from './fixtures/server.js'

const CONNECTIONS = 16
const RESTARTS = 3

/** A service that is asked all the time, whether it is there or not. */
async function called(t: Test) {
  const begin = async (port: string) => {
    const server = start({ PORT: port, MODELS: 'rf' })
    t.teardown(() => server.kill('SIGKILL'))
    const exited = once(server, 'exit')
    return { server, exited, port: new URL(await address(server)).port }
  }
  const first = await begin('0')
  const { port } = first
  const check = (body: string) => t.match(JSON.parse(body), { user: 84 })
  const load = { port: Number(port), requests: [post('/predict/rf', SUMMARY)], check }
  const callers = startCallers(load, { connections: CONNECTIONS })
  return { first, again: () => begin(port), callers }
}

/** Waits until more are answered. */
async function answers(counts: Counts): Promise<void> {
  const until = counts.answered + 10 * CONNECTIONS
  while (counts.answered < until) await wait(10)
}

function swallow({ stdout }: ChildProcess): void {
  stdout?.resume()
}

t.test('callers tell a wrong answer, one of another status and none at all from each other', async (t) => {
  const server = createServer((request, response) => {
    request.resume()
    if (request.url === '/none') return request.socket.destroy()
    response.writeHead(request.url === '/500' ? 500 : 200, { 'content-length': 1 }).flushHeaders()
    setTimeout(() => response.end('1'), 10)
  })
  t.teardown(() => server.close())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  const requests = ['/right', '/500', '/wrong', '/none'].map((path) => post(path, {}))
  const check = (_body: string, index: number) => {
    if (index === 2) throw new Error('not as it should be')
  }
  const callers = startCallers({ port, requests, check }, { connections: 1 })
  while (callers.counts.lost < 1) await wait(5)
  const { failed, faults } = await callers.stop()
  t.ok(failed >= 2)
  t.match(faults, ['failed: answered 500: 1', /^lost: /])
})

t.test('restarted under load again and again, it answers every request that it got', async (t) => {
  const { first, again, callers } = await called(t)
  let { server, exited } = first
  for (let i = 0; i < RESTARTS; i++) {
    swallow(server)
    await answers(callers.counts)
    server.kill('SIGTERM')
    t.same(await exited, [0, null])
    ;({ server, exited } = await again())
  }
  swallow(server)
  await answers(callers.counts)
  const { lost, failed, refused, faults } = await callers.stop()
  t.same({ lost, failed, faults }, { lost: 0, failed: 0, faults: [] })
  t.ok(refused > 0, 'it was away')
  server.kill('SIGTERM')
  t.same(await exited, [0, null])
})

t.test('killed under load and started again, it has lost nothing but what was in flight', async (t) => {
  const { first, again, callers } = await called(t)
  swallow(first.server)
  await answers(callers.counts)
  first.server.kill('SIGKILL')
  t.same(await first.exited, [null, 'SIGKILL'])
  await wait(50)
  // One a connection, and those that came again at once while the system was still taking it down.
  t.ok(callers.counts.lost <= 2 * CONNECTIONS)
  const { lost } = callers.counts
  const { server, exited } = await again()
  swallow(server)
  await answers(callers.counts)
  const counts = await callers.stop()
  t.same({ lost: counts.lost, failed: counts.failed }, { lost, failed: 0 })
  server.kill('SIGTERM')
  t.same(await exited, [0, null])
})
