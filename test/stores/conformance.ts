import t, { type Test } from 'tap'
import type { Change, Store, StoredRecord } from '../../src/stores/store.js'

/** Opens a store, as often as wanted, on the same empty place. */
export type Open = () => Promise<Store>

const PARTITION = 'texts/7/users'

export const bytes = (text: string) => new Uint8Array(Buffer.from(text))
const text = (record: { bytes: Uint8Array | undefined } | undefined) =>
  record?.bytes && Buffer.from(record.bytes).toString()
const seconds = () => Math.floor(Date.now() / 1000)

function put(store: Store, key: string, value: string, expected?: string, partition = PARTITION) {
  return store.put({ partition, key, bytes: bytes(value) }, expected)
}

/** All that is in a partition, as a caller who reads it in pages finds it. */
async function all(store: Store, limit = 7): Promise<StoredRecord[]> {
  const records: StoredRecord[] = []
  for (;;) {
    const page = await store.page(PARTITION, records.at(-1)?.key ?? '', limit)
    records.push(...page)
    if (page.length < limit) return records
  }
}

/** What someone who followed the changes holds in the end. */
function follow(changes: Change[], held = new Map<string, string>()): Map<string, string> {
  for (const change of changes) {
    if (change.bytes === undefined) held.delete(change.key)
    else held.set(change.key, text(change) as string)
  }
  return held
}

/** What every store does; `place` makes an empty place for each test, and ends it with the test. */
export function conforms(place: (t: Test) => Promise<Open>): void {
  const testStore = (title: string, run: (t: Test, open: Open, store: Store) => Promise<void>) =>
    t.test(title, async (t) => {
      const open = await place(t)
      const opened: Store[] = []
      const openOne = async () => {
        const store = await open()
        opened.push(store)
        return store
      }
      t.teardown(() => Promise.all(opened.map((store) => store.close())))
      await run(t, openOne, await openOne())
    })

  testStore('what was put is got, by its key in its partition', async (t, _, store) => {
    const record = { partition: PARTITION, key: 'anna', bytes: bytes('hers'), expires: seconds() + 3600 }
    const version = await store.put(record, undefined)
    t.type(version, 'string')
    t.match(await store.get(PARTITION, 'anna'), { ...record, version, bytes: Buffer.from(record.bytes) })
    t.equal(await store.get(PARTITION, 'ben'), undefined)
    t.equal(await store.get('texts/8/users', 'anna'), undefined)
    await put(store, 'anna', 'of another text', undefined, 'texts/8/users')
    t.equal(text(await store.get(PARTITION, 'anna')), 'hers')
    await put(store, 'ben', 'his')
    t.notOk('expires' in ((await store.get(PARTITION, 'ben')) as StoredRecord))
  })

  testStore('a record is written over by who knows its version, and by nobody else', async (t, _, store) => {
    const first = await put(store, 'anna', 'first')
    t.equal(await put(store, 'anna', 'new'), undefined, 'there is one')
    t.equal(await put(store, 'ben', 'his', first), undefined, 'there is none')
    const second = await put(store, 'anna', 'second', first)
    t.not(second, first)
    t.equal(await put(store, 'anna', 'third', first), undefined)
    t.equal(await put(store, 'anna', 'third', 'no version'), undefined)
    t.equal(text(await store.get(PARTITION, 'anna')), 'second')
    t.equal(await store.delete(PARTITION, 'anna', first), false)
    t.equal(await store.delete(PARTITION, 'anna', 'no version'), false)
    t.equal(await store.delete(PARTITION, 'anna', second), true)
    t.equal(await put(store, 'anna', 'third', second), undefined, 'deleted')
    const again = await put(store, 'anna', 'again')
    t.notOk([first, second].includes(again as string), 'a version is never given twice')
  })

  testStore('of twenty who write on one version at once one wins', async (t, open, store) => {
    const stores = [store, await open()]
    const first = await put(store, 'anna', 'first')
    for (const expected of [undefined, first]) {
      const key = expected === undefined ? 'ben' : 'anna'
      const versions = await Promise.all(
        Array.from({ length: 20 }, (_, i) => put(stores[i % 2] as Store, key, `of ${i}`, expected)),
      )
      const winners = versions.flatMap((version, i) => (version === undefined ? [] : [{ version, i }]))
      t.equal(winners.length, 1)
      t.match(await store.get(PARTITION, key), { version: winners[0]?.version })
      t.equal(text(await store.get(PARTITION, key)), `of ${winners[0]?.i}`)
    }
    const deletions = Array.from({ length: 20 }, (_, i) => (stores[i % 2] as Store).delete(PARTITION, 'anna'))
    t.equal((await Promise.all(deletions)).filter(Boolean).length, 1)
  })

  testStore('what is deleted is not there, and can be put anew', async (t, _, store) => {
    const { cursor } = await store.changes(PARTITION, '')
    t.equal(await store.delete(PARTITION, 'anna'), false)
    t.equal(await store.delete(PARTITION, 'anna', '1'), false)
    t.same((await store.changes(PARTITION, cursor)).changes, [], 'nothing to tell')
    await put(store, 'anna', 'hers')
    await put(store, 'ben', 'his')
    t.equal(await store.delete(PARTITION, 'anna'), true)
    t.equal(await store.delete(PARTITION, 'anna'), false)
    t.equal(await store.get(PARTITION, 'anna'), undefined)
    t.same(
      (await store.page(PARTITION, '', 10)).map(({ key }) => key),
      ['ben'],
    )
    t.equal(await store.count(PARTITION), 1)
    await put(store, 'anna', 'again')
    t.equal(text(await store.get(PARTITION, 'anna')), 'again')
  })

  testStore('pages hold the records in the order of the bytes of their keys', async (t, _, store) => {
    t.same(await store.page(PARTITION, '', 10), [])
    const keys = [
      'a',
      'b',
      'B',
      '10',
      '9',
      'ä',
      'ß',
      'z',
      '中',
      '🙂',
      '\uffee',
      'a b',
      'a/b',
      'a\u0000b',
      'a\u0000',
    ]
    await Promise.all(keys.map((key) => put(store, key, `of ${key}`)))
    await put(store, 'c', 'of another', undefined, `${PARTITION}/more`)
    const sorted = keys.toSorted((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)))
    for (const limit of [1, 2, 7, 100]) {
      const records = await all(store, limit)
      t.same(
        records.map(({ key }) => key),
        sorted,
      )
      t.same(
        records.map(text),
        sorted.map((key) => `of ${key}`),
      )
    }
    const [first] = await store.page(PARTITION, '', 1)
    t.same(first, await store.get(PARTITION, sorted[0] as string))
    await store.delete(PARTITION, 'b')
    t.same(
      (await store.page(PARTITION, 'a/b', 2)).map(({ key }) => key),
      ['z', 'ß'],
      'none for what is deleted',
    )
  })

  testStore('keys are any text of up to 1,024 bytes', async (t, _, store) => {
    for (const key of [
      '🙂'.repeat(256),
      'x'.repeat(1024),
      "'; DROP TABLE records; --",
      '%',
      '\\',
      '\u0001',
    ]) {
      const partition = `texts/${key.slice(0, 32)}`
      await put(store, key, 'hers', undefined, partition)
      t.equal(text(await store.get(partition, key)), 'hers')
      t.equal((await store.page(partition, '', 1))[0]?.key, key)
      t.equal(await store.delete(partition, key), true)
    }
  })

  testStore('records are any bytes, up to the largest that every store can keep', async (t, _, store) => {
    const every = Uint8Array.from({ length: 256 }, (_, i) => i)
    const largest = new Uint8Array(390_000).fill(7)
    await store.put({ partition: PARTITION, key: 'every', bytes: every }, undefined)
    await store.put({ partition: PARTITION, key: 'part', bytes: every.subarray(10, 20) }, undefined)
    await store.put({ partition: PARTITION, key: 'largest', bytes: largest }, undefined)
    t.same(Buffer.from((await store.get(PARTITION, 'every'))?.bytes as Uint8Array), Buffer.from(every))
    t.same([...((await store.get(PARTITION, 'part'))?.bytes as Uint8Array)], [...every.subarray(10, 20)])
    t.equal((await store.get(PARTITION, 'largest'))?.bytes.length, 390_000)
    await t.rejects(
      store.put({ partition: PARTITION, key: 'larger', bytes: new Uint8Array(390_001) }, undefined),
      { code: 'KSR_RECORD_TOO_LARGE', statusCode: 500 },
    )
    t.equal(await store.count(PARTITION), 3)
  })

  testStore('what is past its time is not there, swept or not', async (t, _, store) => {
    const { cursor } = await store.changes(PARTITION, '')
    const first = await put(store, 'anna', 'hers')
    const old = (key: string, expected?: string) =>
      store.put({ partition: PARTITION, key, bytes: bytes('old'), expires: seconds() - 1 }, expected)
    const version = await old('anna', first)
    await old('ben')
    await put(store, 'cleo', 'hers')
    const gone = async () => {
      t.equal(await store.get(PARTITION, 'anna'), undefined)
      t.same(
        (await all(store, 1)).map(({ key }) => key),
        ['cleo'],
      )
      t.equal(await store.count(PARTITION), 1)
      const { changes } = await store.changes(PARTITION, cursor)
      t.same(
        changes.filter(({ bytes }) => bytes !== undefined).map(({ key }) => key),
        ['cleo'],
      )
      t.same([...follow(changes, new Map([['anna', 'hers']])).keys()], ['cleo'])
    }
    await gone()
    t.equal(await put(store, 'anna', 'later', version), undefined)
    t.equal(await store.delete(PARTITION, 'anna'), false)
    t.equal(await store.delete(PARTITION, 'anna', version), false)
    await store.sweep()
    await gone()
    await old('ben')
    t.type(await put(store, 'ben', 'anew'), 'string')
    await put(store, 'anna', 'anew')
    t.equal(await store.count(PARTITION), 3)
    t.equal(text(await store.get(PARTITION, 'ben')), 'anew')
  })

  testStore('a partition is dropped with all that is in it, and no other', async (t, _, store) => {
    await Promise.all(Array.from({ length: 60 }, (_, i) => put(store, `user ${i}`, 'of one')))
    await put(store, 'anna', 'hers', undefined, 'texts/7/users/more')
    const { cursor } = await store.changes(PARTITION, '')
    await store.drop(PARTITION)
    t.equal(await store.count(PARTITION), 0)
    t.same(await store.page(PARTITION, '', 10), [])
    t.equal(await store.get(PARTITION, 'user 5'), undefined)
    t.equal(text(await store.get('texts/7/users/more', 'anna')), 'hers')
    const { changes } = await store.changes(PARTITION, cursor)
    t.equal(new Set(changes.filter(({ bytes }) => bytes === undefined).map(({ key }) => key)).size, 60)
    await store.drop(PARTITION)
    await put(store, 'user 5', 'anew')
    t.equal(await store.count(PARTITION), 1)
  })

  testStore('what one writes or deletes another sees at once', async (t, open, store) => {
    const other = await open()
    const begun = await other.changes(PARTITION, '')
    t.same(begun.changes, [])
    const held = new Map<string, string>()
    let { cursor } = begun
    const catchUp = async () => {
      const answer = await other.changes(PARTITION, cursor)
      cursor = answer.cursor
      follow(answer.changes, held)
    }
    const first = await put(store, 'anna', 'first')
    t.equal(text(await other.get(PARTITION, 'anna')), 'first')
    await catchUp()
    t.same([...held], [['anna', 'first']])
    const second = await put(other, 'anna', 'second', first)
    t.type(second, 'string')
    t.match(await store.get(PARTITION, 'anna'), { version: second })
    await put(store, 'ben', 'his')
    await put(store, 'ben', 'of another text', undefined, 'texts/8/users')
    await catchUp()
    t.same(
      [...held],
      [
        ['anna', 'second'],
        ['ben', 'his'],
      ],
    )
    await store.delete(PARTITION, 'anna')
    await catchUp()
    t.same([...held], [['ben', 'his']])
    await put(store, 'anna', 'third')
    await store.drop(PARTITION)
    await put(store, 'cleo', 'hers')
    await catchUp()
    t.same([...held], [['cleo', 'hers']])
    const { changes } = await other.changes(PARTITION, begun.cursor)
    t.same([...follow(changes)], [['cleo', 'hers']], 'an older cursor tells it again')
    t.match(
      changes.find(({ key }) => key === 'cleo'),
      { version: (await store.get(PARTITION, 'cleo'))?.version },
    )
  })

  testStore('changes tell when a record will be past its time', async (t, _, store) => {
    const { cursor } = await store.changes(PARTITION, '')
    const expires = seconds() + 100
    await store.put({ partition: PARTITION, key: 'anna', bytes: bytes('hers'), expires }, undefined)
    t.match((await store.changes(PARTITION, cursor)).changes, [{ key: 'anna', expires }])
  })

  testStore('nothing that was acknowledged is missed by who follows many writers', async (t, open, store) => {
    const stores = [store, await open(), await open()]
    const reader = await open()
    const held = new Map<string, string>()
    let { cursor } = await reader.changes(PARTITION, '')
    let writing = true
    const versions = new Map<string, string>()
    const writers = stores.map(async (store, w) => {
      for (let i = 0; i < 30; i++) {
        const version = await put(store, `user ${w}.${i % 10}`, `round ${i}`, versions.get(`${w}.${i % 10}`))
        if (i % 10 === 9) {
          await store.delete(PARTITION, `user ${w}.9`)
          versions.delete(`${w}.9`)
        } else versions.set(`${w}.${i % 10}`, version as string)
      }
    })
    const done = Promise.all(writers).finally(() => {
      writing = false
    })
    while (writing) {
      const answer = await reader.changes(PARTITION, cursor)
      cursor = answer.cursor
      follow(answer.changes, held)
      await new Promise(setImmediate)
    }
    await done
    follow((await reader.changes(PARTITION, cursor)).changes, held)
    const found = new Map((await all(store)).map((record) => [record.key, text(record)]))
    t.equal(found.size, 27)
    t.same(new Map([...held].sort()), new Map([...found].sort()))
  })

  testStore('a store that is opened again has all that was acknowledged', async (t, open, store) => {
    const versions = await Promise.all(Array.from({ length: 20 }, (_, i) => put(store, `user ${i}`, 'kept')))
    const { cursor } = await store.changes(PARTITION, '')
    const again = await open()
    await store.close()
    t.same(new Set((await all(again)).map(({ version }) => version)), new Set(versions))
    await put(again, 'anna', 'later')
    t.ok((await again.changes(PARTITION, cursor)).changes.some(({ key }) => key === 'anna'))
  })
}
