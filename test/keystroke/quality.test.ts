import { readFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import t from 'tap'
import { quality } from '../../src/keystroke/quality.js'
import { timesOf } from '../../src/keystroke/times.js'
import type { Keystroke } from '../../src/schemas/sample.js'
import { typing } from '../fixtures/typing.js'

const RANGES = { HT: [0, 400], PPT: [0, 5000], RRT: [0, 5000], RPT: [-300, 5000] }

// As a person types: nothing regular, nothing impossible, milliseconds without a grid.
const HOLDS = [93, 96, 65, 80, 95, 74, 108, 95, 86, 95, 82, 96, 92]
const STEPS = [144, 143, 123, 150, 142, 141, 78, 173, 142, 152, 136, 147]

function typed(holds = HOLDS, steps = STEPS): Keystroke[] {
  let press = 1_764_000_000_000
  return holds.map((hold, i) => {
    const key = { press, release: press + hold }
    press += steps[i] ?? 0
    return key
  })
}

const warnings = (keys: Keystroke[], ranges = RANGES) => quality([timesOf(keys, keys.length)], ranges)
/** The keystrokes as a clock with such ticks would have timed them, and reported them in whole milliseconds. */
const clocked = (keys: Keystroke[], tick: number, report = Math.round) =>
  keys.map(({ press, release }) => ({
    press: report(Math.floor(press / tick) * tick),
    release: report(Math.floor(release / tick) * tick),
  }))

t.test('a typing with which nothing is amiss has no warnings', async (t) => {
  t.same(warnings(typed()), [])
})

t.test('keys at even distances, and holds that are all alike, are typed by a script', async (t) => {
  const every100 = STEPS.map((_, i) => 100 + (i % 3))
  t.same(warnings(typed(HOLDS, every100)), ['too-regular'])
  t.same(warnings(typed(HOLDS.map((_, i) => 80 + (i % 2)))), ['too-regular'])
  t.same(warnings(typed(HOLDS.map((_, i) => 20 + 3 * (i % 2)))), ['too-regular'], 'a spread of a millisecond')
})

t.test('a few keys can be regular by chance', async (t) => {
  t.same(warnings(typed(Array(7).fill(80), Array(6).fill(133))), [])
  t.same(warnings(typed(Array(8).fill(83), STEPS.slice(0, 7))), ['too-regular'])
})

t.test('a key held for no time, or for many seconds, is impossible', async (t) => {
  const far = { ...RANGES, HT: [0, 9000], RRT: [-9000, 9000], RPT: [-9000, 9000] }
  t.same(warnings(typed(HOLDS.with(3, 0)), far), ['impossible-hold'])
  t.same(warnings(typed(HOLDS.with(3, 4.9)), far), ['impossible-hold'])
  t.same(warnings(typed(HOLDS.with(3, 5)), far), [])
  t.same(warnings(typed(HOLDS.with(3, 5000)), far), [])
  t.same(warnings(typed(HOLDS.with(3, 5001)), far), ['impossible-hold'])
})

t.test('clocks coarser than 8 ms are noticed', async (t) => {
  const odd = typed(HOLDS.map((hold) => 1.7 * hold))
  for (const tick of [9, 10, 12, 15.625, 16, 1000 / 60, 20, 25, 1000 / 30, 50, 100]) {
    t.ok(warnings(clocked(odd, tick)).includes('coarse-clock'), `${tick} ms`)
  }
  for (const tick of [10, 15.625, 1000 / 60, 1000 / 30]) {
    t.ok(warnings(clocked(odd, tick, Number)).includes('coarse-clock'), `${tick} ms, with its fractions`)
  }
})

t.test('clocks of 8 ms and finer are not', async (t) => {
  for (const tick of [0.1, 1, 2, 4, 5, 7, 8]) t.same(warnings(clocked(typed(), tick)), [], `${tick} ms`)
  t.same(warnings(clocked(typed(), 8, Number)), [])
})

t.test('a few keys can lie on a grid by chance', async (t) => {
  t.same(warnings(typed([90, 70, 50, 80, 60, 110, 120], [140, 110, 170, 130, 150, 90])), [])
})

t.test('one time that is out of the range of the training data is enough, of any kind', async (t) => {
  for (const kind of ['HT', 'PPT', 'RRT', 'RPT'] as const) {
    t.same(warnings(typed(), { ...RANGES, [kind]: [0, 40] }), ['out-of-range'], `${kind} too long`)
    t.same(warnings(typed(), { ...RANGES, [kind]: [200, 5000] }), ['out-of-range'], `${kind} too short`)
  }
})

t.test('of several typings each is looked at, and a warning is given once', async (t) => {
  const good = timesOf(typed(), 13)
  const bad = timesOf(typed(HOLDS.with(3, 0)), 13)
  t.same(quality([good, bad, bad], RANGES), ['impossible-hold'])
  t.same(quality([good, good], RANGES), [])
})

t.test('what is all at once has every warning', async (t) => {
  const ranges = { ...RANGES, PPT: [10, 20] }
  const all = ['too-regular', 'impossible-hold', 'coarse-clock', 'out-of-range']
  t.same(warnings(typed(Array(13).fill(0), Array(12).fill(0)), ranges), all)
})

t.test('whatever was typed has warnings of those that there are, each once and in their order', async () => {
  const all = ['too-regular', 'impossible-hold', 'coarse-clock', 'out-of-range']
  const most = Number.MAX_SAFE_INTEGER
  const extreme = fc
    .array(
      fc.oneof(fc.double({ min: -most, max: most, noNaN: true }), fc.constantFrom(0, -most, most, 5e-324)),
      {
        minLength: 4,
        maxLength: 40,
      },
    )
    .map((times) => {
      times.sort((a, b) => a - b)
      return Array.from({ length: times.length >> 1 }, (_, i) => ({
        press: times[2 * i] as number,
        release: times[2 * i + 1] as number,
      }))
    })
  const range = fc.tuple(fc.double({ noNaN: true }), fc.double({ noNaN: true }))
  const ranges = fc.record({ HT: range, PPT: range, RRT: range, RPT: range })
  const typings = fc.array(fc.oneof(typing, extreme), { maxLength: 8 })
  fc.assert(
    fc.property(typings, ranges, (typings, ranges) => {
      const times = typings.map((keys) => timesOf(keys, keys.length))
      const found = quality(times, ranges)
      return isDeepStrictEqual(
        found,
        all.filter((warning) => found.includes(warning as 'too-regular')),
      )
    }),
  )
})

const path = process.env.KEYSTROKE_DATA
const skip = path === undefined && 'KEYSTROKE_DATA does not name the data set of the original task'

t.test(
  'of real typings none looks scripted or coarsely timed; impossible holds are there',
  { skip },
  async (t) => {
    const counts: Record<string, number> = {}
    for (const line of readFileSync(path as string, 'utf8')
      .trimEnd()
      .split('\n')
      .slice(1)) {
      const times = line.split(',').slice(1).map(Number)
      const keys = HOLDS.map((_, i) => ({
        press: times[2 * i] as number,
        release: times[2 * i + 1] as number,
      }))
      for (const code of warnings(keys)) counts[code] = (counts[code] ?? 0) + 1
    }
    t.same(counts, { 'impossible-hold': 130 })
  },
)
