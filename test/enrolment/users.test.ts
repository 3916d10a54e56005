import t from 'tap'
import type { Text } from '../../src/enrolment/texts.js'
import type { KeptTemplate, Sample, UserRecord } from '../../src/enrolment/user-record.js'
import { Users } from '../../src/enrolment/users.js'
import { Vault } from '../../src/enrolment/vault.js'
import { openSqlite } from '../../src/stores/sqlite.js'
import type { Store } from '../../src/stores/store.js'
import { clockFrom, KEY, overriding } from '../fixtures/enrolment.js'

interface Test {
  testdir(): string
  teardown(close: () => unknown): void
}

const TEXT = { id: 'text-1', name: 'login' } as Text
const OTHER = { id: 'text-2', name: 'login' } as Text
const DAY_MS = 24 * 3_600_000

/** Says of which samples it is. */
const template = ({ id }: Text, samples: readonly Sample[]): KeptTemplate | undefined => {
  if (samples.length < 3) return undefined
  const centre = Float32Array.from(samples, (sample) => sample.id.charCodeAt(0))
  return { basis: id, centre, spread: centre }
}

async function open(t: Test, retentionMs = 0, through = (store: Store) => store) {
  const clock = clockFrom()
  const store = await openSqlite(t.testdir(), clock)
  t.teardown(() => store.close())
  const users = new Users(through(store), Vault.of([KEY]), template, clock.now, retentionMs)
  /** Notes one sample more. */
  const add = (user: string, id: string, text = TEXT) =>
    users.change(text, user, (found) => {
      const record = found?.value ?? users.made()
      const sample = { id, at: users.moment(), source: 'enrolled' as const, row: Float32Array.of(1) }
      return { ...record, updated: users.moment(), samples: [...record.samples, sample] }
    })
  return { clock, store, users, add }
}
const ids = (record: UserRecord | undefined) => record?.samples.map(({ id }) => id)

t.test('a user is made with the first change, and changed by the next', async (t) => {
  const { users, add } = await open(t)
  const made = await add('anna', 'a')
  t.match(made, { key: 'anna', value: { created: '2025-05-01T00:00:00.000Z' }, expires: undefined })
  const changed = await add('anna', 'b')
  t.same(ids(changed?.value), ['a', 'b'])
  t.equal(changed?.value.id, made?.value.id)
  t.not(changed?.version, made?.version)
  t.same(await users.get(TEXT, 'anna'), changed)
  t.same(await users.change(TEXT, 'anna', () => undefined), changed, 'or left as it is')
  t.equal(await users.change(TEXT, 'ben', () => undefined), undefined)
  t.equal(await users.count(TEXT), 1)
})

t.test('with their samples the template is kept that is made of them, and of no others', async (t) => {
  const { users, add } = await open(t)
  const kept = async () => {
    const { template } = (await users.get(TEXT, 'anna')).value
    return (
      template && [
        template.basis,
        ...[template.centre, template.spread].map((one) => String.fromCharCode(...one)),
      ]
    )
  }
  await add('anna', 'a')
  await add('anna', 'b')
  t.equal(await kept(), undefined)
  await add('anna', 'c')
  await add('anna', 'd')
  t.same(await kept(), ['text-1', 'abcd', 'abcd'])
  const without = async (gone: string) =>
    users.change(TEXT, 'anna', (found) => {
      const record = found?.value as UserRecord
      return { ...record, samples: record.samples.filter(({ id }) => id !== gone) }
    })
  await without('b')
  t.same(await kept(), ['text-1', 'acd', 'acd'])
  await without('c')
  t.equal(await kept(), undefined)
})

t.test('users are those of a text, and what was of another of that name is not near', async (t) => {
  const { users, add } = await open(t)
  await add('anna', 'a')
  await add('ben', 'b')
  await add('anna', 'c', OTHER)
  t.same(ids((await users.find(OTHER, 'anna'))?.value), ['c'])
  t.same(
    (await users.page(TEXT, '', 10)).map(({ key }) => key),
    ['anna', 'ben'],
  )
  t.same(
    (await users.page(TEXT, 'anna', 10)).map(({ key }) => key),
    ['ben'],
  )
  await t.rejects(users.get(OTHER, 'ben'), {
    code: 'KSR_NOT_ENROLLED',
    message: 'The text "login" has no user "ben".',
  })
  await users.deleteAll(TEXT)
  t.same([await users.count(TEXT), await users.count(OTHER)], [0, 1])
})

t.test('a user is deleted only as they were seen, where that is said', async (t) => {
  const { users, add } = await open(t)
  const seen = await add('anna', 'a')
  const now = await add('anna', 'b')
  t.equal(await users.delete(TEXT, 'anna', seen?.version), false)
  t.equal(await users.delete(TEXT, 'anna', now?.version), true)
  t.equal(await users.delete(TEXT, 'anna'), false)
  const again = await add('anna', 'c')
  t.not(again?.value.id, now?.value.id, 'enrolled once more they are somebody else')
})

t.test('a change is made on what is there by then, however many make one at once', async (t) => {
  const { users, add } = await open(t)
  const all = Array.from({ length: 20 }, (_, i) => `${i}`)
  await Promise.all(all.map((id) => add('anna', id)))
  t.same(ids((await users.get(TEXT, 'anna')).value)?.toSorted(), all.toSorted())
})

t.test('who is never fast enough is told so', async (t) => {
  let tries = 0
  const { add } = await open(t, 0, (store) =>
    overriding(store, {
      async put() {
        tries++
        return undefined
      },
    }),
  )
  await t.rejects(add('anna', 'a'), { code: 'KSR_CONFLICT', statusCode: 409 })
  t.equal(tries, 50)
})

t.test('a change that is refused changes nothing', async (t) => {
  const { users } = await open(t)
  await t.rejects(
    users.change(TEXT, 'anna', () => {
      throw new Error('refused')
    }),
    { message: 'refused' },
  )
  t.equal(await users.find(TEXT, 'anna'), undefined)
})

t.test('where users are kept for a time only, that begins with their last change', async (t) => {
  const { clock, users, add } = await open(t, 30 * DAY_MS)
  const made = await add('anna', 'a')
  t.equal(made?.expires, (clock.at + 30 * DAY_MS) / 1000)
  clock.at += 20 * DAY_MS
  const changed = await add('anna', 'b')
  t.equal(changed?.expires, (clock.at + 30 * DAY_MS) / 1000)
  t.same(await users.get(TEXT, 'anna'), changed)
  clock.at += DAY_MS
  const noted = await users.change(TEXT, 'anna', (found) => ({
    ...(found?.value as UserRecord),
    noted: 'now',
  }))
  t.equal(noted?.expires, changed?.expires, 'what is noted of a user keeps nobody longer')
  clock.at += 28 * DAY_MS
  t.equal(await users.count(TEXT), 1)
  clock.at += DAY_MS
  t.equal(await users.find(TEXT, 'anna'), undefined)
  t.equal(await users.count(TEXT), 0)
})

t.test('what has changed is told from where one was, with who is gone', async (t) => {
  const { users, add } = await open(t)
  await add('anna', 'a')
  const { changes, cursor } = await users.changes(TEXT, '')
  t.same(changes, [], 'from the beginning there is nothing but where one is')
  const ben = await add('ben', 'b')
  await users.delete(TEXT, 'anna')
  await add('carl', 'c', OTHER)
  const next = await users.changes(TEXT, cursor)
  t.match(next.changes, [
    { user: 'ben', read: { key: 'ben', value: { id: ben?.value.id }, version: ben?.version } },
    { user: 'anna', read: undefined },
  ])
  t.same((await users.changes(TEXT, next.cursor)).changes, [])
})
