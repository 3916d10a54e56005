import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import { SUMMARY } from './fixtures/build.js'
import { Connection, post } from './fixtures/connection.js'
import { faultyModels } from './fixtures/faulty.js'
import { copyModels } from './fixtures/models.js'
import { address, output, SERVER, start } from './fixtures/server.js'

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

t.test('connections that never sent a request, or not all of it, do not hold it up', async (t) => {
  const server = start({})
  t.teardown(() => server.kill('SIGKILL'))
  const exited = once(server, 'exit')
  const { port } = new URL(await address(server))
  const silent = connect(Number(port), '127.0.0.1').on('error', () => {})
  await once(silent, 'connect')
  const slow = await Connection.open(`http://127.0.0.1:${port}`)
  slow.write(post('/predict/rf', SUMMARY).slice(0, -20))
  server.kill('SIGTERM')
  t.same(await exited, [0, null])
})

t.test('told twice to stop, it does not wait for a request that hangs', async (t) => {
  const server = start({ MODELS: 'rf' })
  t.teardown(() => server.kill('SIGKILL'))
  const exited = once(server, 'exit')
  const hanging = await Connection.open(await address(server))
  hanging.write(post('/predict/rf', SUMMARY).slice(0, -20))
  const closing = output(server.stdout, /"msg":"closing"/)
  server.kill('SIGTERM')
  await closing
  const second = output(server.stdout)
  server.kill('SIGTERM')
  t.match(await second, /second SIGTERM, exiting/)
  t.same(await exited, [1, null])
})

t.test('where a person runs it in a terminal, closing this stops it', async (t) => {
  const dir = t.testdir({})
  const log = join(dir, 'log')
  const words = [process.execPath, ...process.execArgv, SERVER].map((word) => `'${word}'`).join(' ')
  const terminal = spawn('script', ['-qc', `exec ${words} >${log}`, '/dev/null'], {
    env: { ...process.env, PORT: '0', MODELS: 'rf' },
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  t.teardown(() => terminal.kill('SIGKILL'))
  const logged = async (wanted: RegExp) => {
    for (;;) {
      const found = existsSync(log) ? wanted.exec(readFileSync(log, 'utf8')) : null
      if (found !== null) return found[0]
      await wait(20)
    }
  }
  const url = await logged(/http:\/\/127\.0\.0\.1:\d+/)
  t.equal((await fetch(`${url}/health`)).status, 200)
  terminal.kill('SIGKILL')
  await logged(/"signal":"SIGHUP","msg":"closing"/)
  await t.rejects(until(() => fetch(`${url}/health`)))
})

t.test('what a model says of a row that it fails at is not written anywhere', async (t) => {
  const server = start({ MODEL_DIR: faultyModels(t), LOG_LEVEL: 'trace' })
  t.teardown(() => server.kill('SIGKILL'))
  const connection = await Connection.open(await address(server))
  const [stdout, stderr] = [output(server.stdout), output(server.stderr)]
  // The logarithm of the first time is the place of nothing: 11.
  const keystrokes = [
    { press: 0, release: 98765 },
    { press: 98770, release: 98773 },
  ]
  connection.write(post('/predict/throwing', { keystrokes }))
  const answer = await connection.answer()
  t.equal(answer?.status, 500)
  server.kill('SIGTERM')
  const written = (await stdout).split('\n').filter((line) => line.includes('request failed'))
  t.match(written, [/"message":"throwing: ONNX Runtime fails at Gather"/])
  t.notMatch(written[0]?.replace(/"(time|pid|reqId)":[^,]*/g, ''), /9877|98765|\b11\b|idx/)
  t.equal(await stderr, '')
})

t.test('a fault of native code ends the process at once', async (t) => {
  const server = start({ MODELS: 'rf' })
  t.teardown(() => server.kill('SIGKILL'))
  const exited = once(server, 'exit')
  await address(server)
  server.kill('SIGSEGV')
  t.same(await exited, [null, 'SIGSEGV'])
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
