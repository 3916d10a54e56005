import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { SUMMARY } from './fixtures/build.js'
import { Connection } from './fixtures/connection.js'
import { copyModels } from './fixtures/models.js'
import { address, output, start } from './fixtures/server.js'

t.test('it serves on a real socket until SIGTERM, then finishes what is in flight', async (t) => {
  const server = start({})
  t.teardown(() => server.kill('SIGKILL'))
  const exited = once(server, 'exit')
  const url = await address(server)
  const body = JSON.stringify(SUMMARY)
  const headers = { 'content-type': 'application/json' }

  const answer = await fetch(`${url}/predict/rf`, { method: 'POST', headers, body })
  t.match(await answer.json(), { user: 84 })

  // A request whose second half comes after the signal.
  const agent = new Agent({ keepAlive: true })
  const inFlight = request(`${url}/predict/svm`, {
    method: 'POST',
    agent,
    headers: { ...headers, 'content-length': body.length },
  })
  const answered = once(inFlight, 'response')
  inFlight.write(body.slice(0, 20))
  await new Promise((resolve) => setTimeout(resolve, 100))
  server.kill('SIGTERM')
  await t.rejects(
    until(() => fetch(`${url}/health`)),
    'no new connection is taken',
  )
  inFlight.end(body.slice(20))
  const [response] = await answered
  t.equal(response.statusCode, 200)
  t.equal(response.headers.connection, 'close')
  t.match(JSON.parse(await output(response)), { user: 84 })
  t.same(await exited, [0, null])
})

/** Asks again and again until it fails, for a few seconds at most. */
async function until(ask: () => Promise<unknown>): Promise<void> {
  for (let i = 0; i < 100; i++) {
    await ask()
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

t.test(
  'a connection that is idle when it begins to stop gets an answer yet, which says that it closes',
  async (t) => {
    const server = start({})
    t.teardown(() => server.kill('SIGKILL'))
    const exited = once(server, 'exit')
    const url = await address(server)
    const ask = 'GET /health/ready HTTP/1.1\r\nhost: test\r\n\r\n'
    const connection = await Connection.open(url)
    connection.write(ask)
    t.equal((await connection.answer())?.status, 200)
    const closing = output(server.stdout, /"msg":"closing"/)
    server.kill('SIGTERM')
    await closing
    await new Promise((resolve) => setTimeout(resolve, 100))
    connection.write(ask)
    const answer = await connection.answer()
    t.equal(answer?.status, 503)
    t.equal(answer?.headers.get('connection'), 'close')
    t.same(await exited, [0, null])
  },
)

t.test('connections that never sent a request do not hold it up', async (t) => {
  const server = start({})
  t.teardown(() => server.kill('SIGKILL'))
  const exited = once(server, 'exit')
  const { port } = new URL(await address(server))
  const silent = connect(Number(port), '127.0.0.1').on('error', () => {})
  await once(silent, 'connect')
  server.kill('SIGTERM')
  t.same(await exited, [0, null])
})

t.test('a fault that nothing catches is logged, and ends the process in good order', async (t) => {
  const fault = "process.once('message', () => { throw new Error('a fault') })"
  const server = start({}, `--import=data:text/javascript,${encodeURIComponent(fault)}`)
  t.teardown(() => server.kill('SIGKILL'))
  const exited = once(server, 'exit')
  await output(server.stdout, /Server listening/)
  const rest = output(server.stdout)
  server.send('now')
  t.match(await rest, /"level":60.*"message":"a fault".*"msg":"closing after a fault"/)
  t.same(await exited, [1, null])
})

t.test('it does not start where something is not right, and says what in one line', async (t) => {
  const dir = copyModels(t)
  rmSync(join(dir, 'xgb.onnx'))
  for (const [settings, reason] of [
    [
      { PORT: 'x' },
      /^The service does not start\. The environment is not right: PORT must be a whole number\.\n$/,
    ],
    [{ MODEL_DIR: dir }, /^The service does not start\. .*xgb\.onnx: it can not be read \(ENOENT\)\.\n$/],
    [{ HOST: '203.0.113.1' }, /^The service does not start\. listen EADDRNOTAVAIL.*\n$/],
  ] as const) {
    const server = start(settings)
    const exited = once(server, 'exit')
    t.match(await output(server.stderr), reason)
    t.same(await exited, [1, null])
  }
})
