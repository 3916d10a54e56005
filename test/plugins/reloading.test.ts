import { setImmediate as turn } from 'node:timers/promises'
import Fastify from 'fastify'
import t from 'tap'
import { draining } from '../../src/plugins/draining.js'
import { type Prepared, reloading } from '../../src/plugins/reloading.js'

interface Test {
  teardown(close: () => unknown): void
}

/** An app with nothing but reloads; what it logs, and what was done with what was prepared, in order. */
async function open(t: Test) {
  const log: { level: number; msg: string; err?: { message: string } }[] = []
  const stream = { write: (line: string) => log.push(JSON.parse(line)) }
  const app = Fastify({ logger: { stream } })
  t.teardown(() => app.close())
  app.register(draining, { drain: { closing: false } })
  app.register(reloading)
  await app.ready()
  const done: string[] = []
  const note = (what: string) => () => void done.push(what)
  /** Something to be loaded, and what loading it comes to. */
  const part = (name: string, prepare: () => Promise<unknown> | unknown = () => {}) =>
    app.onReload(async () => {
      done.push(`prepare ${name}`)
      await prepare()
      return {
        commit: note(`commit ${name}`),
        release: note(`free old ${name}`),
        discard: note(`free ${name}`),
      }
    })
  return { app, log, done, part }
}

const fail = (reason: string) => () => Promise.reject(new Error(reason))

t.test('all is prepared, then all is used, then what was used before is freed', async (t) => {
  const { app, log, done, part } = await open(t)
  part('keys', turn)
  part('models')
  app.onReload(async () => undefined)
  await app.reload()
  t.same(done, [
    'prepare keys',
    'prepare models',
    'commit keys',
    'commit models',
    'free old keys',
    'free old models',
  ])
  t.match(log, [{ level: 30, msg: 'reloaded' }])
})

t.test('all is used in one step, in which nothing else runs', async (t) => {
  const { app } = await open(t)
  let used = 0
  const seen = new Set<number>()
  for (let i = 0; i < 3; i++) app.onReload(async () => ({ commit: () => void used++ }))
  let watching = true
  const watch = async () => {
    while (watching) {
      seen.add(used)
      await Promise.resolve()
    }
    seen.add(used)
  }
  const watched = watch()
  await app.reload()
  watching = false
  await watched
  t.same([...seen], [0, 3])
})

t.test('where one part can not be used, none is, and all that was prepared is freed', async (t) => {
  const { app, log, done, part } = await open(t)
  part('keys', turn)
  part('models', fail('models/rf.onnx: altered'))
  part('rest', fail('rest: missing'))
  app.onReload(() => {
    throw new Error('thrown at once')
  })
  await app.reload()
  t.same(done, ['prepare keys', 'prepare models', 'prepare rest', 'free keys'])
  t.match(
    log,
    ['models/rf.onnx: altered', 'rest: missing', 'thrown at once'].map((message) => ({
      level: 50,
      msg: 'reload refused: all is as it was',
      err: { message },
    })),
  )
  t.equal(log.length, 3)
})

t.test('where nothing has changed it says so', async (t) => {
  const { app, log } = await open(t)
  app.onReload(async () => undefined)
  await app.reload()
  t.match(log, [{ level: 30, msg: 'reloaded: nothing has changed' }])
})

t.test('calls while it is under way are answered by one more, which begins after that', async (t) => {
  const { app, done, part } = await open(t)
  part('keys', turn)
  const first = app.reload()
  const others = [app.reload(), app.reload(), app.reload()]
  const once = ['prepare keys', 'commit keys', 'free old keys']
  await first
  t.same(done.slice(0, 3), once)
  await Promise.all(others)
  t.same(done, [...once, ...once])
  await app.reload()
  t.same(done, [...once, ...once, ...once])
})

t.test('what can not be freed is logged, and what was loaded is used', async (t) => {
  const { app, log, done } = await open(t)
  const release = fail('it is still open')
  app.onReload(async (): Promise<Prepared> => ({ commit: () => void done.push('used'), release }))
  app.onReload(async () => ({ commit: () => {} }))
  await app.reload()
  t.same(done, ['used'])
  t.match(log, [
    { level: 30, msg: 'reloaded' },
    { level: 50, msg: 'not all could be freed after a reload', err: { message: 'it is still open' } },
  ])
})

t.test('a service that is closing uses nothing new, frees it, and ends when that is done', async (t) => {
  const { app, log, done, part } = await open(t)
  let goOn = () => {}
  part('models', () => new Promise<void>((resolve) => (goOn = resolve)))
  app.onReload(async () => ({ commit: () => done.push('used') }))
  const reloads = [app.reload(), app.reload()]
  const closed = app.close().then(() => done.push('closed'))
  await turn()
  t.same(done, ['prepare models'])
  goOn()
  await Promise.all([...reloads, closed])
  t.same(done, ['prepare models', 'free models', 'closed'])
  t.notOk(log.some(({ msg }) => msg.startsWith('reload')))
})
