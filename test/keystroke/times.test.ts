import fc from 'fast-check'
import t from 'tap'
import { timesOf, typingsOf } from '../../src/keystroke/times.js'
import type { Keystroke } from '../../src/schemas/sample.js'
import { SUMMARY } from '../fixtures/build.js'
import { typing } from '../fixtures/typing.js'

const three: Keystroke[] = [
  { press: 0, release: 100 },
  { press: 80, release: 220 },
  { press: 300, release: 300 },
]

t.test('a typing has the four kinds of time, overlaps counted as negative', async (t) => {
  t.same(timesOf(three, 3), {
    holdTime: [100, 140, 0],
    pressPress: [80, 220],
    releaseRelease: [120, 80],
    releasePress: [-20, 80],
  })
})

t.test('PPT = HT + RPT and RRT = RPT + HT of the next key, of any typing', async () => {
  fc.assert(
    fc.property(typing, (keys) => {
      const { holdTime, pressPress, releaseRelease, releasePress } = timesOf(keys, keys.length)
      const close = (a: number, b: number) => Math.abs(a - b) <= 1e-3
      return releasePress.every(
        (time, i) =>
          close(pressPress[i] as number, (holdTime[i] as number) + time) &&
          close(releaseRelease[i] as number, time + (holdTime[i + 1] as number)),
      )
    }),
  )
})

t.test('the origin of time does not matter', async (t) => {
  const epoch = 1_764_000_000_000
  const moved = three.map(({ press, release }) => ({ press: press + epoch, release: release + epoch }))
  t.same(timesOf(moved, 3), timesOf(three, 3))
})

t.test('a sample has one typing, or as many as it has attempts', async (t) => {
  const times = timesOf(three, 3)
  t.same(typingsOf({ keystrokes: three }, 3), [times])
  t.same(typingsOf({ attempts: [{ keystrokes: three }, { keystrokes: three }] }, 3), [times, times])
})

t.test('a summary has no typing to look at', async (t) => {
  t.throws(() => typingsOf(SUMMARY, 3), {
    code: 'KSR_NEEDS_KEYSTROKES',
    statusCode: 422,
    errors: [{ pointer: '/keystrokes', message: /needs the raw keystrokes/ }],
  })
})

interface Refusal {
  code: string
  statusCode: number
  message: string
  errors: { pointer: string }[]
}

const refusal = (keystrokes: Keystroke[], keys = keystrokes.length, attempt?: number) => {
  try {
    timesOf(keystrokes, keys, attempt)
    return undefined
  } catch (error) {
    return error as Refusal
  }
}

t.test('another number of keystrokes than the text has keys is refused', async (t) => {
  t.match(refusal(three, 13), {
    code: 'KSR_KEYSTROKE_COUNT',
    statusCode: 422,
    message: 'The text has 13 keys; 3 keystrokes were sent.',
    errors: [{ pointer: '/keystrokes/3' }],
  })
})

t.test('a surplus keystroke is refused with its index', async (t) => {
  t.match(refusal(three, 2), { code: 'KSR_KEYSTROKE_COUNT', errors: [{ pointer: '/keystrokes/2' }] })
})

t.test('a release before its press is refused with its index', async (t) => {
  const keys = three.with(1, { press: 80, release: 79.9 })
  t.match(refusal(keys), { code: 'KSR_RELEASE_BEFORE_PRESS', errors: [{ pointer: '/keystrokes/1/release' }] })
})

t.test('presses out of order are refused with the index', async (t) => {
  const keys = three.with(2, { press: 79, release: 300 })
  t.match(refusal(keys), { code: 'KSR_PRESS_ORDER', errors: [{ pointer: '/keystrokes/2/press' }] })
})

t.test('what is wrong in one of several attempts names the attempt', async (t) => {
  t.match(refusal(three, 2, 1), {
    message: 'The text has 2 keys; 3 keystrokes were sent as attempt 1.',
    errors: [{ pointer: '/attempts/1/keystrokes/2' }],
  })
  t.match(refusal(three.with(2, { press: 79, release: 300 }), 3, 0), {
    message: /^Keystroke 2 of attempt 0 is pressed before/,
    errors: [{ pointer: '/attempts/0/keystrokes/2/press' }],
  })
  t.match(refusal(three.with(1, { press: 80, release: 79 }), 3, 1), {
    message: /^Keystroke 1 of attempt 1 is released before/,
    errors: [{ pointer: '/attempts/1/keystrokes/1/release' }],
  })
})

t.test('two keys pressed at the same moment, and a key held for no time, are taken', async (t) => {
  t.equal(refusal([three[0] as Keystroke, { press: 0, release: 0 }]), undefined)
})

/** A typing in which one keystroke is spoilt, with what is to be said of it. */
const spoilt = fc
  .tuple(
    typing,
    fc.nat(),
    fc.constantFrom('count', 'release', 'order'),
    fc.double({ min: 0.001, max: 1e6, noNaN: true }),
  )
  .map(([keys, place, kind, by]) => {
    const i = kind === 'order' ? 1 + (place % (keys.length - 1)) : place % keys.length
    const { press, release } = keys[i] as Keystroke
    if (kind === 'release') {
      const bad = keys.with(i, { press, release: press - by })
      return { bad, keys: keys.length, code: 'KSR_RELEASE_BEFORE_PRESS', at: `/keystrokes/${i}/release` }
    }
    if (kind === 'order') {
      const before = (keys[i - 1] as Keystroke).press
      const bad = keys.with(i, { press: before - by, release })
      return { bad, keys: keys.length, code: 'KSR_PRESS_ORDER', at: `/keystrokes/${i}/press` }
    }
    return { bad: keys.slice(0, i), keys: keys.length, code: 'KSR_KEYSTROKE_COUNT', at: `/keystrokes/${i}` }
  })

t.test('whichever keystroke is wrong is named by its place, and its times are not told', async () => {
  fc.assert(
    fc.property(spoilt, fc.option(fc.nat(7), { nil: undefined }), ({ bad, keys, code, at }, attempt) => {
      const found = refusal(bad, keys, attempt)
      const pointer = attempt === undefined ? at : `/attempts/${attempt}${at}`
      const counts = [keys, bad.length, attempt, ...pointer.split('/')].map(String)
      const told = `${found?.message}`.match(/\d+(\.\d+)?/g) ?? []
      return (
        found?.code === code &&
        found.statusCode === 422 &&
        found.errors.length === 1 &&
        found.errors[0]?.pointer === pointer &&
        told.every((number) => counts.includes(number))
      )
    }),
  )
})

t.test('whole milliseconds are the same times from every origin, to the last bit', async (t) => {
  const whole = typing.map((keys) =>
    keys.map(({ press, release }) => ({
      press: Math.round(press - (keys[0] as Keystroke).press),
      release: Math.round(release - (keys[0] as Keystroke).press),
    })),
  )
  const origin = fc.oneof(fc.maxSafeInteger(), fc.constantFrom(Date.now(), -1e12, 0))
  fc.assert(
    fc.property(whole, origin, (keys, origin) => {
      const by = Math.trunc(origin / 2)
      const moved = keys.map(({ press, release }) => ({ press: press + by, release: release + by }))
      t.same(timesOf(moved, keys.length), timesOf(keys, keys.length))
    }),
    { numRuns: 30 },
  )
})
