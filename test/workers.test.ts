import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import { SUMMARY } from './fixtures/build.js'
import { Connection, post } from './fixtures/connection.js'
import { copyModels, MODELS, putModels, TYPISTS } from './fixtures/models.js'
import { logLines, output, start } from './fixtures/server.js'

const ASK = post('/predict/rf', SUMMARY)

t.test('several workers serve on one port', async (t) => {
  const server = start({ WORKERS: '2', MODELS: 'rf' })
  t.teardown(() => server.kill('SIGKILL'))
  const exited = once(server, 'exit')
  const lines = logLines(server)
  const [first, second] = [await lines(/Server listening/), await lines(/Server listening/)]
  t.not(first.pid, second.pid)
  const url = /http:\S+\d/.exec(first.msg)?.[0] as string
  const callers: { connection: Connection; pid: number }[] = []
  for (let i = 0; i < 6; i++) {
    const connection = await Connection.open(url)
    t.teardown(() => connection.destroy())
    connection.write(ASK)
    t.equal((await connection.answer())?.status, 200)
    callers.push({ connection, pid: (await lines(/request completed/)).pid })
  }
  t.same(new Set(callers.map(({ pid }) => pid)), new Set([first.pid, second.pid]))

  // One that is killed takes with it what is in flight on its connections, and nothing else.
  let calling = true
  const called = Promise.all(
    callers.map(async ({ connection, pid }) => {
      while (calling) {
        connection.write(ASK)
        const answer = await connection.answer()
        if (answer === undefined) return { pid, lost: 1 }
        if (answer.status !== 200) t.fail(`answered ${answer.status}`)
      }
      return { pid, lost: 0 }
    }),
  )
  await wait(200)
  const ended = output(server.stderr, /takes its place/)
  process.kill(first.pid, 'SIGKILL')
  t.match(await ended, /^A worker ended \(SIGKILL\); another takes its place in \d+ ms\.\n$/)
  const third = await lines(/Server listening/)
  t.notOk([first.pid, second.pid].includes(third.pid))
  calling = false
  for (const { pid, lost } of await called) t.equal(lost, pid === first.pid ? 1 : 0)

  server.kill('SIGHUP')
  for (let i = 0; i < 2; i++) await lines(/reloaded: nothing has changed/)

  // As a terminal does: to all of them.
  for (const pid of [second.pid, third.pid]) process.kill(pid, 'SIGINT')
  server.kill('SIGINT')
  t.same(await exited, [0, null])
})

t.test('told to stop before its workers are up, it stops as well', async (t) => {
  for (const signal of ['SIGTERM', 'SIGUSR2'] as const) {
    const server = start({ WORKERS: '2' })
    t.teardown(() => server.kill('SIGKILL'))
    const exited = once(server, 'exit')
    await forked(server, 2)
    server.kill(signal)
    t.same(await exited, [0, null], signal)
  }
})

t.test(
  'told to reload, each worker does, also one that is not up yet; told twice to stop, none waits',
  async (t) => {
    const dir = copyModels(t)
    const server = start({ WORKERS: '2', MODEL_DIR: dir, MODELS: 'rf' })
    t.teardown(() => server.kill('SIGKILL'))
    const exited = once(server, 'exit')
    const lines = logLines(server)
    await forked(server, 2)
    server.kill('SIGHUP')
    await lines(/reloaded: nothing has changed/)
    await lines(/reloaded: nothing has changed/)
    putModels(dir, TYPISTS)
    server.kill('SIGHUP')
    const [first, second] = [await lines(/other models are served/), await lines(/other models are served/)]
    t.not(first.pid, second.pid)

    server.kill('SIGTERM')
    await lines(/closing/)
    server.kill('SIGINT')
    t.same(await exited, [1, null])
  },
)

t.test('workers that end soon are replaced after pauses that grow, while others serve', async (t) => {
  const dir = copyModels(t)
  const server = start({ WORKERS: '2', MODEL_DIR: dir, MODELS: 'rf' })
  t.teardown(() => server.kill('SIGKILL'))
  const exited = once(server, 'exit')
  const lines = logLines(server)
  const first = await lines(/Server listening/)
  const second = await lines(/Server listening/)
  const url = /http:\S+\d/.exec(first.msg)?.[0] as string

  rmSync(join(dir, 'rf.onnx'))
  const said = output(server.stderr, / in 400 ms/)
  process.kill(first.pid, 'SIGKILL')
  t.match(
    await said,
    /^A worker ended \(SIGKILL\); another takes its place in 200 ms\.\n.*rf\.onnx: it can not be read.*\nA worker ended \(1\); another takes its place in 400 ms\.\n$/,
  )
  const began = performance.now()
  t.equal((await fetch(`${url}/health`)).status, 200)
  putModels(dir, MODELS)
  let latest = await lines(/Server listening/)
  t.ok(performance.now() - began > 350)
  for (const pause of [800, 1600]) {
    const said = output(server.stderr, /takes its place/)
    process.kill(latest.pid, 'SIGKILL')
    t.match(await said, ` in ${pause} ms`)
    latest = await lines(/Server listening/)
  }

  // One that has served for long ends for another reason.
  await wait(10_500)
  const replaced = output(server.stderr, /takes its place/)
  process.kill(second.pid, 'SIGKILL')
  t.match(await replaced, / in 100 ms/)
  const fourth = await lines(/Server listening/)

  // None is made once it stops.
  const ended = output(server.stderr, / in 200 ms/)
  process.kill(fourth.pid, 'SIGKILL')
  await ended
  server.kill('SIGTERM')
  t.same(await exited, [0, null])
})

t.test('workers that can not even be made end the whole', async (t) => {
  const nowhere = encodeURIComponent("process.execPath = '/nowhere/node'")
  const server = start({ WORKERS: '2' }, `--import=data:text/javascript,${nowhere}`)
  const exited = once(server, 'exit')
  t.match(await output(server.stderr), /A worker can not be started: .*ENOENT/)
  t.same(await exited, [1, null])
})

t.test('workers that can not start end the whole', async (t) => {
  const dir = copyModels(t)
  rmSync(join(dir, 'xgb.onnx'))
  const server = start({ WORKERS: '2', MODEL_DIR: dir })
  const exited = once(server, 'exit')
  t.match(await output(server.stderr), /The service does not start\. .*xgb\.onnx: it can not be read/)
  t.same(await exited, [1, null])
})

/** Waits until a process has so many children. */
async function forked({ pid }: ChildProcess, count: number): Promise<void> {
  const children = `/proc/${pid}/task/${pid}/children`
  while (readFileSync(children, 'utf8').trim().split(' ').length < count) await wait(20)
}
