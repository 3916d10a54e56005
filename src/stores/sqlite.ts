import { closeSync, mkdirSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type Database from 'libsql'
import { coded } from '../errors.js'
import { type Change, checkSize, type Store, type StoredRecord } from './store.js'

/** The form of the tables below; a database of a later one was written by a later version of the service. */
const SCHEMA = 1

// Keys are bytes: as text they end at the first zero. The index answers `changes` and `count` without a look at the records.
const TABLES = `
  CREATE TABLE records (partition BLOB NOT NULL, key BLOB NOT NULL, version INTEGER NOT NULL, expires INTEGER,
    size INTEGER NOT NULL, padded BLOB NOT NULL, PRIMARY KEY (partition, key)) STRICT;
  CREATE INDEX records_by_version ON records (partition, version, expires);
  CREATE TABLE tombstones (partition BLOB NOT NULL, key BLOB NOT NULL, version INTEGER NOT NULL,
    deleted INTEGER NOT NULL, PRIMARY KEY (partition, key)) STRICT;
  CREATE INDEX tombstones_by_version ON tombstones (partition, version);
  CREATE TABLE sequence (version INTEGER NOT NULL) STRICT;
  INSERT INTO sequence VALUES (0);
  PRAGMA user_version = ${SCHEMA};`

/** How much of a row stands among others on a page of 4,096 bytes where it is too long for that, and how much on each page of its own. */
const AMONG_OTHERS = 489
const ON_ITS_OWN = 4092
/** More zeros than stand among others. */
const PADDING = Buffer.alloc(AMONG_OTHERS + 64)

/** How long a deletion is told to those who ask for changes, and so how old a cursor may be, s. */
const REMEMBERED = 3600
/** How long a write waits for those of other processes, ms: far more than they take. */
const BUSY_MS = 5000
/** How often, and after how long each time, what was deleted is tried to be taken out of the log, ms. */
const ATTEMPTS = 40
const PAUSE_MS = 25
/** How many records are dropped in one transaction, in which nobody else can write. */
const DROPPED = 1000

export interface SqliteOptions {
  /** The clock, Unix ms. */
  now?: () => number
}

/**
 * A store in the file `enrolment.db` of a folder, which is made where there is none. All processes of one machine may
 * have it open.
 * @throws KSR_STORE where it can't be opened, or is of a later form
 */
export async function openSqlite(dir: string, { now = Date.now }: SqliteOptions = {}): Promise<Store> {
  const path = join(dir, 'enrolment.db')
  try {
    // No service that keeps nothing here pays for it.
    const { default: Sqlite } = await import('libsql')
    mkdirSync(dir, { recursive: true, mode: 0o700 })
    // SQLite gives its other files the mode of this one.
    closeSync(openSync(path, 'a', 0o600))
    const database = new Sqlite(path)
    try {
      return new SqliteStore(database, now)
    } catch (error) {
      database.close()
      throw error
    }
  } catch (error) {
    throw coded('KSR_STORE', [path, (error as Error).message], { cause: error })
  }
}

interface Write {
  run(version: number): unknown
  /** Whether bytes have to be gone from the disk before it is done. */
  erases: boolean
  resolve(result: unknown): void
  reject(error: unknown): void
}

type Row = [key: Buffer, version: number, bytes: Buffer | null, expires: number | null]

class SqliteStore implements Store {
  readonly #database: Database.Database
  readonly #now: () => number
  readonly #statements
  #waiting: Write[] = []

  constructor(database: Database.Database, now: () => number) {
    this.#database = database
    this.#now = now
    database.exec(`PRAGMA busy_timeout = ${BUSY_MS}`)
    database.exec('PRAGMA page_size = 4096')
    database.exec('PRAGMA journal_mode = WAL')
    // On the disk before it is acknowledged; and zeros where something was deleted.
    database.exec('PRAGMA synchronous = FULL')
    database.exec('PRAGMA secure_delete = ON')
    database.exec('PRAGMA temp_store = MEMORY')
    this.#transaction(() => {
      const [schema] = database.prepare('PRAGMA user_version').raw().get() as [number]
      if (schema > SCHEMA) {
        throw new Error(`it is of form ${schema}, and this version of the service knows up to ${SCHEMA}`)
      }
      if (schema < SCHEMA) database.exec(TABLES)
    })
    this.#statements = prepare(database)
    // What was deleted by a process that was killed before it could do this.
    this.#truncate()
  }

  async get(partition: string, key: string): Promise<StoredRecord | undefined> {
    const row = this.#statements.get.get([blob(partition), blob(key), this.#seconds()]) as Row | undefined
    return row && this.#record(partition, row)
  }

  async put(
    { partition, key, bytes, expires }: Omit<StoredRecord, 'version'>,
    expected: string | undefined,
  ): Promise<string | undefined> {
    checkSize(bytes)
    const place = [blob(partition), blob(key)]
    return this.#write((version) => {
      const { insert, update } = this.#statements
      const values = [version, expires ?? null, bytes.length, pad(bytes, place)]
      const { changes } =
        expected === undefined
          ? insert.run([...place, ...values, this.#seconds()])
          : update.run([...values, ...place, sequence(expected), this.#seconds()])
      return changes === 0 ? undefined : String(version)
    })
  }

  async delete(partition: string, key: string, expected?: string): Promise<boolean> {
    const place = [blob(partition), blob(key)]
    return this.#write((version) => {
      const wanted = expected === undefined ? null : sequence(expected)
      const { bury, remove } = this.#statements
      if (bury.run([version, this.#seconds(), ...place, wanted, this.#seconds()]).changes === 0) return false
      remove.run(place)
      return true
    }, true)
  }

  async page(partition: string, after: string, limit: number): Promise<StoredRecord[]> {
    const rows = this.#statements.page.all([blob(partition), blob(after), this.#seconds(), limit]) as Row[]
    return rows.map((row) => this.#record(partition, row))
  }

  async count(partition: string): Promise<number> {
    return (this.#statements.count.get([blob(partition), this.#seconds()]) as [number])[0]
  }

  async drop(partition: string): Promise<void> {
    const { buryAll, removeBuried } = this.#statements
    const place = blob(partition)
    const some = (version: number) => {
      const { changes } = buryAll.run([version, this.#seconds(), place, DROPPED])
      removeBuried.run([place, version])
      return changes
    }
    while ((await this.#write(some, true)) === DROPPED);
  }

  async changes(partition: string, cursor: string): Promise<{ changes: Change[]; cursor: string }> {
    // First of all: what is written by others after this is told again the next time.
    const [newest] = this.#statements.newest.get([]) as [number]
    if (cursor === '') return { changes: [], cursor: String(newest) }
    const since = [blob(partition), Number(cursor)]
    const { changed, buried } = this.#statements
    const rows = [...(changed.all(since) as Row[]), ...(buried.all(since) as Row[])]
    const changes = rows
      .sort(([, one], [, other]) => one - other)
      .map(([key, version, bytes, expires]) => {
        const gone = expires !== null && expires <= this.#seconds()
        return {
          key: key.toString(),
          version: String(version),
          bytes: gone || bytes === null ? undefined : bytes,
          ...(expires !== null && { expires }),
        }
      })
    return { changes, cursor: String(newest) }
  }

  async sweep(): Promise<number> {
    const { buryExpired, removeExpired, forget } = this.#statements
    return this.#write((version) => {
      const now = this.#seconds()
      buryExpired.run([version, now, now])
      const { changes } = removeExpired.run([now])
      forget.run([now - REMEMBERED])
      return changes
    }, true)
  }

  async close(): Promise<void> {
    await this.#commit()
    this.#database.close()
  }

  #seconds(): number {
    return Math.floor(this.#now() / 1000)
  }

  #record(partition: string, [key, version, bytes, expires]: Row): StoredRecord {
    return {
      partition,
      key: key.toString(),
      version: String(version),
      bytes: bytes as Buffer,
      ...(expires !== null && { expires }),
    }
  }

  /** What is to be written in this turn of the event loop waits for one commit, which is what takes time. */
  #write<Result>(run: (version: number) => Result, erases = false): Promise<Result> {
    return new Promise<unknown>((resolve, reject) => {
      if (this.#waiting.push({ run, erases, resolve, reject }) === 1) setImmediate(() => this.#commit())
    }) as Promise<Result>
  }

  async #commit(): Promise<void> {
    const writes = this.#waiting
    this.#waiting = []
    if (writes.length === 0) return
    let results: unknown[]
    try {
      results = this.#transaction(() => {
        const [newest] = this.#statements.newest.get([]) as [number]
        const results = writes.map(({ run }, i) => run(newest + i + 1))
        this.#statements.advance.run([newest + writes.length])
        return results
      })
    } catch (error) {
      for (const { reject } of writes) reject(error)
      return
    }
    const settle = (erases: boolean) =>
      writes.forEach((write, i) => {
        if (write.erases === erases) write.resolve(results[i])
      })
    settle(false)
    if (!writes.some(({ erases }) => erases)) return
    // Others may be reading. Where that does not end, the next deletion, sweep or start does it.
    for (let attempt = 0; attempt < ATTEMPTS && !this.#truncate(); attempt++) await delay(PAUSE_MS)
    settle(true)
  }

  #transaction<Result>(run: () => Result): Result {
    this.#database.exec('BEGIN IMMEDIATE')
    try {
      const result = run()
      this.#database.exec('COMMIT')
      return result
    } catch (error) {
      if (this.#database.inTransaction) this.#database.exec('ROLLBACK')
      throw error
    }
  }

  /** Takes everything out of the write-ahead log, where what was deleted still stands; whether nobody was in the way. */
  #truncate(): boolean {
    this.#database.exec('PRAGMA busy_timeout = 0')
    try {
      const [busy] = this.#database.prepare('PRAGMA wal_checkpoint(TRUNCATE)').raw().get() as [number]
      return busy === 0
    } finally {
      this.#database.exec(`PRAGMA busy_timeout = ${BUSY_MS}`)
    }
  }
}

function blob(text: string): Buffer {
  return Buffer.from(text)
}

/**
 * The bytes with so many zeros around them that all of them stand on pages of their own: where SQLite moves rows from one page
 * to another it leaves copies behind, which no deletion finds. Pages that are given up it overwrites.
 * https://sqlite.org/fileformat.html#b_tree_pages
 */
function pad(bytes: Uint8Array, place: Buffer[]): Buffer {
  const before = Buffer.concat(place).length
  const pages = Math.ceil((PADDING.length + bytes.length + before - AMONG_OTHERS) / ON_ITS_OWN)
  return Buffer.concat([PADDING, bytes], AMONG_OTHERS + pages * ON_ITS_OWN - before)
}

/** The number of a version; of one that was never given, none that a record has. */
function sequence(version: string): number {
  return /^\d{1,15}$/.test(version) ? Number(version) : -1
}

function prepare(database: Database.Database) {
  const statement = (sql: string) => database.prepare(sql)
  // Rows as arrays, which a statement without any can't be asked for.
  const query = (sql: string) => database.prepare(sql).raw()
  const live = '(expires IS NULL OR expires > ?)'
  const row = `SELECT key, version, substr(padded, ${PADDING.length + 1}, size), expires FROM records`
  return {
    get: query(`${row} WHERE partition = ? AND key = ? AND ${live}`),
    page: query(`${row} WHERE partition = ? AND key > ? AND ${live} ORDER BY key LIMIT ?`),
    count: query(`SELECT count(*) FROM records WHERE partition = ? AND ${live}`),
    changed: query(`${row} WHERE partition = ? AND version > ?`),
    buried: query('SELECT key, version, NULL, NULL FROM tombstones WHERE partition = ? AND version > ?'),
    newest: query('SELECT version FROM sequence'),
    advance: statement('UPDATE sequence SET version = ?'),
    insert: statement(
      `INSERT INTO records (partition, key, version, expires, size, padded) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE
       SET version = excluded.version, expires = excluded.expires, size = excluded.size, padded = excluded.padded
       WHERE records.expires <= ?`,
    ),
    update: statement(
      `UPDATE records SET version = ?, expires = ?, size = ?, padded = ?
       WHERE partition = ? AND key = ? AND version = ? AND ${live}`,
    ),
    bury: statement(
      `INSERT OR REPLACE INTO tombstones SELECT partition, key, ?, ? FROM records
       WHERE partition = ? AND key = ? AND version = ifnull(?, version) AND ${live}`,
    ),
    remove: statement('DELETE FROM records WHERE partition = ? AND key = ?'),
    buryAll: statement(
      'INSERT OR REPLACE INTO tombstones SELECT partition, key, ?, ? FROM records WHERE partition = ? LIMIT ?',
    ),
    removeBuried: statement(
      `DELETE FROM records WHERE (partition, key) IN
       (SELECT partition, key FROM tombstones WHERE partition = ? AND version = ?)`,
    ),
    buryExpired: statement(
      'INSERT OR REPLACE INTO tombstones SELECT partition, key, ?, ? FROM records WHERE expires <= ?',
    ),
    removeExpired: statement('DELETE FROM records WHERE expires <= ?'),
    forget: statement('DELETE FROM tombstones WHERE deleted < ?'),
  }
}
