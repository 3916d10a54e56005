import t from 'tap'
import { jsonCodec, SealedRecords } from '../../src/enrolment/sealed-records.js'
import { Vault } from '../../src/enrolment/vault.js'
import { openSqlite } from '../../src/stores/sqlite.js'
import type { Store } from '../../src/stores/store.js'
import { KEY, OTHER_KEY, overriding } from '../fixtures/enrolment.js'

interface Test {
  testdir(): string
  teardown(close: () => unknown): void
}

const OLD = Vault.of([KEY])
const ROTATED = Vault.of([OTHER_KEY, KEY])
const NEW = Vault.of([OTHER_KEY])
const HERE = 'texts/one'

async function open(t: Test) {
  const store = await openSqlite(t.testdir())
  t.teardown(() => store.close())
  return store
}
const records = (store: Store, vault: Vault) => new SealedRecords<{ name: string }>(store, vault, jsonCodec())
const bytesOf = async (store: Store, key: string) => (await store.get(HERE, key))?.bytes as Uint8Array

t.test('a record is sealed where it is put, and read from there', async (t) => {
  const store = await open(t)
  const sealed = records(store, OLD)
  const version = await sealed.put(HERE, 'a', { name: 'anna' }, { expected: undefined })
  t.same(await sealed.get(HERE, 'a'), { key: 'a', value: { name: 'anna' }, version, expires: undefined })
  t.equal(await sealed.get(HERE, 'b'), undefined)
  t.notOk(Buffer.from(await bytesOf(store, 'a')).includes('anna'))
  t.equal(await sealed.put(HERE, 'a', { name: 'ben' }, { expected: undefined }), undefined, 'it is there')
  const expires = Math.floor(Date.now() / 1000) + 60
  await sealed.put(HERE, 'b', { name: 'ben' }, { expected: undefined, expires })
  t.match(await sealed.page(HERE, '', 10), [
    { key: 'a', value: { name: 'anna' } },
    { key: 'b', value: { name: 'ben' }, expires },
  ])
})

t.test('a record that was put elsewhere does not open, wherever the store says that it is', async (t) => {
  const store = await open(t)
  await records(store, OLD).put(HERE, 'a', { name: 'anna' }, { expected: undefined })
  const bytes = await bytesOf(store, 'a')
  for (const [partition, key] of [
    [HERE, 'b'],
    ['texts/two', 'a'],
    ['texts', 'one\na'],
  ] as const) {
    await store.put({ partition, key, bytes }, undefined)
    await t.rejects(records(store, OLD).get(partition, key), { code: 'KSR_SEALED' }, `${partition} ${key}`)
  }
})

t.test(
  'what was sealed with an older key is sealed anew once it is read, and the old key is needed no more',
  async (t) => {
    const store = await open(t)
    const expires = Math.floor(Date.now() / 1000) + 60
    for (const key of ['a', 'b', 'c']) {
      await records(store, OLD).put(HERE, key, { name: key }, { expected: undefined, expires })
    }
    const rotated = records(store, ROTATED)
    const before = await store.get(HERE, 'a')
    const read = await rotated.get(HERE, 'a')
    t.match(read, { value: { name: 'a' }, expires })
    t.not(read?.version, before?.version, 'it is of another version now')
    t.equal(read?.version, (await store.get(HERE, 'a'))?.version)
    t.equal((await store.get(HERE, 'a'))?.expires, expires, 'and ends when it did')
    await rotated.page(HERE, '', 10)
    for (const key of ['a', 'b', 'c'])
      t.match(await records(store, NEW).get(HERE, key), { value: { name: key } })
    const { version } = (await store.get(HERE, 'a')) as { version: string }
    await rotated.get(HERE, 'a')
    t.equal((await store.get(HERE, 'a'))?.version, version, 'once')
    await t.rejects(records(store, OLD).get(HERE, 'a'), { message: /its key "2026" is not known/ })
  },
)

t.test('where somebody writes it while it is sealed anew, theirs stays', async (t) => {
  const store = await open(t)
  await records(store, OLD).put(HERE, 'a', { name: 'anna' }, { expected: undefined })
  const before = (await store.get(HERE, 'a'))?.version as string
  let theirs: string | undefined
  const slow = overriding(store, {
    async put(record, expected) {
      theirs ??= await records(store, ROTATED).put(HERE, 'a', { name: 'changed' }, { expected: before })
      return store.put(record, expected)
    },
  })
  const read = await records(slow, ROTATED).get(HERE, 'a')
  t.match(read, { value: { name: 'anna' }, version: before }, 'a write that expects it is refused')
  t.match(await records(store, NEW).get(HERE, 'a'), { value: { name: 'changed' }, version: theirs })
})
