import { spawn } from 'node:child_process'
import t from 'tap'
import { SUMMARY } from '../fixtures/build.js'
import { Connection } from '../fixtures/connection.js'
import { buildImages, compose, inspect } from '../fixtures/docker.js'

const HALF_SENT = 20
const BUSY = 4
const GRACE_MS = 15_000
const body = JSON.stringify(SUMMARY)
const head = (path: string, ...lines: string[]) =>
  [`POST ${path} HTTP/1.1`, 'host: test', 'content-type: application/json', `content-length: ${body.length}`]
    .concat(lines, '\r\n')
    .join('\r\n')

t.before(buildImages)

t.test('docker compose stop loses no request, and is done in time', async (t) => {
  const { command, id, url } = compose()
  await command('up', '--wait', '--no-build', 'server')
  const container = await id('server')
  const at = await url('server', 3000)

  const halfSent = await Promise.all(Array.from({ length: HALF_SENT }, () => Connection.open(at)))
  for (const connection of halfSent) {
    connection.write(head('/predict/svm', 'expect: 100-continue'))
    // The server knows of the request: it asks for the rest.
    t.equal((await connection.answer())?.status, 100)
    connection.write(body.slice(0, body.length / 2))
  }
  const busy = Array.from({ length: BUSY }, () => keepAsking(at))

  const closing = logged(container, '"msg":"closing"')
  const began = Date.now()
  const stopped = command('stop', 'server')
  t.ok(await closing)
  for (const connection of halfSent) connection.write(body.slice(body.length / 2))
  const answers = await Promise.all(halfSent.map((connection) => connection.answer()))
  await stopped
  const took = Date.now() - began

  for (const answer of answers) {
    t.equal(answer?.status, 200)
    t.equal(answer?.headers.get('connection'), 'close')
    t.match(JSON.parse(answer?.body ?? '{}'), { user: 84 })
  }
  for (const { answered, lost, wrong } of await Promise.all(busy)) {
    t.comment(`${answered} requests of a busy connection`)
    t.not(answered, 0)
    t.same({ lost, wrong }, { lost: 0, wrong: 0 })
  }
  t.comment(`it stopped within ${took} ms`)
  t.ok(took < GRACE_MS / 2)
  t.match((await inspect(container)).State, { Status: 'exited', ExitCode: 0, OOMKilled: false })
})

/** Asks over one connection, request after request, until the server says or shows that it closes. */
async function keepAsking(url: string) {
  const seen = { answered: 0, lost: 0, wrong: 0 }
  const connection = await Connection.open(url)
  while (!connection.closed) {
    connection.write(head('/predict/rf') + body)
    const answer = await connection.answer()
    if (answer === undefined) seen.lost++
    else if (answer.status === 200 && JSON.parse(answer.body).user === 84) seen.answered++
    else seen.wrong++
    if (answer?.headers.get('connection') === 'close') break
  }
  connection.destroy()
  return seen
}

/** Waits until a container has logged a text; whether it ever did. */
async function logged(container: string, text: string): Promise<boolean> {
  const logs = spawn('docker', ['logs', '--follow', container], { stdio: ['ignore', 'pipe', 'ignore'] })
  let seen = ''
  for await (const chunk of logs.stdout) {
    seen += chunk
    if (seen.includes(text)) break
  }
  logs.kill()
  return seen.includes(text)
}
