import { once } from 'node:events'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { build } from '../fixtures/build.js'
import { startDynamo } from '../fixtures/dynamo.js'
import { typed } from '../fixtures/enrolment.js'
import { captureLog } from '../fixtures/log.js'
import { copyModels, putModels, TYPISTS } from '../fixtures/models.js'
import { person, times } from '../fixtures/people.js'
import { address, start } from '../fixtures/server.js'
import { isProblem, service } from '../fixtures/texts.js'

const ENROLMENT_KEYS = `2025:${'a1'.repeat(32)}`
const DAY_MS = 24 * 3_600_000

t.test('where there is a folder the store is opened at the start, else once it is asked for', async (t) => {
  const there = t.testdir()
  await service(t, { DATA_DIR: there, ENROLMENT_KEYS })
  t.ok(existsSync(join(there, 'enrolment.db')))
  t.notOk(existsSync(join(there, 'enrolment.key')), 'with the keys that are given')

  const later = join(there, 'later')
  const { app, ask } = await service(t, { DATA_DIR: later })
  await app.inject('/health')
  t.notOk(existsSync(later), 'whoever enrols nobody has no folder')
  const both = await Promise.all([ask('GET', ''), ask('PUT', '/login', { keys: 13 })])
  t.same(
    both.map(({ statusCode }) => statusCode),
    [200, 201],
  )
  t.ok(existsSync(join(later, 'enrolment.db')))
})

t.test('a key that is made is told of once, and not said', async (t) => {
  const DATA_DIR = t.testdir()
  const log = captureLog()
  const begin = async () => (await service(t, { DATA_DIR, LOG_LEVEL: 'info' }, { logTo: log.logTo })).app
  await (await begin()).close()
  await begin()
  const told = log.lines().filter(({ msg }) => /made a key/.test(String(msg)))
  t.match(told, [{ level: 40, file: join(DATA_DIR, 'enrolment.key') }])
  t.equal(told.length, 1)
  const [, digits] = /:([0-9a-f]{64})/.exec(readFileSync(join(DATA_DIR, 'enrolment.key'), 'utf8')) ?? []
  t.notMatch(log.text(), digits)
})

t.test('who was enrolled is there after the next start', async (t) => {
  const DATA_DIR = t.testdir()
  const first = await service(t, { DATA_DIR })
  const [type] = await first.enrolled(1)
  await first.app.close()
  const next = await service(t, { DATA_DIR })
  t.match((await next.ask('POST', '/login/verify', { user: 'u0', keystrokes: type() })).json(), {
    match: true,
  })
})

t.test(
  'without a place to keep anybody, or a key to seal them with, all is 503 and says what is missing',
  async (t) => {
    for (const [settings, reason] of [
      [{ AWS_LAMBDA_FUNCTION_NAME: 'recognise' }, /ENROLMENT_TABLE is not set/],
      [{ AWS_LAMBDA_FUNCTION_NAME: 'recognise', ENROLMENT_KEYS }, /ENROLMENT_TABLE is not set/],
      [{ ENROLMENT_TABLE: 'users' }, /ENROLMENT_KEYS is not set/],
      [{ MODEL_DIR: TYPISTS }, /its models have no templates to enrol with/],
    ] as const) {
      const DATA_DIR = t.testdir()
      const { app, ask } = await service(t, { DATA_DIR, ...settings })
      for (const answer of [
        await ask('GET', ''),
        await ask('PUT', '/login', { keys: 13 }, { 'idempotency-key': 'one' }),
        await ask('GET', '/login/users/anna'),
      ]) {
        isProblem(t, answer, 503, 'KSR_NO_ENROLMENT')
        t.match(answer.json().detail, reason)
        t.equal(answer.headers['retry-after'], '3600')
      }
      t.equal((await app.inject('/health/ready')).statusCode, 200)
      t.notOk(existsSync(join(DATA_DIR, 'enrolment.db')))
    }
  },
)

t.test(
  'what can not be opened is said at the start, or each time it is asked for until it is mended',
  async (t) => {
    const DATA_DIR = t.testdir()
    const key = join(DATA_DIR, 'enrolment.key')
    writeFileSync(key, `${ENROLMENT_KEYS}\n`, { mode: 0o644 })
    const app = build(t, { DATA_DIR, MODELS: 'svm' })
    await t.rejects(async () => app.ready(), {
      code: 'KSR_CONFIG',
      message: /enrolment\.key may be read by others/,
    })

    const later = join(t.testdir(), 'later')
    const { ask } = await service(t, { DATA_DIR: later })
    writeFileSync(later, 'in the way')
    for (const answer of [await ask('GET', ''), await ask('GET', '')]) {
      isProblem(t, answer, 503, 'KSR_NO_ENROLMENT')
      t.match(answer.json().detail, /their store can not be opened, and the log says why/)
    }
    rmSync(later)
    t.equal((await ask('GET', '')).statusCode, 200)
  },
)

t.test('where nothing can be written that is told at the start, and all else is served', async (t) => {
  const log = captureLog()
  const DATA_DIR = join(t.testdir(), 'data')
  // Whoever may do anything can't make a folder in a file, either.
  writeFileSync(DATA_DIR, '')
  const { app, ask } = await service(t, { DATA_DIR, LOG_LEVEL: 'warn' }, { logTo: log.logTo })
  t.match(log.lines(), [{ level: 40, file: DATA_DIR, msg: /nobody can be enrolled/ }])
  t.equal((await app.inject('/models')).statusCode, 200)
  isProblem(t, await ask('GET', ''), 503, 'KSR_NO_ENROLMENT')
  t.match(
    log.lines().find(({ msg }) => msg === 'the store of enrolled users can not be opened'),
    { level: 50, err: { code: 'KSR_CONFIG' } },
  )
})

/** The timers that are set meanwhile, which do not run by themselves. */
function heldTimers(t: Test) {
  const { setInterval } = globalThis
  const timers = new Map<number, () => void>()
  t.teardown(() => Object.assign(globalThis, { setInterval }))
  Object.assign(globalThis, {
    setInterval(run: () => void, ms: number, ...rest: unknown[]) {
      if (/src\/plugins\/enrolment/.test(new Error().stack ?? '')) timers.set(ms, run)
      return setInterval(run, ms, ...rest)
    },
  })
  return timers
}

t.test('once an hour what is past its time is deleted, once a minute forgotten', async (t) => {
  const timers = heldTimers(t)
  const log = captureLog()
  const settings = { DATA_DIR: t.testdir(), LOG_LEVEL: 'info', RETENTION_DAYS: '1' }
  const { app, enrolled } = await service(t, settings, { logTo: log.logTo })
  t.same([...timers.keys()].sort(), [3_600_000, 60_000])
  await enrolled(1)
  const { store } = await app.enrolment()
  const { now } = Date
  t.teardown(() => Object.assign(Date, { now }))
  Object.assign(Date, { now: () => now() + 2 * DAY_MS })
  timers.get(3_600_000)?.()
  await wait(20)
  Object.assign(Date, { now })
  t.equal(await store.sweep(), 0, 'nothing is left')
  timers.get(60_000)?.()
  await wait(20)
  t.notMatch(log.text(), 'could not be')
  Object.assign(store, { sweep: async () => Promise.reject(new Error('no disk')) })
  timers.get(3_600_000)?.()
  await wait(20)
  t.match(log.lines().at(-1), { level: 50, err: { message: 'no disk' }, msg: /could not be/ })
})

t.test(
  'models that are exchanged for others that can not enrol end it, and those that can begin it again',
  async (t) => {
    const MODEL_DIR = copyModels(t)
    const shipped = copyModels(t)
    const { app, ask, enrolled } = await service(t, { MODEL_DIR, MODELS: 'svm,templates' })
    const [type] = await enrolled(1)
    const enrolment = await app.enrolment()
    const text = await enrolment.text('', 'login')
    putModels(MODEL_DIR, TYPISTS)
    await app.reload()
    isProblem(t, await ask('GET', ''), 503, 'KSR_NO_ENROLMENT')
    const late = enrolment.recogniser.identify(text, typed(type()), {})
    await t.rejects(late, { code: 'KSR_NO_ENROLMENT' }, 'nor is who was asking answered')
    putModels(MODEL_DIR, shipped)
    await app.reload()
    t.match((await ask('POST', '/login/identify', { keystrokes: type() })).json(), { user: 'u0' })
  },
)

t.test('a table keeps users as the folder does', async (t) => {
  const { table } = await startDynamo(t)
  const one = await service(t, { ENROLMENT_TABLE: table, ENROLMENT_KEYS })
  const [type] = await one.enrolled(1)
  const other = await service(t, {
    ENROLMENT_TABLE: table,
    ENROLMENT_KEYS,
    AWS_LAMBDA_FUNCTION_NAME: 'recognise',
  })
  t.match((await other.ask('POST', '/login/identify', { keystrokes: type() })).json(), { user: 'u0' })
  t.equal((await other.ask('DELETE', '/login/users/u0')).statusCode, 204)
})

t.test('processes that share a folder see within a second what one of them was told', async (t) => {
  const DATA_DIR = join(t.testdir(), 'data')
  const processes = times(2, () => start({ DATA_DIR, ENROLMENT_KEYS, MODELS: 'svm', LOG_LEVEL: 'info' }))
  t.teardown(async () => {
    for (const process of processes) {
      process.kill('SIGTERM')
      if (process.exitCode === null) await once(process, 'exit')
    }
  })
  const [one, other] = (await Promise.all(processes.map(address))) as [string, string]
  for (const { stdout } of processes) stdout?.resume()
  const ask = async (url: string, method: string, path: string, body?: object) => {
    const headers = { 'content-type': 'application/json' }
    const answer = await fetch(`${url}/texts${path}`, {
      method,
      ...(body && { headers, body: JSON.stringify(body) }),
    })
    return { status: answer.status, body: answer.status === 204 ? {} : await answer.json() }
  }
  const types = [person(1), person(2)] as const
  const enrol = (url: string, user: string, type: () => object[]) =>
    ask(url, 'POST', `/login/users/${user}/samples`, { attempts: times(4, () => ({ keystrokes: type() })) })
  const whose = async (url: string, type: () => object[]) =>
    (await ask(url, 'POST', '/login/identify', { keystrokes: type() })).body.user
  t.equal((await ask(one, 'PUT', '/login', { keys: 13 })).status, 201)
  t.equal((await enrol(one, 'anna', types[0])).status, 201)
  t.equal(await whose(other, types[0]), 'anna')
  t.equal((await enrol(other, 'ben', types[1])).status, 201)
  await wait(1000)
  t.equal(await whose(one, types[1]), 'ben')
  t.equal((await ask(one, 'DELETE', '/login/users/ben')).status, 204)
  await wait(1000)
  t.equal(await whose(other, types[1]), 'anna')
  t.match((await ask(other, 'GET', '/login/users/ben')).body, { status: 404, code: 'KSR_NOT_ENROLLED' })
})
