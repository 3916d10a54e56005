import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Enrolment } from '../../src/enrolment/enrolment.js'
import type { Text } from '../../src/enrolment/texts.js'
import { rowsOf, type Typed } from '../../src/enrolment/typed.js'
import { decodeUser, encodeUser, type Sample } from '../../src/enrolment/user-record.js'
import { Vault } from '../../src/enrolment/vault.js'
import type { Quality } from '../../src/schemas/recognition.js'
import type { Keystroke } from '../../src/schemas/sample.js'
import type { Store } from '../../src/stores/store.js'
import { floats } from '../../src/templates/artefact.js'
import { type EnrolmentModels, TextModel } from '../../src/templates/text-model.js'
import {
  anyVersion,
  clockFrom,
  KEY,
  type Opening,
  OTHER_KEY,
  openEnrolment,
  openModels,
  overriding,
  typed,
} from '../fixtures/enrolment.js'
import { jittered, person, randomFrom, times } from '../fixtures/people.js'

const models = await openModels(t)
const { artefact } = models
const shipped = new TextModel(models, artefact.keys, 'shipped')
const DAY_MS = 24 * 3_600_000
const MINUTE_MS = 60_000

interface Test {
  testdir(): string
  teardown(close: () => unknown): void
}

/** Enrolment with a text, and a clock that is moved by hand. */
async function open(t: Test, { length = 13, ...opening }: Partial<Opening> & { length?: number } = {}) {
  const clock = clockFrom()
  const opened = await openEnrolment(t, { models, now: clock.now, ...opening, keys: [KEY] })
  const { text } = await opened.enrolment.putText('', 'login', { keys: length }, anyVersion)
  return { clock, text, ...opened }
}
const typings = (type: () => Keystroke[], count = 3) => typed(...times(count, type))
const verify = (
  enrolment: Enrolment,
  text: Text,
  user: string,
  sent: Typed[],
  quality: Quality[] = [],
  fmr = 0.01,
) => enrolment.recogniser.verify(text, user, sent, { fmr }, quality)
const stateOf = async (enrolment: Enrolment, text: Text, user: string) =>
  enrolment.profile(text, await enrolment.user(text, user)).state
/** What is in a user's record as it is stored. */
async function recordOf(store: Store, text: Text, user: string) {
  const partition = `users/${text.id}`
  const { bytes } = (await store.get(partition, user)) as { bytes: Uint8Array }
  return { bytes, record: decodeUser(Vault.of([KEY]).open(bytes, `${partition}\n${user}`)) }
}
/** All files of a folder as they are on the disk. */
const onDisk = (dir: string) => Buffer.concat(readdirSync(dir).map((name) => readFileSync(join(dir, name))))

/** Models by which a match takes so much, at every rate. */
function demanding(threshold: number): EnrolmentModels {
  const points = artefact.decision.points.map((point) => ({
    ...point,
    verification: point.verification.map((one) => ({ ...one, threshold })),
  }))
  return { ...models, artefact: { ...artefact, decision: { ...artefact.decision, points } } }
}

t.test('a text is made once, and again only as it is', async (t) => {
  const { enrolment } = await open(t)
  const put = (name: string, keys: number, prior?: 'shipped' | 'general') =>
    enrolment.putText('', name, { keys, prior }, anyVersion)
  t.match(await put('login', 13), { made: false, text: { prior: 'shipped' } })
  t.match(await put('motto', 5), { made: true, text: { prior: 'general' } })
  t.match(await put('other', 13, 'general'), { made: true, text: { prior: 'general' } })
  t.match(
    await put('other', 13),
    { made: false, text: { prior: 'general' } },
    'as it is where nothing is said',
  )
  for (const [name, keys, prior, detail] of [
    ['login', 12, undefined, 'of 13 keys and the prior "shipped"'],
    ['login', 13, 'general', 'of 13 keys and the prior "shipped"'],
    ['other', 13, 'shipped', 'of 13 keys and the prior "general"'],
  ] as const) {
    await t.rejects(put(name, keys, prior), { code: 'KSR_TEXT_DIFFERS', message: new RegExp(detail) })
  }
  await t.rejects(put('new', 12, 'shipped'), { code: 'KSR_NO_PRIOR', errors: [{ pointer: '/prior' }] })
  t.same(
    (await enrolment.texts('', '', 10)).map(({ name }) => name),
    ['login', 'motto', 'other'],
  )
})

t.test('there are only so many texts of a caller, and users of a text', async (t) => {
  const { enrolment, text } = await open(t, { limits: { maxTexts: 2, maxEnrolled: 2 } })
  const put = (name: string, caller = '') => enrolment.putText(caller, name, { keys: 5 }, anyVersion)
  await put('motto')
  await t.rejects(put('third'), {
    code: 'KSR_LIMIT',
    message: 'There can be no more than 2 texts of a caller.',
  })
  t.equal((await put('motto')).made, false, 'one that is there may be said again')
  await put('third', 'key other')
  for (const user of ['anna', 'ben']) await enrolment.enrol(text, user, typings(person(1), 1), anyVersion)
  await t.rejects(enrolment.enrol(text, 'carl', typings(person(1), 1), anyVersion), {
    code: 'KSR_LIMIT',
    message: 'There can be no more than 2 users of a text.',
  })
  await enrolment.enrol(text, 'anna', typings(person(2), 1), anyVersion)
  await enrolment.deleteUser(text, 'ben', anyVersion)
  await enrolment.enrol(text, 'carl', typings(person(1), 1), anyVersion)
})

t.test('of two who make a text at once one is told', async (t) => {
  const { enrolment } = await openEnrolment(t, {
    models,
    through: (store) => overriding(store, { put: async () => undefined }),
  })
  await t.rejects(enrolment.putText('', 'login', { keys: 13 }, anyVersion), { code: 'KSR_CONFLICT' })
})

t.test('a user is collecting until there are three samples, then ready, and stale after long', async (t) => {
  const { clock, enrolment, text } = await open(t, { limits: { staleDays: 90 } })
  const type = person(1)
  for (const [count, state, needed] of [
    [1, 'collecting', 2],
    [2, 'collecting', 1],
    [3, 'ready', 0],
    [4, 'ready', 0],
  ] as const) {
    const { user, added } = await enrolment.enrol(text, 'anna', typings(type, 1), anyVersion)
    const profile = enrolment.profile(text, user)
    t.match(profile, { user: 'anna', state, needed })
    t.equal(profile.samples.length, count)
    t.same(added, [profile.samples.at(-1)?.id])
    t.notOk('expires' in profile)
    clock.at += 1000
  }
  clock.at += 90 * DAY_MS
  t.equal(await stateOf(enrolment, text, 'anna'), 'stale')
  await enrolment.enrol(text, 'anna', typings(type, 1), anyVersion)
  t.equal(await stateOf(enrolment, text, 'anna'), 'ready', 'after another typing')
})

t.test(
  'where no age is too old nobody grows stale by it, and who is kept for a time knows until when',
  async (t) => {
    const { clock, enrolment, text } = await open(t, { limits: { staleDays: 0, retentionDays: 3650 } })
    await enrolment.enrol(text, 'anna', typings(person(1)), anyVersion)
    clock.at += 3000 * DAY_MS
    t.equal(await stateOf(enrolment, text, 'anna'), 'ready')
    const { expires } = enrolment.profile(text, await enrolment.user(text, 'anna'))
    t.equal(expires, new Date(clockFrom().at + 3650 * DAY_MS).toISOString())
  },
)

t.test('whose claims only just match types otherwise than once', async (t) => {
  let current: EnrolmentModels = models
  const { clock, enrolment, text } = await open(t, { models: () => current })
  const type = person(1)
  const enrolled = typings(type, 5)
  await enrolment.enrol(text, 'anna', enrolled, anyVersion)
  const template = shipped.template(rowsOf(enrolled))
  const same = await shipped.sameUser(template)
  /** A claim that matches by so much. */
  const claim = async (by: number) => {
    const sent = typings(type, 1)
    current = demanding((await shipped.compare({ template, same }, rowsOf(sent))) - by)
    t.equal((await verify(enrolment, text, 'anna', sent)).match, true)
  }
  const states = []
  for (let i = 0; i < 6; i++) {
    await claim(0.5)
    states.push(await stateOf(enrolment, text, 'anna'))
    await claim(0.5)
    clock.at += 10 * MINUTE_MS
  }
  t.same(
    states,
    ['ready', 'ready', 'ready', 'ready', 'stale', 'stale'],
    'five of them, in ten minutes one is noted',
  )
  await enrolment.enrol(text, 'anna', typings(type, 1), anyVersion)
  t.equal(await stateOf(enrolment, text, 'anna'), 'ready', 'once they are enrolled anew')
})

t.test('one that just matches among many that surely do makes nobody stale', async (t) => {
  const { clock, enrolment, text } = await open(t)
  const type = person(1)
  await enrolment.enrol(text, 'anna', typings(type, 5), anyVersion)
  for (let i = 0; i < 6; i++) {
    await verify(enrolment, text, 'anna', typings(type, 1))
    clock.at += 10 * MINUTE_MS
  }
  t.equal(await stateOf(enrolment, text, 'anna'), 'ready')
})

t.test(
  'templates follow their users only where that is wanted, by claims that are surely true, one a day',
  async (t) => {
    let current: EnrolmentModels = models
    const { clock, enrolment, text } = await open(t, {
      models: () => current,
      limits: { updateTemplates: true },
    })
    const type = person(1)
    await enrolment.enrol(text, 'anna', typings(type, 5), anyVersion)
    const sources = async () => (await enrolment.user(text, 'anna')).value.samples.map(({ source }) => source)
    const taken = async () => (await sources()).filter((source) => source === 'verified').length
    const claim = (quality: Quality[] = []) => verify(enrolment, text, 'anna', typings(type, 1), quality)
    await claim()
    t.equal(await taken(), 0, 'not on the day of the enrolment')
    clock.at += DAY_MS
    await claim(['coarse-clock'])
    t.equal(await taken(), 0, 'nor one that something is odd about')
    const strict = artefact.decision.points.map((point) => ({
      ...point,
      verification: point.verification.map((one) => (one.fmr === 0.001 ? { ...one, threshold: 1000 } : one)),
    }))
    current = { ...models, artefact: { ...artefact, decision: { ...artefact.decision, points: strict } } }
    await claim()
    t.equal(await taken(), 0, 'nor one that is not sure by the strictest rate')
    current = models
    const [before] = await enrolment.users(text, '', 1)
    await claim()
    t.equal(await taken(), 1)
    t.not((await enrolment.user(text, 'anna')).version, before?.version)
    await claim()
    t.equal(await taken(), 1, 'no second on the same day')
    for (let day = 0; day < 7; day++) {
      clock.at += DAY_MS
      await claim()
    }
    t.equal(await taken(), 5, 'five at most')
    t.same(await sources(), [...times(5, () => 'enrolled'), ...times(5, () => 'verified')])
    const { samples } = (await enrolment.user(text, 'anna')).value
    t.equal(samples.at(-1)?.at, new Date(clock.at).toISOString(), 'the oldest of them goes first')
  },
)

t.test('templates stay as they were enrolled by default, and where there is no room', async (t) => {
  for (const [updateTemplates, count] of [
    [false, 5],
    [true, 20],
  ] as const) {
    const { clock, enrolment, text } = await open(t, { limits: { updateTemplates } })
    const type = person(1)
    await enrolment.enrol(text, 'anna', typings(type, count), anyVersion)
    clock.at += 2 * DAY_MS
    t.equal((await verify(enrolment, text, 'anna', typings(type, 1))).match, true)
    t.equal((await enrolment.user(text, 'anna')).value.samples.length, count)
  }
})

t.test('what a claim says of a user is not noted where they have changed meanwhile', async (t) => {
  let hold = async () => {}
  const { enrolment, text, store } = await open(t, {
    limits: { updateTemplates: true },
    models: {
      ...models,
      compare: (packed) => {
        const compare = models.compare(packed)
        return async (row) => {
          await hold()
          return compare(row)
        }
      },
    },
  })
  const type = person(1)
  await enrolment.enrol(text, 'anna', typings(type), anyVersion)
  hold = async () => {
    hold = async () => {}
    await enrolment.enrol(text, 'anna', typings(type, 1), anyVersion)
  }
  t.equal((await verify(enrolment, text, 'anna', typings(type, 1))).match, true)
  t.equal((await recordOf(store, text, 'anna')).record.matches, undefined)
})

t.test('times are kept only where that is wanted, and then sealed', async (t) => {
  for (const keepSamples of [false, true]) {
    const { clock, dir, enrolment, store, text } = await open(t, {
      limits: { keepSamples, updateTemplates: true },
    })
    const type = person(1)
    const sent = typings(type)
    await enrolment.enrol(text, 'anna', sent, anyVersion)
    clock.at += DAY_MS
    const claimed = typings(type, 1)
    await verify(enrolment, text, 'anna', claimed)
    const { record } = await recordOf(store, text, 'anna')
    t.same(
      record.samples.map(({ keystrokes }) => keystrokes),
      [...sent, ...claimed].map(({ keystrokes }) => (keepSamples ? keystrokes : undefined)),
    )
    const disk = onDisk(dir)
    for (const { press } of sent.flatMap(({ keystrokes }) => keystrokes)) {
      const bytes = Buffer.alloc(8)
      bytes.writeDoubleLE(press)
      if (disk.includes(bytes)) t.fail('times in the clear')
    }
  }
})

t.test('of a user twenty samples are kept', async (t) => {
  const { enrolment, text } = await open(t)
  const type = person(1)
  await enrolment.enrol(text, 'anna', typings(type, 18), anyVersion)
  await t.rejects(enrolment.enrol(text, 'anna', typings(type, 3), anyVersion), {
    code: 'KSR_LIMIT',
    message: 'There can be no more than 20 samples of a user.',
  })
  await enrolment.enrol(text, 'anna', typings(type, 2), anyVersion)
  const { samples } = (await enrolment.user(text, 'anna')).value
  t.equal(samples.length, 20)
  t.same(
    enrolment.errorRates(text, 20),
    enrolment.errorRates(text, Math.max(...artefact.measured.map(({ samples }) => samples))),
    'with more than were measured as with the most',
  )
})

t.test(
  'what errors to expect is said of as many samples, and of more; of a text that was not measured nothing',
  async (t) => {
    const { enrolment, text } = await open(t)
    const measured = artefact.measured.filter(({ attempts, samples }) => attempts === 1 && samples >= 3)
    t.same(
      enrolment.errorRates(text, 1).map(({ samples, eer }) => ({ samples, eer })),
      measured.map(({ samples, eer }) => ({ samples, eer })),
    )
    t.equal(enrolment.errorRates(text, 5)[0]?.samples, 5)
    const point = artefact.decision.points.find(({ samples, attempts }) => samples === 5 && attempts === 1)
    t.equal(enrolment.errorRates(text, 5)[0]?.fnmr, point?.verification.find(({ fmr }) => fmr === 0.01)?.fnmr)
    t.same(enrolment.errorRates({ ...text, prior: 'general' }, 5), [])
    const few = {
      ...artefact,
      decision: { ...artefact.decision, points: artefact.decision.points.slice(0, 1) },
    }
    const { enrolment: unsure } = await openEnrolment(t, { models: { ...models, artefact: few } })
    t.match(unsure.errorRates(text, 4)[0], { samples: 4, fnmr: null }, 'what was not measured is not known')
  },
)

t.test('of twenty enrolments of one user at once all are kept', async (t) => {
  const { enrolment, text } = await open(t)
  const type = person(1)
  const answers = await Promise.all(
    times(20, () => enrolment.enrol(text, 'anna', typings(type, 1), anyVersion)),
  )
  const { samples } = (await enrolment.user(text, 'anna')).value
  t.same(samples.map(({ id }) => id).toSorted(), answers.flatMap(({ added }) => added).toSorted())
})

t.test('a typing is enrolled once', async (t) => {
  const { enrolment, text } = await open(t)
  const type = person(1)
  const sent = times(3, type)
  await enrolment.enrol(text, 'anna', typed(...sent), anyVersion)
  const enrol = (...typings: Keystroke[][]) => enrolment.enrol(text, 'anna', typed(...typings), anyVersion)
  const [first] = sent as [Keystroke[]]
  await t.rejects(enrol(first), { code: 'KSR_REPLAYED', errors: [{ pointer: '/attempts/0' }] })
  await t.rejects(enrol(type(), jittered(first, 4)), {
    code: 'KSR_REPLAYED',
    errors: [{ pointer: '/attempts/1' }],
  })
  const another = type()
  await t.rejects(enrol(another, type(), jittered(another, 4, 2, 1.2)), {
    errors: [{ pointer: '/attempts/2' }],
  })
  t.equal((await enrolment.user(text, 'anna')).value.samples.length, 3)
})

t.test('who typed it is answered with how sure that is, and whether to ask again', async (t) => {
  const { enrolment, text } = await open(t)
  const types = times(8, (i) => person(i + 1))
  for (const [i, type] of types.entries()) await enrolment.enrol(text, `u${i}`, typings(type, 4), anyVersion)
  const [type] = types as [() => Keystroke[]]
  const answer = await enrolment.recogniser.identify(text, typings(type, 1), { top: 3, fpir: 0.1 })
  t.match(answer, {
    user: 'u0',
    model: 'enrolment',
    version: artefact.version,
    decision: 'known',
    attempts: 1,
  })
  t.equal(answer.candidates?.length, 3)
  t.equal(answer.candidates?.[0]?.score, answer.confidence)
  t.match(answer.operatingPoint, { fpir: 0.1 })
  t.type(answer.operatingPoint?.fnir, 'number')
  const stranger = await enrolment.recogniser.identify(text, typings(person(99), 1), {})
  t.equal(stranger.decision, 'unknown')
  t.notOk('candidates' in stranger)
  const both = await enrolment.recogniser.identify(text, typings(type, 2), {})
  t.match(both, { user: 'u0', attempts: 2 })
  await t.rejects(enrolment.recogniser.identify(text, typings(type, 1), { fpir: 0.02 }), {
    code: 'KSR_NO_OPERATING_POINT',
  })
  const most = Math.max(...artefact.decision.points.map(({ attempts }) => attempts))
  await t.rejects(enrolment.recogniser.identify(text, typings(type, most + 1), {}), {
    code: 'KSR_TOO_MANY_ATTEMPTS',
  })
})

t.test('where what decides is close, another typing is asked for as long as one more is taken', async (t) => {
  const thresholds = [1000, -1000, -1000]
  const points = artefact.decision.points.map((point) => ({
    ...point,
    verification: point.verification.map((one, i) => ({ ...one, threshold: thresholds[i] as number })),
  }))
  const close = { ...models, artefact: { ...artefact, decision: { ...artefact.decision, points } } }
  const { enrolment, text } = await open(t, { models: close })
  const type = person(1)
  await enrolment.enrol(text, 'anna', typings(type), anyVersion)
  const most = Math.max(...artefact.decision.points.map(({ attempts }) => attempts))
  for (let attempts = 1; attempts <= most; attempts++) {
    const [claim, asked] = [typings(type, attempts), typings(type, attempts)]
    t.equal((await verify(enrolment, text, 'anna', claim)).anotherAttemptHelps, attempts < most)
    t.equal((await enrolment.recogniser.identify(text, asked, {})).anotherAttemptHelps, attempts < most)
  }
})

t.test('what is asked of nobody is refused: by what is wrong with the question first', async (t) => {
  const { enrolment, text } = await open(t)
  const asked = typings(person(1), 1)
  await t.rejects(enrolment.recogniser.identify(text, asked, { fpir: 0.02 }), {
    code: 'KSR_NO_OPERATING_POINT',
  })
  await t.rejects(enrolment.recogniser.identify(text, asked, {}), {
    code: 'KSR_NOBODY_ENROLLED',
    message: 'The text "login" has no user with the 3 samples that it takes to recognise somebody.',
  })
  await t.rejects(verify(enrolment, text, 'anna', typings(person(1), 1)), {
    code: 'KSR_NOT_ENROLLED',
    errors: [{ pointer: '/user' }],
  })
  await enrolment.enrol(text, 'anna', typings(person(1), 2), anyVersion)
  await t.rejects(verify(enrolment, text, 'anna', typings(person(2), 1)), {
    code: 'KSR_NOT_READY',
    message: 'The user "anna" has 2 samples of the 3 that it takes to recognise somebody.',
    errors: [{ pointer: '/user' }],
  })
})

t.test('a claim is answered on the side of the threshold where it was, by steps', async (t) => {
  const { enrolment, text } = await open(t)
  const type = person(1)
  await enrolment.enrol(text, 'anna', typings(type, 5), anyVersion)
  for (const [seed, match] of [
    [1, true],
    [2, false],
    [3, false],
  ] as const) {
    const sent = typings(seed === 1 ? type : person(seed), 1)
    const answer = await verify(enrolment, text, 'anna', sent)
    t.equal(answer.match, match)
    t.equal(answer.score >= answer.threshold, match)
    const steps = (answer.score - answer.threshold) / 8
    t.ok(Math.abs(steps - Math.round(steps)) < 1e-5, 'eight apart')
    t.match(answer, { user: 'anna', model: 'enrolment', fmr: 0.01, attempts: 1 })
    t.type(answer.fnmr, 'number')
  }
  await t.rejects(verify(enrolment, text, 'anna', typings(type, 1), [], 0.5), {
    code: 'KSR_NO_OPERATING_POINT',
  })
})

t.test('of another text nobody knows how often a true claim is missed', async (t) => {
  const { enrolment, text } = await open(t, { length: 8 })
  const type = person(1, 8)
  await enrolment.enrol(text, 'anna', typings(type, 5), anyVersion)
  t.match(await verify(enrolment, text, 'anna', typings(type, 1)), { match: true, fnmr: null })
  t.match(await enrolment.recogniser.identify(text, typings(type, 1), {}), {
    user: 'anna',
    operatingPoint: { fnir: null },
  })
})

t.test('who is deleted while somebody is asked for is not answered', async (t) => {
  let before = async () => {}
  const { enrolment, text } = await open(t, {
    models: {
      ...models,
      compare: (packed) => {
        const compare = models.compare(packed)
        return async (row) => {
          const answer = await compare(row)
          await before()
          return answer
        }
      },
    },
  })
  const types = [person(1), person(2)] as const
  for (const [i, type] of types.entries()) await enrolment.enrol(text, `u${i}`, typings(type), anyVersion)
  const ask = async () => (await enrolment.recogniser.identify(text, typings(types[0], 1), {})).user
  t.equal(await ask(), 'u0')
  before = async () => {
    before = async () => {}
    await enrolment.deleteUser(text, 'u0', anyVersion)
    // Somebody else asks, and has the gallery brought up to date.
    await enrolment.recogniser.identify(text, typings(types[1], 1), {})
  }
  t.equal(await ask(), 'u1')
})

t.test('nor is who is gone between the comparison and the answer, at whatever moment', async (t) => {
  let between: (() => Promise<void>) | undefined
  const { clock, dir, enrolment, text } = await open(t, {
    models: {
      ...models,
      compare: (packed) => {
        const compare = models.compare(packed)
        return async (row) => {
          const answer = await compare(row)
          await between?.()
          return answer
        }
      },
    },
  })
  const { enrolment: other } = await openEnrolment(t, { models, dir, now: clock.now })
  const types = [person(1), person(2)] as const
  const ask = async (type: () => Keystroke[]) =>
    (await enrolment.recogniser.identify(text, typings(type, 1), {})).user
  await enrolment.enrol(text, 'u1', typings(types[1]), anyVersion)
  for (let ticks = 0; ticks < 24; ticks++) {
    await enrolment.enrol(text, 'u0', typings(types[0]), anyVersion)
    t.equal(await ask(types[0]), 'u0')
    await other.deleteUser(text, 'u0', anyVersion)
    let late: Promise<unknown> = Promise.resolve()
    const asked = ask(types[0])
    between = async () => {
      between = undefined
      // Somebody else asks, and has what the other process has deleted taken out.
      clock.at += 250
      late = ask(types[1])
      for (let i = 0; i < ticks; i++) await Promise.resolve()
    }
    if ((await asked) !== 'u1') t.fail(`after ${ticks} ticks`)
    t.equal(await late, 'u1')
  }
})

t.test('changes are made only on what their caller knows', async (t) => {
  const { enrolment, text } = await open(t)
  const type = person(1)
  const only = (wanted: string | undefined) => (version: string | undefined) => {
    if (version !== wanted) throw new Error(`it is ${version}`)
  }
  const first = (await enrolment.enrol(text, 'anna', typings(type, 1), only(undefined))).user
  await t.rejects(enrolment.enrol(text, 'anna', typings(type, 1), only(undefined)), { message: /it is/ })
  const second = (await enrolment.enrol(text, 'anna', typings(type, 3), only(first.version))).user
  await t.rejects(enrolment.deleteUser(text, 'anna', only(first.version)), { message: /it is/ })
  const [sample] = second.value.samples as [Sample]
  await t.rejects(enrolment.deleteSample(text, 'anna', sample.id, only(first.version)), { message: /it is/ })
  await enrolment.deleteSample(text, 'anna', sample.id, only(second.version))
  t.equal((await enrolment.user(text, 'anna')).value.samples.length, 3)
  await t.rejects(enrolment.deleteSample(text, 'anna', sample.id, anyVersion), {
    code: 'KSR_SAMPLE_NOT_FOUND',
    message: `The user "anna" has no sample "${sample.id}".`,
  })
  await t.rejects(enrolment.deleteSample(text, 'ben', sample.id, anyVersion), { code: 'KSR_NOT_ENROLLED' })
  await t.rejects(enrolment.deleteUser(text, 'ben', anyVersion), { code: 'KSR_NOT_ENROLLED' })
  await enrolment.deleteUser(text, 'anna', anyVersion)
  await t.rejects(enrolment.user(text, 'anna'), { code: 'KSR_NOT_ENROLLED' })
})

t.test('of a deletion by somebody else meanwhile its caller is told', async (t) => {
  const { enrolment, text } = await open(t, {
    through: (store) => overriding(store, { delete: async () => false }),
  })
  await enrolment.enrol(text, 'anna', typings(person(1), 1), anyVersion)
  await t.rejects(enrolment.deleteUser(text, 'anna', anyVersion), { code: 'KSR_CONFLICT' })
})

t.test(
  'who is deleted and enrolled anew is somebody else, and what was heard of them is forgotten',
  async (t) => {
    const { enrolment, text } = await open(t)
    const sent = times(4, person(1))
    const last = sent.slice(3)
    const enrol = async () =>
      (await enrolment.enrol(text, 'anna', typed(...sent.slice(0, 3)), anyVersion)).user.value.id
    const first = await enrol()
    await verify(enrolment, text, 'anna', typed(...last))
    await t.rejects(verify(enrolment, text, 'anna', typed(...last)), { code: 'KSR_REPLAYED' })
    await enrolment.deleteUser(text, 'anna', anyVersion)
    t.not(await enrol(), first)
    t.equal((await verify(enrolment, text, 'anna', typed(...last))).match, true)
  },
)

t.test('a text of other keys learns from those who type it, and unlearns who is deleted', async (t) => {
  const { enrolment, text } = await open(t, { length: 5 })
  const types = times(6, (i) => person(i + 1, 5))
  const learned = async () => (await enrolment.text('', 'login')).experience
  const ids: string[] = []
  const taught: number[] = []
  for (const [i, type] of types.entries()) {
    const { user } = await enrolment.enrol(text, `u${i}`, typings(type), anyVersion)
    ids.push(user.value.id)
    taught.push((await learned())?.from.length ?? 0)
  }
  t.same(taught, [0, 2, 3, 3, 5, 5], 'the more there are, the less another tells')
  t.equal((await learned())?.users.users, 5)
  await enrolment.deleteUser(text, 'u5', anyVersion)
  t.same((await learned())?.from, ids.slice(0, 5), 'who did not teach is not in it')
  const before = await learned()
  await enrolment.deleteUser(text, 'u1', anyVersion)
  const after = await learned()
  t.notOk(after?.from.includes(ids[1] as string))
  t.same(
    after?.from,
    [0, 2, 3, 4].map((i) => ids[i]),
  )
  t.not(after?.users.median[0], before?.users.median[0])
  const model = new TextModel(models, 5, 'general')
  const rest = await Promise.all(
    [0, 2, 3, 4].map(async (i) => (await enrolment.user(text, `u${i}`)).value.samples.map(({ row }) => row)),
  )
  t.same(
    after?.users.median,
    Float64Array.from(Float32Array.from(model.experience(rest).median)),
    'as if never there',
  )
  const { samples } = (await enrolment.user(text, 'u0')).value
  await enrolment.deleteSample(text, 'u0', samples[0]?.id as string, anyVersion)
  t.same(
    (await learned())?.from,
    [2, 3, 4].map((i) => ids[i]),
    'nor is who has too few samples',
  )
  for (const i of [2, 3]) await enrolment.deleteUser(text, `u${i}`, anyVersion)
  t.equal(await learned(), undefined, 'one alone would be in it too plainly')
})

t.test('nor is who is past their time in what a text has learned, once it is asked', async (t) => {
  const { clock, enrolment, text } = await open(t, { length: 5, limits: { retentionDays: 30 } })
  const types = times(3, (i) => person(i + 1, 5))
  for (const [i, type] of types.entries()) {
    await enrolment.enrol(text, `u${i}`, typings(type), anyVersion)
    clock.at += DAY_MS
  }
  const learned = async () => (await enrolment.text('', text.name)).experience?.from
  const ids = await Promise.all([0, 1, 2].map(async (i) => (await enrolment.user(text, `u${i}`)).value.id))
  t.same(await learned(), ids)
  clock.at += 27 * DAY_MS
  await enrolment.recogniser.identify(await enrolment.text('', text.name), typings(person(1, 5), 1), {})
  t.same(await learned(), ids.slice(1))
})

t.test('nobody stays in what a text has learned who is deleted while it learns', async (t) => {
  let before = async () => {}
  const { enrolment, text } = await open(t, {
    length: 5,
    through: (store) =>
      overriding(store, {
        async put(record, expected) {
          if (record.partition.startsWith('texts/')) await before()
          return store.put(record, expected)
        },
      }),
  })
  const types = times(3, (i) => person(i + 1, 5))
  for (const [i, type] of types.slice(0, 2).entries())
    await enrolment.enrol(text, `u${i}`, typings(type), anyVersion)
  const gone = (await enrolment.user(text, 'u0')).value.id
  before = async () => {
    before = async () => {}
    await enrolment.deleteUser(text, 'u0', anyVersion)
  }
  await enrolment.enrol(text, 'u2', typings(types[2] as () => Keystroke[]), anyVersion)
  const { experience } = await enrolment.text('', 'login')
  t.equal(experience?.from.length, 2)
  t.notOk(experience?.from.includes(gone))
})

t.test('nor who is deleted while it learns from them for the first time', async (t) => {
  let before = async () => {}
  const { enrolment, text } = await open(t, {
    length: 5,
    through: (store) =>
      overriding(store, {
        async put(record, expected) {
          if (record.partition.startsWith('texts/') && expected !== undefined) await before()
          return store.put(record, expected)
        },
      }),
  })
  const types = times(3, (i) => person(i + 1, 5))
  await enrolment.enrol(text, 'u0', typings(types[0] as () => Keystroke[]), anyVersion)
  before = async () => {
    before = async () => {}
    await enrolment.deleteUser(text, 'u0', anyVersion)
  }
  await enrolment.enrol(text, 'u1', typings(types[1] as () => Keystroke[]), anyVersion)
  t.equal((await enrolment.text('', 'login')).experience, undefined)
})

t.test('what is deleted is gone for good, from every file', async (t) => {
  const { dir, enrolment, store, text } = await open(t, { length: 5, limits: { keepSamples: true } })
  const types = times(3, (i) => person(i + 1, 5))
  for (const [i, type] of types.entries()) await enrolment.enrol(text, `u${i}`, typings(type), anyVersion)
  const sealed = async (user: string) => (await recordOf(store, text, user)).bytes
  const pieces = (bytes: Uint8Array) => times(bytes.length >> 5, (i) => bytes.subarray(32 * i, 32 * i + 32))
  const found = (bytes: Uint8Array) => {
    const disk = onDisk(dir)
    return pieces(bytes).filter((piece) => disk.includes(Buffer.from(piece))).length
  }
  const [first, second, third] = await Promise.all(['u0', 'u1', 'u2'].map(sealed))
  t.equal(found(first as Uint8Array), pieces(first as Uint8Array).length)
  await enrolment.deleteUser(text, 'u0', anyVersion)
  t.equal(found(first as Uint8Array), 0)
  const { samples } = (await enrolment.user(text, 'u1')).value
  await enrolment.deleteSample(text, 'u1', samples[0]?.id as string, anyVersion)
  await enrolment.deleteUser(text, 'u1', anyVersion)
  t.equal(found(second as Uint8Array), 0, 'nor is what was before the last change')
  await enrolment.deleteText(text)
  t.equal(found(third as Uint8Array), 0)
  await t.rejects(enrolment.text('', 'login'), { code: 'KSR_TEXT_NOT_FOUND' })
})

t.test('who is enrolled for a text while it is deleted is deleted with it', async (t) => {
  let during = async () => {}
  const { enrolment, store, text } = await open(t, {
    through: (store) =>
      overriding(store, {
        async put(record, expected) {
          if (record.partition.startsWith('users/')) await during()
          return store.put(record, expected)
        },
      }),
  })
  const archive = await openEnrolment(t, { models, dir: join(t.testdir(), 'other') })
  const elsewhere = (await archive.enrolment.putText('', 'login', { keys: 13 }, anyVersion)).text
  await archive.enrolment.enrol(elsewhere, 'anna', typings(person(1)), anyVersion)
  const exported = (await archive.enrolment.exported(elsewhere, '', 10)).archive
  during = async () => {
    during = async () => {}
    await enrolment.deleteText(text)
  }
  await t.rejects(enrolment.enrol(text, 'anna', typings(person(1)), anyVersion), {
    code: 'KSR_TEXT_NOT_FOUND',
  })
  t.equal(await store.count(`users/${text.id}`), 0)
  await enrolment.putText('', 'login', { keys: 13 }, anyVersion)
  await t.rejects(
    enrolment.imported(text, exported),
    { code: 'KSR_TEXT_NOT_FOUND' },
    'nor is one of a text of that name',
  )
  t.equal(await store.count(`users/${text.id}`), 0)
})

t.test('users go elsewhere sealed, and stay who they are where they are there already', async (t) => {
  const { enrolment, text } = await open(t)
  const types = times(3, (i) => person(i + 1))
  for (const [i, type] of types.entries()) await enrolment.enrol(text, `u${i}`, typings(type), anyVersion)
  const { archive, users } = await enrolment.exported(text, '', 2)
  t.same(
    users.map(({ key }) => key),
    ['u0', 'u1'],
  )
  const other = await openEnrolment(t, {
    models,
    dir: join(t.testdir(), 'other'),
    limits: { maxEnrolled: 3 },
  })
  const { text: there } = await other.enrolment.putText('', 'login', { keys: 13 }, anyVersion)
  await other.enrolment.enrol(there, 'u1', typings(person(9)), anyVersion)
  const { id } = (await other.enrolment.user(there, 'u1')).value
  t.same(await other.enrolment.imported(there, archive), { imported: 1, kept: ['u1'] })
  t.equal((await other.enrolment.user(there, 'u1')).value.id, id)
  t.equal((await verify(other.enrolment, there, 'u0', typings(types[0] as () => Keystroke[], 1))).match, true)
  const rest = (await enrolment.exported(text, 'u1', 10)).archive
  t.same(await other.enrolment.imported(there, rest), { imported: 1, kept: [] })
  await enrolment.enrol(text, 'u3', typings(person(4)), anyVersion)
  await t.rejects(other.enrolment.imported(there, (await enrolment.exported(text, 'u2', 10)).archive), {
    code: 'KSR_LIMIT',
  })
  const foreign = await openEnrolment(t, { models, dir: join(t.testdir(), 'foreign'), keys: [OTHER_KEY] })
  const { text: nowhere } = await foreign.enrolment.putText('', 'login', { keys: 13 }, anyVersion)
  await t.rejects(foreign.enrolment.imported(nowhere, archive), { code: 'KSR_ARCHIVE' })
})

t.test('the template that is kept with a user is what they are known by', async (t) => {
  const { store, enrolment, text, dir } = await open(t)
  const [anna, ben] = [person(1), person(2)]
  await enrolment.enrol(text, 'anna', typings(anna), anyVersion)
  await enrolment.enrol(text, 'ben', typings(ben), anyVersion)
  const [{ record: hers }, { record: his }] = [
    await recordOf(store, text, 'anna'),
    await recordOf(store, text, 'ben'),
  ]
  t.match(hers.template, { basis: new TextModel(models, 13, 'shipped').basis })
  const { archive } = await enrolment.exported(text, '', 10)
  const exported = archive.users.map(({ sealed }) => sealed.length)
  await enrolment.deleteUser(text, 'anna', anyVersion)
  /** As nobody would: with her template. What is noted of a match makes it his own again. */
  const swap = async () => {
    const partition = `users/${text.id}`
    const bytes = Vault.of([KEY]).seal(encodeUser({ ...his, template: hers.template }), `${partition}\nben`)
    const { version } = (await store.get(partition, 'ben')) as { version: string }
    await store.put({ partition, key: 'ben', bytes }, version)
    return bytes.length
  }
  t.ok(Math.max(...exported) < (4 / 3) * ((await swap()) - 800), 'it does not go elsewhere')
  const other = (await openEnrolment(t, { models, dir })).enrolment
  const { user, decision } = await other.recogniser.identify(text, typings(anna, 1), {})
  t.same({ user, decision }, { user: 'ben', decision: 'known' })
  t.match(await verify(enrolment, text, 'ben', typings(ben, 1)), { match: false })
  t.match(await verify(enrolment, text, 'ben', typings(anna, 1)), { match: true })
  t.match(await verify(enrolment, text, 'ben', typings(ben, 1)), { match: true })
  const general = await open(t, { dir: join(t.testdir(), 'general'), length: 5 })
  await general.enrolment.enrol(general.text, 'anna', typings(person(1, 5)), anyVersion)
  const { record } = await recordOf(general.store, general.text, 'anna')
  t.equal(record.template, undefined)
})

t.test('a general text learns from whom it imports, too', async (t) => {
  const { enrolment, text } = await open(t, { length: 5 })
  for (let i = 0; i < 2; i++) await enrolment.enrol(text, `u${i}`, typings(person(i + 1, 5)), anyVersion)
  const { archive } = await enrolment.exported(text, '', 10)
  const { text: copy } = await enrolment.putText('', 'copy', { keys: 5 }, anyVersion)
  await enrolment.imported(copy, archive)
  t.equal((await enrolment.text('', 'copy')).experience?.from.length, 2)
  await enrolment.enrol(text, 'u2', typings(person(3, 5)), anyVersion)
  const narrow = await open(t, { dir: join(t.testdir(), 'narrow'), length: 5, limits: { maxEnrolled: 2 } })
  const three = (await enrolment.exported(text, '', 10)).archive
  await t.rejects(narrow.enrolment.imported(narrow.text, three), { code: 'KSR_LIMIT' })
  const { experience } = await narrow.enrolment.text('', 'login')
  t.equal(experience?.from.length, 2, 'and from those for whom there was room')
  let broken = false
  const full = await open(t, {
    dir: join(t.testdir(), 'full'),
    length: 5,
    limits: { maxEnrolled: 1 },
    through: (store) =>
      overriding(store, {
        async get(partition, key) {
          if (broken && partition.startsWith('texts/')) throw new Error('no disk')
          return store.get(partition, key)
        },
      }),
  })
  await full.enrolment.enrol(full.text, 'anna', typings(person(9, 5)), anyVersion)
  broken = true
  const refused = full.enrolment.imported(full.text, three)
  await t.rejects(refused, { code: 'KSR_LIMIT' }, 'and where that fails, it is what is refused that is said')
})

t.test('what nobody of an archive is enrolled for teaches no text that is gone', async (t) => {
  const { enrolment, text } = await open(t, { length: 5 })
  const { archive } = await enrolment.exported(text, '', 10)
  await enrolment.deleteText(text)
  t.same(await enrolment.imported(text, archive), { imported: 0, kept: [] })
  await t.rejects(enrolment.text('', 'login'), { code: 'KSR_TEXT_NOT_FOUND' })
})

t.test('after fifty teachers a text learns no more', async (t) => {
  const { enrolment, text } = await open(t, { length: 2 })
  const enrol = (i: number) =>
    enrolment.enrol(text, String(i).padStart(2, '0'), typings(person(i + 1, 2)), anyVersion)
  for (let i = 0; i < 52; i++) await enrol(i)
  t.equal((await enrolment.text('', 'login')).experience?.from.length, 50)
  await enrolment.deleteUser(text, '51', anyVersion)
  const { version } = await enrolment.text('', 'login')
  await enrol(52)
  t.equal((await enrolment.text('', 'login')).version, version)
})

t.test('nothing is learned of a text that somebody has made anew', async (t) => {
  const { enrolment, text } = await open(t, { length: 5 })
  for (let i = 0; i < 2; i++) await enrolment.enrol(text, `u${i}`, typings(person(i + 1, 5)), anyVersion)
  await enrolment.deleteText(text)
  await enrolment.putText('', 'login', { keys: 5 }, anyVersion)
  await t.rejects(enrolment.enrol(text, 'u2', typings(person(3, 5)), anyVersion), {
    code: 'KSR_TEXT_NOT_FOUND',
  })
  t.equal((await enrolment.text('', 'login')).experience, undefined)
})

/** Typings of somebody of the cohort, as their template describes them. */
function member(place: number): () => Keystroke[] {
  const { keys } = artefact
  const width = artefact.shipped.median.length
  const part = (name: 'centres' | 'spreads') =>
    floats(artefact.shipped.cohort[name]).subarray(place * width, (place + 1) * width)
  const [centres, spreads] = [part('centres'), part('spreads')]
  const random = randomFrom(place)
  const drawn = (f: number) =>
    Math.exp((centres[f] as number) + (spreads[f] as number) * (random() + random() - 1))
  return () => {
    let press = 0
    return times(keys, (i) => {
      if (i > 0) press += drawn(keys + i - 1)
      return { press, release: press + drawn(i) }
    })
  }
}

t.test('whoever of the shipped population enrols is recognised, as others are', async (t) => {
  const { enrolment, text } = await open(t)
  const places = [3, 25, 47, 69, 91]
  let [matched, known] = [0, 0]
  for (const place of places) {
    const type = member(place)
    await enrolment.enrol(text, `u${place}`, typings(type, 5), anyVersion)
    for (let i = 0; i < 4; i++) {
      if ((await verify(enrolment, text, `u${place}`, typings(type, 1))).match) matched++
      const { user, decision } = await enrolment.recogniser.identify(text, typings(type, 1), {})
      if (user === `u${place}` && decision === 'known') known++
    }
  }
  t.ok(matched >= 16, `${matched} of 20 match`)
  t.ok(known >= 14, `${known} of 20 are known`)
})

const data = process.env.KEYSTROKE_DATA
const skip = data === undefined && 'KEYSTROKE_DATA does not name the data set that the models were trained on'

t.test('so are those of the data set that the models were trained on', { skip }, async (t) => {
  const people = new Map<string, Keystroke[][]>()
  for (const line of readFileSync(data as string, 'utf8')
    .trimEnd()
    .split('\n')
    .slice(1)) {
    const [user, ...cells] = line.split(',') as [string, ...string[]]
    const all = cells.map(Number)
    const keystrokes = times(all.length / 2, (i) => ({
      press: all[2 * i] as number,
      release: all[2 * i + 1] as number,
    }))
    people.set(user, [...(people.get(user) ?? []), keystrokes])
  }
  const { dir, enrolment, text } = await open(t)
  // One that has not heard the claims.
  const { enrolment: other } = await openEnrolment(t, { models, dir })
  for (const [user, typings] of people)
    await enrolment.enrol(text, user, typed(...typings.slice(0, 5)), anyVersion)
  let [matched, right, asked] = [0, 0, 0]
  for (const [user, typings] of people) {
    for (const typing of typings.slice(5)) {
      asked++
      if ((await verify(enrolment, text, user, typed(typing))).match) matched++
      if ((await other.recogniser.identify(text, typed(typing), {})).user === user) right++
    }
  }
  t.comment(`${matched} of ${asked} match, of ${right} it is said who typed them`)
  const { fnmr } = (await enrolment.errorRates(text, 5)[0]) as { fnmr: number }
  t.ok(1 - matched / asked < 2 * fnmr, `${asked - matched} of ${asked} do not match`)
})
