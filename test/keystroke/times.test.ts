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
