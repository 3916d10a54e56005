import { once } from 'node:events'
import { mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startCallers } from '../bench/lib/callers.mjs'
import { SUMMARY } from './fixtures/build.js'
import { post } from './fixtures/connection.js'
import { copyModels, editManifest, MODELS, TYPISTS } from './fixtures/models.js'
import { address, output, start } from './fixtures/server.js'

/** A folder that is another one in one step: a link which is moved. */
function link(t: Test) {
  const dir = t.testdir({})
  const current = join(dir, 'current')
  let moves = 0
  return {
    current,
    moveTo(target: string) {
      const next = join(dir, `next-${moves++}`)
      symlinkSync(target, next)
      renameSync(next, current)
    },
  }
}

t.test('models are exchanged on SIGHUP under load, bad ones refused, and no request fails', async (t) => {
  const bad = copyModels(t)
  rmSync(join(bad, 'rf.onnx'))
  mkdirSync(join(bad, 'rf.onnx'))
  // Else it would be the manifest that is served.
  editManifest(bad, (manifest) => Object.assign(manifest.models[0] ?? {}, { title: 'another' }))
  const { current, moveTo } = link(t)
  moveTo(MODELS)
  const server = start({ MODEL_DIR: current, MODELS: 'rf' })
  t.teardown(() => server.kill('SIGKILL'))
  const exited = once(server, 'exit')
  const { port } = new URL(await address(server))
  const seen = new Set<string>()
  const load = {
    port: Number(port),
    requests: [post('/predict/rf', SUMMARY)],
    check: (answer: string) => seen.add(answer),
  }
  const callers = startCallers(load, { connections: 8 })
  for (const [target, said] of [
    [TYPISTS, /other models are served/],
    [bad, /rf\.onnx: it can not be read \(EISDIR\)/],
    [MODELS, /other models are served/],
    [TYPISTS, /other models are served/],
    [TYPISTS, /nothing has changed/],
    [bad, /rf\.onnx: it can not be read \(EISDIR\)/],
    [MODELS, /other models are served/],
  ] as const) {
    moveTo(target)
    const logged = output(server.stdout, said)
    server.kill('SIGHUP')
    t.match(await logged, said)
  }
  const { answered, faults } = await callers.stop()
  t.same(faults, [])
  t.ok(answered > 20)
  t.equal(seen.size, 2, 'each answer is that of one set or of the other')
  server.kill('SIGTERM')
  t.same(await exited, [0, null])
})

t.test('told to reload before it is up, it does once it is', async (t) => {
  // As soon as it listens to the signal, it gets it.
  const early = `const poll = setInterval(() => {
    if (!process.listeners('SIGHUP').some(({ name }) => name === 'reload')) return
    clearInterval(poll)
    process.kill(process.pid, 'SIGHUP')
  }, 1)`
  const server = start({ MODELS: 'rf' }, `--import=data:text/javascript,${encodeURIComponent(early)}`)
  t.teardown(() => server.kill('SIGKILL'))
  const exited = once(server, 'exit')
  const said = await output(server.stdout, /reloaded: nothing has changed/)
  t.match(said, /reloaded: nothing has changed/)
  server.kill('SIGTERM')
  t.same(await exited, [0, null])
})
