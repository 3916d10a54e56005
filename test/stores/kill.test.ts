import { spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import Sqlite from 'libsql'
import t from 'tap'
import { openSqlite } from '../../src/stores/sqlite.js'
import type { Store } from '../../src/stores/store.js'

const WRITER = fileURLToPath(new URL('../fixtures/restless-writer.mjs', import.meta.url))
const ROUNDS = 50
const WRITERS = 4
/** After how many rounds a text is dropped, so that the database stays small enough to be checked after each. */
const KEPT = 5

/** The last that a writer said of each key before it was killed. */
type Said = Map<string, string>

/** What can't be. */
async function faults(
  store: Store,
  { partition, said }: { partition: string; said: Said },
): Promise<string[]> {
  const faults: string[] = []
  for (const [key, state] of said) {
    const record = await store.get(partition, key)
    const [, kind, version] = /^([-?]?)(\d+)$/.exec(state) as unknown as [string, string, string]
    const newer = Number(record?.version) - Number(version)
    // More may have been done than was told: something written over it, or after a deletion.
    const possible = record === undefined ? kind !== '' : newer > 0 || (newer === 0 && kind !== '-')
    const whole = record === undefined || new RegExp(`^(${key})+$`).test(Buffer.from(record.bytes).toString())
    if (!possible || !whole)
      faults.push(`${partition} ${key} ${state}: version ${record?.version}, whole: ${whole}`)
  }
  return faults
}

t.test(
  'of what was acknowledged nothing is missing after 200 processes were killed while they wrote',
  async (t) => {
    const dir = join(t.testdir(), 'data')
    const module = join(t.testdirName, 'sqlite.mjs')
    const entryPoints = [fileURLToPath(new URL('../../src/stores/sqlite.ts', import.meta.url))]
    // Children that compile nothing are at work soon.
    await build({
      entryPoints,
      outfile: module,
      bundle: true,
      platform: 'node',
      format: 'esm',
      external: ['libsql'],
    })

    async function killed(partition: string, atWork: boolean): Promise<Said> {
      // Without what tap puts into each process, which takes longer to start than the writer.
      const words = ['-u', 'NODE_OPTIONS', process.execPath, WRITER, module, dir, partition]
      const child = spawn('env', words, { stdio: ['ignore', 'pipe', 'inherit'] })
      if (atWork) await once(child.stdout, 'readable')
      await delay(randomInt(60))
      child.kill('SIGKILL')
      const lines = (await text(child.stdout)).split('\n').slice(0, -1)
      return new Map(lines.map((line) => line.split(' ') as [string, string]))
    }

    const writers: { partition: string; said: Said }[] = []
    let told = 0
    let rounds = 0
    const wrong: string[] = []
    for (; rounds < ROUNDS; rounds++) {
      const partitions = Array.from({ length: WRITERS }, (_, i) => `text ${rounds}.${i}`)
      // Now and then while they open it.
      const said = await Promise.all(
        partitions.map((partition, i) => killed(partition, (rounds + i) % 12 !== 0)),
      )
      const store = await openSqlite(dir)
      for (const [i, partition] of partitions.entries()) {
        const writer = { partition, said: said[i] as Said }
        told += writer.said.size
        wrong.push(...(await faults(store, writer)))
        const old = writers[writers.push(writer) - 1 - WRITERS * KEPT]
        if (old === undefined) continue
        wrong.push(...(await faults(store, old)))
        await store.drop(old.partition)
      }
      await store.close()
      const database = new Sqlite(join(dir, 'enrolment.db'))
      const [check] = database.prepare('PRAGMA integrity_check').raw().all()
      database.close()
      if (`${check}` !== 'ok') wrong.push(`round ${rounds}: ${check}`)
    }
    t.equal(rounds * WRITERS, 200)
    t.same(wrong, [])
    t.ok(told > 1000, `${told} were told of`)
  },
)
