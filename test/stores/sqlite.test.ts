import { spawn } from 'node:child_process'
import { randomBytes, randomInt } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import Sqlite from 'libsql'
import t from 'tap'
import { openSqlite } from '../../src/stores/sqlite.js'
import type { Store } from '../../src/stores/store.js'
import { ROOT } from '../fixtures/commands.js'
import { conforms } from './conformance.js'

const FILE = 'enrolment.db'
const PAGE = 4096

conforms(async (t) => {
  const dir = t.testdir()
  return () => openSqlite(dir)
})

interface Test {
  testdir(): string
  teardown(close: () => unknown): void
}

async function open(t: Test, now?: () => number) {
  const dir = t.testdir()
  const store = await openSqlite(dir, now && { now })
  t.teardown(() => store.close())
  return { dir, store }
}

/** A record full of 16 bytes that nothing else on the disk can be taken for. */
async function putMarked(store: Store, partition: string, length: number): Promise<Buffer> {
  const mark = randomBytes(16)
  const bytes = Buffer.concat(Array.from({ length: Math.ceil(length / 16) }, () => mark))
  await store.put({ partition, key: mark.toString('hex'), bytes }, undefined)
  return mark
}

/** Those of the marks that stand in a file of the folder. */
function onDisk(dir: string, marks: Iterable<Buffer>): Buffer[] {
  const files = Buffer.concat(readdirSync(dir).map((name) => readFileSync(join(dir, name))))
  return [...marks].filter((mark) => files.includes(mark))
}

t.test('what was deleted is in none of the files any more, once that is acknowledged', async (t) => {
  const { dir, store } = await open(t)
  const of: Record<string, Buffer[]> = { one: [], other: [] }
  for (let i = 0; i < 400; i++) {
    for (const partition of ['one', 'other']) {
      of[partition]?.push(await putMarked(store, partition, randomInt(16, i % 5 === 0 ? 20_000 : 1500)))
    }
  }
  const [one, other] = [of.one as Buffer[], of.other as Buffer[]]
  t.equal(onDisk(dir, [...one, ...other]).length, 800)
  // In any order, as that is how the pages of the file are divided and joined.
  const deleted = one.toSorted(Buffer.compare).slice(0, 300)
  for (const mark of deleted) await store.delete('one', mark.toString('hex'))
  t.equal(onDisk(dir, deleted).length, 0)
  t.equal(onDisk(dir, [...one, ...other]).length, 500, 'and what was not deleted is')
  await store.drop('other')
  t.equal(onDisk(dir, other).length, 0)
})

t.test('a record has pages of its own, of which no copies are made', async (t) => {
  const { dir, store } = await open(t)
  const marks: Buffer[] = []
  for (let i = 0; i < 300; i++) {
    marks.push(
      await putMarked(store, 'x'.repeat(randomInt(1, 1000)), randomInt(16, i % 5 === 0 ? 20_000 : 5000)),
    )
  }
  // The last one takes all out of the log.
  await store.drop('none')
  const file = readFileSync(join(dir, FILE))
  t.equal(onDisk(dir, marks).length, 300)
  for (let start = 0; start < file.length; start += PAGE) {
    const page = file.subarray(start, start + PAGE)
    // Those of rows begin with their kind, others with the number of the next.
    if (marks.some((mark) => page.includes(mark))) t.equal(page[0], 0)
  }
})

t.test('what is past its time is gone from the disk once it is swept', async (t) => {
  const clock = { now: Date.now() }
  const { dir, store } = await open(t, () => clock.now)
  const { cursor } = await store.changes('text', '')
  const expires = Math.floor(clock.now / 1000) + 60
  const bytes = randomBytes(600)
  await store.put({ partition: 'text', key: 'anna', bytes, expires }, undefined)
  await store.put({ partition: 'text', key: 'ben', bytes: randomBytes(600) }, undefined)
  t.equal(await store.sweep(), 0)
  t.equal(await store.count('text'), 2)
  clock.now += 61_000
  t.equal(await store.count('text'), 1)
  t.equal(onDisk(dir, [bytes]).length, 1)
  t.equal(await store.sweep(), 1)
  t.equal(onDisk(dir, [bytes]).length, 0)
  t.match((await store.changes('text', cursor)).changes, [{ key: 'ben' }, { key: 'anna', bytes: undefined }])
})

t.test('a deletion is told for an hour', async (t) => {
  const clock = { now: Date.now() }
  const { store } = await open(t, () => clock.now)
  await store.put({ partition: 'text', key: 'anna', bytes: randomBytes(9) }, undefined)
  const { cursor } = await store.changes('text', '')
  await store.delete('text', 'anna')
  const told = async () => (await store.changes('text', cursor)).changes.map(({ key }) => key)
  clock.now += 3_590_000
  await store.sweep()
  t.same(await told(), ['anna'])
  clock.now += 20_000
  await store.sweep()
  t.same(await told(), [])
})

t.test('more than can be dropped at once are dropped', async (t) => {
  const { store } = await open(t)
  const records = Array.from({ length: 2500 }, (_, i) => ({
    partition: 'text',
    key: `${i}`,
    bytes: Buffer.alloc(9),
  }))
  await Promise.all(records.map((record) => store.put(record, undefined)))
  t.equal(await store.count('text'), 2500)
  const { cursor } = await store.changes('text', '')
  await store.drop('text')
  t.equal(await store.count('text'), 0)
  t.equal((await store.changes('text', cursor)).changes.length, 2500)
})

t.test('what is written in one turn of the event loop is one commit, whatever becomes of each', async (t) => {
  const { dir, store } = await open(t)
  const put = (key: string) => store.put({ partition: 'text', key, bytes: randomBytes(2000) }, undefined)
  await store.drop('none')
  // Of one turn are also those that wait for no more than a promise.
  const later = async (key: string) => {
    for (let i = 0; i < 20; i++) await undefined
    return put(key)
  }
  const versions = await Promise.all([
    ...Array.from({ length: 32 }, (_, i) => put(`${i}`)),
    put('7'),
    later('later'),
    put('last'),
  ])
  t.equal(versions.filter((version) => version === undefined).length, 1)
  t.equal(await store.count('text'), 34)
  // https://sqlite.org/fileformat.html#the_write_ahead_log: the last frame of a commit has the size of the database.
  const log = readFileSync(join(dir, `${FILE}-wal`))
  let commits = 0
  for (let frame = 32; frame < log.length; frame += 24 + PAGE) if (log.readUInt32BE(frame + 4) > 0) commits++
  t.equal(commits, 1)
})

t.test('a write that fails is rejected, and the next one is not', async (t) => {
  const { dir, store } = await open(t)
  const put = (key: string) => store.put({ partition: 'text', key, bytes: randomBytes(9) }, undefined)
  const other = new Sqlite(join(dir, FILE))
  t.teardown(() => other.close())
  other.exec('ALTER TABLE records RENAME TO hidden')
  const results = await Promise.allSettled([put('anna'), put('ben')])
  t.same(
    results.map(({ status }) => status),
    ['rejected', 'rejected'],
  )
  other.exec('ALTER TABLE hidden RENAME TO records')
  t.type(await put('anna'), 'string')
})

t.test('a deletion waits for those who read, so that it can take the bytes away', async (t) => {
  const { dir, store } = await open(t)
  const mark = await putMarked(store, 'text', 600)
  const reader = new Sqlite(join(dir, FILE))
  t.teardown(() => reader.close())
  reader.exec('BEGIN')
  reader.prepare('SELECT count(*) FROM records').all()
  let done = false
  const deleted = store.delete('text', mark.toString('hex')).finally(() => {
    done = true
  })
  await store.put({ partition: 'text', key: 'ben', bytes: randomBytes(9) }, undefined)
  t.notOk(done, 'others do not wait')
  reader.exec('COMMIT')
  t.equal(await deleted, true)
  t.equal(onDisk(dir, [mark]).length, 0)
})

t.test('what a process could not take away before it ended, the next one does when it starts', async (t) => {
  const { dir, store } = await open(t)
  const mark = await putMarked(store, 'text', 600)
  const dead = new Sqlite(join(dir, FILE))
  t.teardown(() => dead.close())
  dead.exec('PRAGMA secure_delete = ON')
  dead.exec('DELETE FROM records')
  t.equal(onDisk(dir, [mark]).length, 1)
  await (await openSqlite(dir)).close()
  t.equal(onDisk(dir, [mark]).length, 0)
})

t.test('the folder and the files are for nobody but who runs the service', async (t) => {
  const dir = join(t.testdir(), 'data/of/ours')
  const store = await openSqlite(dir)
  await store.put({ partition: 'text', key: 'anna', bytes: randomBytes(9) }, undefined)
  t.equal(statSync(dir).mode & 0o777, 0o700)
  const files = readdirSync(dir)
  t.same(files, [FILE, `${FILE}-shm`, `${FILE}-wal`])
  for (const name of files) t.equal(statSync(join(dir, name)).mode & 0o777, 0o600, name)
  await store.close()
})

t.test('what is written when it is closed is kept, and nothing can be written afterwards', async (t) => {
  const dir = t.testdir()
  const store = await openSqlite(dir)
  const put = (key: string) => store.put({ partition: 'text', key, bytes: randomBytes(9) }, undefined)
  const [version] = await Promise.all([put('anna'), store.close()])
  t.type(version, 'string')
  await t.rejects(put('ben'))
  const again = await openSqlite(dir)
  t.equal(await again.count('text'), 1)
  await again.close()
})

t.test('many processes may make the database at once', async (t) => {
  const dir = t.testdir()
  const stores = await Promise.all(Array.from({ length: 8 }, () => openSqlite(dir)))
  const put = (store: Store) =>
    store.put({ partition: 'text', key: 'anna', bytes: randomBytes(9) }, undefined)
  const versions = await Promise.all(stores.map(put))
  t.equal(versions.filter((version) => version !== undefined).length, 1)
  await Promise.all(stores.map((store) => store.close()))
})

t.test('a write waits for that of another process, and is by what that left', async (t) => {
  const { dir, store } = await open(t)
  const version = await store.put({ partition: 'text', key: 'anna', bytes: randomBytes(9) }, undefined)
  const script = `
    const database = new (require('libsql'))(${JSON.stringify(join(dir, FILE))})
    database.exec('BEGIN IMMEDIATE; UPDATE records SET version = 1000; UPDATE sequence SET version = 1000')
    console.log('begun')
    setTimeout(() => database.exec('COMMIT'), 300)`
  const child = spawn(process.execPath, ['--eval', script], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'data')
  const put = (key: string, expected?: string) =>
    store.put({ partition: 'text', key, bytes: randomBytes(9) }, expected)
  t.same(await Promise.all([put('anna', version), put('ben')]), [undefined, '1002'])
  await once(child, 'exit')
})

t.test('a database of a later version of the service is refused', async (t) => {
  const dir = t.testdir()
  const path = join(dir, FILE)
  const later = new Sqlite(path)
  later.exec('PRAGMA user_version = 2')
  later.close()
  await t.rejects(openSqlite(dir), {
    code: 'KSR_STORE',
    statusCode: 500,
    message: `${path}: it is of form 2, and this version of the service knows up to 1.`,
  })
})

t.test(
  'a folder that can not be written to, and a file that is no database, are refused with the place',
  async (t) => {
    const dir = t.testdir({ file: '', data: { [FILE]: 'no database'.repeat(1000) } })
    await t.rejects(openSqlite(join(dir, 'file')), {
      code: 'KSR_STORE',
      message: `${join(dir, 'file', FILE)}: EEXIST`,
    })
    await t.rejects(openSqlite(join(dir, 'data')), {
      code: 'KSR_STORE',
      message: `${join(dir, 'data', FILE)}: file is not a database.`,
    })
  },
)
