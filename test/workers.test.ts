import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import t from 'tap'
import { SUMMARY } from './fixtures/build.js'
import { copyModels } from './fixtures/models.js'
import { output, start } from './fixtures/server.js'

t.test('several workers serve on one port, and one that dies is replaced', async (t) => {
  const server = start({ WORKERS: '2' })
  t.teardown(() => server.kill('SIGKILL'))
  const exited = once(server, 'exit')
  const lines = logLines(server)
  const [first, second] = [await lines(/Server listening/), await lines(/Server listening/)]
  t.not(first.pid, second.pid)
  const url = /http:\S+\d/.exec(first.msg)?.[0] as string
  const answeredBy = async () => {
    // One connection each, for a connection stays with its worker.
    const headers = { 'content-type': 'application/json', connection: 'close' }
    await fetch(`${url}/predict/rf`, { method: 'POST', headers, body: JSON.stringify(SUMMARY) })
    return (await lines(/request completed/)).pid
  }
  t.equal(new Set([await answeredBy(), await answeredBy(), await answeredBy(), await answeredBy()]).size, 2)

  const ended = output(server.stderr, /takes its place/)
  process.kill(first.pid, 'SIGKILL')
  t.match(await ended, /^A worker ended \(SIGKILL\); another takes its place\.\n$/)
  const third = await lines(/Server listening/)
  t.notOk([first.pid, second.pid].includes(third.pid))
  t.ok([second.pid, third.pid].includes(await answeredBy()))

  // As a terminal does: to all of them.
  for (const pid of [second.pid, third.pid]) process.kill(pid, 'SIGINT')
  server.kill('SIGINT')
  t.same(await exited, [0, null])
})

t.test('told to stop before its workers are up, it stops as well', async (t) => {
  const server = start({ WORKERS: '2' })
  t.teardown(() => server.kill('SIGKILL'))
  const exited = once(server, 'exit')
  const children = `/proc/${server.pid}/task/${server.pid}/children`
  while (readFileSync(children, 'utf8').trim().split(' ').length < 2) {
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  server.kill('SIGTERM')
  t.same(await exited, [0, null])
})

t.test('told twice to stop, it does not wait for what is in flight', async (t) => {
  const server = start({ WORKERS: '2' })
  t.teardown(() => server.kill('SIGKILL'))
  const exited = once(server, 'exit')
  const lines = logLines(server)
  await lines(/Server listening/)
  await lines(/Server listening/)
  server.kill('SIGHUP')
  await lines(/closing/)
  server.kill('SIGHUP')
  t.same(await exited, [1, null])
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

/** Finds one line of the log after another. */
function logLines({ stdout }: ChildProcess) {
  const lines = createInterface({ input: stdout as Readable })[Symbol.asyncIterator]()
  return async (wanted: RegExp): Promise<{ pid: number; msg: string }> => {
    for (;;) {
      const { value, done } = await lines.next()
      if (done) throw new Error(`no line ${wanted}`)
      const line = JSON.parse(value)
      if (wanted.test(line.msg)) return line
    }
  }
}
