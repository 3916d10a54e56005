import t from 'tap'
import type { Enrolment } from '../../src/enrolment/enrolment.js'
import { Galleries } from '../../src/enrolment/galleries.js'
import { TextModels } from '../../src/enrolment/text-models.js'
import type { Text } from '../../src/enrolment/texts.js'
import type { User, Users } from '../../src/enrolment/users.js'
import { timingsRow } from '../../src/keystroke/features.js'
import { anyVersion, clockFrom, openEnrolment, openModels, overriding, typed } from '../fixtures/enrolment.js'
import { person, times } from '../fixtures/people.js'

const models = await openModels(t)
const DAY_MS = 24 * 3_600_000

interface Test {
  testdir(): string
  teardown(close: () => unknown): void
}

/** Two processes on one folder, whose clock is moved by hand. */
async function twoProcesses(t: Test, limits = {}) {
  const clock = clockFrom()
  const dir = t.testdir()
  const opening = { models, dir, limits, now: clock.now }
  const [{ enrolment: one, store }, { enrolment: other }] = [
    await openEnrolment(t, opening),
    await openEnrolment(t, opening),
  ]
  return { clock, store, one, other }
}
const text = async (enrolment: Enrolment, name = 'login', keys = 13) =>
  (await enrolment.putText('', name, { keys }, anyVersion)).text
const typings = (type: ReturnType<typeof person>, count = 3) => typed(...times(count, type))
/** Whom a typing is taken for; with how they are known. */
const whose = async (enrolment: Enrolment, type: ReturnType<typeof person>, name = 'login') => {
  const found = await enrolment.text('', name)
  return (await enrolment.recogniser.identify(found, typings(type, 1), {})).user
}

t.test('whom another process enrols is recognised within a second, and one’s own at once', async (t) => {
  const { clock, one, other } = await twoProcesses(t)
  const [anna, ben] = [person(1), person(2)]
  await one.enrol(await text(one), 'anna', typings(anna), anyVersion)
  t.equal(await whose(one, anna), 'anna')
  t.equal(await whose(other, anna), 'anna')
  await one.enrol(await text(one), 'ben', typings(ben), anyVersion)
  t.equal(await whose(one, ben), 'ben', 'in the process that enrolled them')
  t.equal(await whose(other, ben), 'anna', 'not yet in the other')
  clock.at += 250
  t.equal(await whose(other, ben), 'ben')
})

t.test('who slept while a deletion was told of and forgotten begins anew', async (t) => {
  const { clock, store, one, other } = await twoProcesses(t)
  const [anna, ben] = [person(1), person(2)]
  const login = await text(one)
  await one.enrol(login, 'anna', typings(anna), anyVersion)
  await one.enrol(login, 'ben', typings(ben), anyVersion)
  t.equal(await whose(other, ben), 'ben')
  await one.deleteUser(login, 'ben', anyVersion)
  // As a store does that tells of it for an hour.
  const { changes } = store
  store.changes = async (partition, cursor) => ({
    ...(await changes.call(store, partition, cursor)),
    changes: [],
  })
  clock.at += 3_600_000
  t.equal(await whose(one, ben), 'anna')
  t.equal(await whose(other, ben), 'anna')
  clock.at += 3_600_000
  await other.refresh()
  t.equal(await whose(other, ben), 'anna', 'and nobody is held whom nobody asks for')
})

t.test('whom another process deletes is not recognised within a second', async (t) => {
  const { clock, one, other } = await twoProcesses(t)
  const [anna, ben] = [person(1), person(2)]
  const login = await text(one)
  for (const [user, type] of [
    ['anna', anna],
    ['ben', ben],
  ] as const)
    await one.enrol(login, user, typings(type), anyVersion)
  t.equal(await whose(other, ben), 'ben')
  await one.deleteUser(login, 'ben', anyVersion)
  t.equal(await whose(one, ben), 'anna')
  clock.at += 250
  t.equal(await whose(other, ben), 'anna')
  await one.deleteUser(login, 'anna', anyVersion)
  clock.at += 250
  await t.rejects(whose(other, ben), { code: 'KSR_NOBODY_ENROLLED' })
})

t.test('a text that another process makes anew has nobody of the one before', async (t) => {
  const { clock, one, other } = await twoProcesses(t)
  const anna = person(1)
  await one.enrol(await text(one), 'anna', typings(anna), anyVersion)
  t.equal(await whose(other, anna), 'anna')
  await one.deleteText(await text(one))
  clock.at += 250
  await t.rejects(other.text('', 'login'), { code: 'KSR_TEXT_NOT_FOUND' })
  await text(one)
  clock.at += 250
  await t.rejects(whose(other, anna), { code: 'KSR_NOBODY_ENROLLED' })
})

t.test('who is past their time is not recognised any more, without anybody deleting them', async (t) => {
  const { clock, one } = await twoProcesses(t, { retentionDays: 30 })
  const [anna, ben] = [person(1), person(2)]
  const login = await text(one)
  await one.enrol(login, 'anna', typings(anna), anyVersion)
  clock.at += 10 * DAY_MS
  await one.enrol(login, 'ben', typings(ben), anyVersion)
  t.equal(await whose(one, anna), 'anna')
  clock.at += 20 * DAY_MS - 1000
  t.equal(await whose(one, anna), 'anna')
  clock.at += 1000
  t.equal(await whose(one, anna), 'ben')
})

t.test('who has too few samples is not in it, nor any more who has too few again', async (t) => {
  const { one } = await twoProcesses(t)
  const anna = person(1)
  const login = await text(one)
  await one.enrol(login, 'anna', typings(anna, 2), anyVersion)
  await t.rejects(whose(one, anna), { code: 'KSR_NOBODY_ENROLLED' })
  const { added } = await one.enrol(login, 'anna', typings(anna, 1), anyVersion)
  t.equal(await whose(one, anna), 'anna')
  await one.deleteSample(login, 'anna', added[0] as string, anyVersion)
  await t.rejects(whose(one, anna), { code: 'KSR_NOBODY_ENROLLED' })
})

t.test('what is changed here while the gallery is brought up to date is in the next answer', async (t) => {
  const clock = clockFrom()
  let wait: Promise<void> | undefined
  let resume = () => {}
  const { enrolment } = await openEnrolment(t, {
    models,
    now: clock.now,
    through: (store) =>
      overriding(store, {
        async changes(partition, cursor) {
          const found = await store.changes(partition, cursor)
          if (cursor !== '') await wait
          return found
        },
      }),
  })
  const [anna, ben] = [person(1), person(2)]
  const login = await text(enrolment)
  await enrolment.enrol(login, 'anna', typings(anna), anyVersion)
  t.equal(await whose(enrolment, ben), 'anna')
  clock.at += 1000
  wait = new Promise((resolve) => {
    resume = resolve
  })
  const early = whose(enrolment, ben)
  await new Promise(setImmediate)
  await enrolment.enrol(login, 'ben', typings(ben), anyVersion)
  const late = whose(enrolment, ben)
  await new Promise(setImmediate)
  wait = undefined
  resume()
  t.equal(await late, 'ben')
  await early
})

t.test('a gallery that could not be read is read again by the next who asks', async (t) => {
  let fails = 'page'
  const clock = clockFrom()
  const { enrolment } = await openEnrolment(t, {
    models,
    now: clock.now,
    through: (store) =>
      overriding(store, {
        async page(...asked) {
          if (fails === 'page' && asked[0].startsWith('users/')) throw new Error('no disk')
          return store.page(...asked)
        },
        async changes(...asked) {
          if (fails === 'changes') throw new Error('no disk')
          return store.changes(...asked)
        },
      }),
  })
  const anna = person(1)
  const login = await text(enrolment)
  await enrolment.enrol(login, 'anna', typings(anna), anyVersion)
  for (const one of await Promise.allSettled([whose(enrolment, anna), whose(enrolment, anna)])) {
    t.match(one, { reason: { message: 'no disk' } })
  }
  fails = ''
  t.equal(await whose(enrolment, anna), 'anna')
  fails = 'changes'
  clock.at += 250
  await t.rejects(whose(enrolment, anna), { message: 'no disk' })
  await t.rejects(whose(enrolment, anna), { message: 'no disk' }, 'nor is it taken for read')
  fails = ''
  t.equal(await whose(enrolment, anna), 'anna')
})

t.test('models that are exchanged are used from then on, by who was waiting, too', async (t) => {
  const others = { ...models, artefact: { ...models.artefact, version: 'another00000' } }
  let current = models
  let exchange = false
  const { enrolment } = await openEnrolment(t, {
    models: () => current,
    through: (store) =>
      overriding(store, {
        async page(...asked) {
          if (exchange) current = others
          return store.page(...asked)
        },
      }),
  })
  const anna = person(1)
  const login = await text(enrolment)
  await enrolment.enrol(login, 'anna', typings(anna), anyVersion)
  const version = async () => (await enrolment.recogniser.identify(login, typings(anna, 1), {})).version
  t.equal(await version(), models.artefact.version)
  current = others
  t.equal(await version(), 'another00000', 'from one question to the next')
  current = { ...models }
  exchange = true
  t.equal(await version(), 'another00000', 'and while it is loaded')
})

t.test('requests that know a text as it was and as it is answer side by side', async (t) => {
  const { enrolment } = await openEnrolment(t, { models })
  const types = times(2, (i) => person(i + 1, 5))
  const motto = await text(enrolment, 'motto', 5)
  for (const [i, type] of types.entries()) await enrolment.enrol(motto, `u${i}`, typings(type), anyVersion)
  const learned = await enrolment.text('', 'motto')
  t.ok(learned.experience)
  t.notOk(motto.experience)
  const ask = (known: Text) => enrolment.recogniser.identify(known, typings(person(7, 5), 1), {})
  const answers = await Promise.all([ask(motto), ask(learned), ask(motto), ask(learned)])
  t.equal(answers.length, 4)
})

t.test(
  'nothing stays in memory of whom others have deleted, of texts that nobody asks for, too',
  async (t) => {
    const { clock, one, other } = await twoProcesses(t)
    const types = [person(1), person(2)] as const
    const login = await text(one)
    for (const [i, type] of types.entries()) await one.enrol(login, `u${i}`, typings(type), anyVersion)
    t.equal(await whose(other, types[1]), 'u1')
    await one.deleteUser(login, 'u1', anyVersion)
    clock.at += 60_000
    await other.refresh()
    await one.deleteUser(login, 'u0', anyVersion)
    // Without a look at what is stored.
    t.equal((await other.recogniser.identify(login, typings(types[1], 1), {})).user, 'u0')
  },
)

/** Users of texts of two keys who are all the same one. */
function madeUp(counts: Record<string, number>) {
  const loaded: string[] = []
  const samples = typings(person(1, 2)).map(({ times }) => ({
    id: '',
    at: '',
    source: 'enrolled' as const,
    row: timingsRow(times),
  }))
  const value = { id: '', created: '', updated: '', samples }
  const users = {
    async changes({ id }: Text, cursor: string) {
      if (cursor === '') loaded.push(id)
      return { changes: [], cursor: '1' }
    },
    async page({ id }: Text, after: string, limit: number): Promise<User[]> {
      const from = after === '' ? 0 : Number(after) + 1
      const count = Math.min(limit, (counts[id] as number) - from)
      return times(count, (i) => ({ key: String(from + i).padStart(6, '0'), value, version: '1' }))
    },
  }
  return { users: users as unknown as Users, loaded }
}
const general = (id: string) => ({ id, keys: 2, prior: 'general', version: '1' }) as Text

t.test(
  'of more users than are held at once the texts are forgotten that nobody asked for the longest',
  async (t) => {
    const { users, loaded } = madeUp({ one: 1200, two: 7, many: 100_001 })
    const galleries = new Galleries(users, new TextModels(() => models), () => 0)
    const ask = async (id: string) => (await galleries.of(general(id))).ready.size
    t.same([await ask('one'), await ask('two'), await ask('one')], [1200, 7, 1200])
    t.same(loaded, ['one', 'two'], 'in pages')
    t.equal(await ask('many'), 100_001)
    t.equal(await ask('many'), 100_001, 'one of more than are held is held all the same')
    t.same(loaded, ['one', 'two', 'many'])
    t.same([await ask('two'), await ask('one'), await ask('two')], [7, 1200, 7])
    t.same(loaded, ['one', 'two', 'many', 'two', 'one'])
  },
)
