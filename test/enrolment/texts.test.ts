import t from 'tap'
import { FRESH_MS, type Text, Texts } from '../../src/enrolment/texts.js'
import { Vault } from '../../src/enrolment/vault.js'
import { openSqlite } from '../../src/stores/sqlite.js'
import type { Store } from '../../src/stores/store.js'
import { clockFrom, KEY, overriding } from '../fixtures/enrolment.js'

interface Test {
  testdir(): string
  teardown(close: () => unknown): void
}

const vault = Vault.of([KEY])

async function open(t: Test) {
  const clock = clockFrom()
  const store = await openSqlite(t.testdir(), clock)
  t.teardown(() => store.close())
  const process = () => new Texts(store, vault, clock.now)
  return { clock, store, process, texts: process() }
}
const names = (texts: Text[]) => texts.map(({ name }) => name)

t.test('a text is made once, and is what it was made as', async (t) => {
  const { texts } = await open(t)
  const made = await texts.create('key app', 'login', 13, 'shipped')
  t.match(made, {
    tenant: 'key app',
    name: 'login',
    keys: 13,
    prior: 'shipped',
    created: '2025-05-01T00:00:00.000Z',
  })
  t.match(made?.id, /^[0-9a-f-]{36}$/)
  t.same(await texts.get('key app', 'login'), made)
  t.equal(await texts.create('key app', 'login', 8, 'general'), undefined)
  t.same(await texts.find('key app', 'login'), made)
})

t.test('a text is its caller’s, who alone finds it', async (t) => {
  const { texts, store } = await open(t)
  await texts.create('key app', 'login', 13, 'shipped')
  await texts.create('key app', 'a', 5, 'general')
  const other = await texts.create('key web', 'login', 8, 'general')
  t.same(names(await texts.page('key app', '', 10)), ['a', 'login'])
  t.same(names(await texts.page('key app', 'a', 10)), ['login'])
  t.same(names(await texts.page('key app', '', 1)), ['a'])
  t.same(await texts.page('key web', '', 10), [other])
  t.same([await texts.count('key app'), await texts.count('key web'), await texts.count('')], [2, 1, 0])
  for (const caller of ['', 'token key app', 'key ap', 'key app/login']) {
    await t.rejects(texts.get(caller, 'login'), {
      code: 'KSR_TEXT_NOT_FOUND',
      message: 'There is no text "login". GET /texts lists those there are.',
    })
  }
  t.equal((await store.get('texts/key app', 'login'))?.key, undefined, 'nor is who it is written anywhere')
})

t.test('what another process changes is seen within a second, and one’s own at once', async (t) => {
  const { clock, texts, process } = await open(t)
  const other = process()
  const made = (await texts.create('', 'login', 13, 'shipped')) as Text
  t.same(await other.get('', 'login'), made)
  await texts.delete(made)
  await t.rejects(texts.get('', 'login'), { code: 'KSR_TEXT_NOT_FOUND' })
  const anew = (await texts.create('', 'login', 8, 'general')) as Text
  t.not(anew.id, made.id)
  t.same(await texts.get('', 'login'), anew)
  t.same(await other.get('', 'login'), made, 'remembered')
  t.same(await other.find('', 'login'), anew, 'unless it is asked what is there now')
  clock.at += FRESH_MS
  t.same(await other.get('', 'login'), anew)
  await texts.delete(anew)
  clock.at += FRESH_MS
  await t.rejects(other.get('', 'login'), { code: 'KSR_TEXT_NOT_FOUND' })
  t.ok(FRESH_MS < 1000)
})

t.test('what was learned of a text is read as it was written, unless somebody was faster', async (t) => {
  const { texts, process } = await open(t)
  const text = (await texts.create('', 'motto', 2, 'general')) as Text
  const numbers = (by: number) => Float64Array.from({ length: 11 }, (_, f) => (f + by) / 3)
  const experience = { users: { users: 2, median: numbers(1), deviation: numbers(2) }, from: ['one', 'two'] }
  const learned = (await texts.learn(text, experience)) as Text
  t.not(learned.version, text.version)
  t.same(await texts.get('', 'motto'), learned)
  t.same(await process().get('', 'motto'), learned, 'the same to the last bit in every process')
  t.ok(Math.abs((learned.experience?.users.median[5] as number) - 2) < 1e-6)
  t.match(learned, { id: text.id, keys: 2, created: text.created, experience: { from: ['one', 'two'] } })
  t.equal(await texts.learn(text, experience), undefined)
  const forgotten = await texts.learn(learned, undefined)
  t.equal(forgotten?.experience, undefined)
  t.same(await texts.find('', 'motto'), forgotten)
})

t.test('only so many texts are remembered', async (t) => {
  const { store } = await open(t)
  let asked = 0
  const one = { id: 'one', keys: 2, prior: 'general', created: '' }
  const endless: Store = overriding(store, {
    async get(partition, key) {
      asked++
      const bytes = vault.seal(Buffer.from(JSON.stringify(one)), `${partition}\n${key}`)
      return { partition, key, bytes, version: '1' }
    },
  })
  const texts = new Texts(endless, vault, () => 0)
  for (let i = 0; i <= 10_000; i++) await texts.get('', `${i}`)
  asked = 0
  await texts.get('', '10000')
  await texts.get('', '1')
  t.equal(asked, 0)
  await texts.get('', '0')
  t.equal(asked, 1)
})
