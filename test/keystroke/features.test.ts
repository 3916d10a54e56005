import fc from 'fast-check'
import t from 'tap'
import { featureOrder, summarise, summaryRow, timingsRow } from '../../src/keystroke/features.js'
import { timesOf } from '../../src/keystroke/times.js'
import type { Keystroke } from '../../src/schemas/sample.js'
import { typing } from '../fixtures/typing.js'

/** The eight numbers straight from their definitions. */
function byDefinition(keys: Keystroke[]): number[] {
  const next = keys.slice(1)
  const times = [
    keys.map((key) => key.release - key.press),
    next.map((key, i) => key.press - (keys[i] as Keystroke).press),
    next.map((key, i) => key.release - (keys[i] as Keystroke).release),
    next.map((key, i) => key.press - (keys[i] as Keystroke).release),
  ]
  return times.flatMap((values) => {
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length
    return [mean, Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length)]
  })
}

const three: Keystroke[] = [
  { press: 0, release: 100 },
  { press: 80, release: 220 },
  { press: 300, release: 300 },
]

t.test('the order of the eight numbers is the one that the models were trained in', async (t) => {
  t.same(featureOrder('summary', 13), [
    'HT.Mean',
    'HT.STD',
    'PPT.Mean',
    'PPT.STD',
    'RRT.Mean',
    'RRT.STD',
    'RPT.Mean',
    'RPT.STD',
  ])
})

t.test('a typing is summarised as its definitions say, overlaps counted as negative', async (t) => {
  t.same(summarise(timesOf(three, 3)), {
    HT: { Mean: 80, STD: Math.sqrt((20 ** 2 + 60 ** 2 + 80 ** 2) / 3) },
    PPT: { Mean: 150, STD: 70 },
    RRT: { Mean: 100, STD: 20 },
    RPT: { Mean: 30, STD: 50 },
  })
})

t.test('any typing is summarised as the definitions say', async () => {
  fc.assert(
    fc.property(typing, (keys) => {
      const { HT, PPT, RRT, RPT } = summarise(timesOf(keys, keys.length))
      const found = [HT.Mean, HT.STD, PPT.Mean, PPT.STD, RRT.Mean, RRT.STD, RPT.Mean, RPT.STD]
      return byDefinition(keys).every(
        (value, i) => Math.abs(value - (found[i] as number)) <= 1e-9 * (1 + Math.abs(value)),
      )
    }),
  )
})

t.test('no spread is negative, and the mean from press to press is the whole over the steps', async () => {
  fc.assert(
    fc.property(typing, (keys) => {
      const { HT, PPT, RRT, RPT } = summarise(timesOf(keys, keys.length))
      const whole = (keys.at(-1) as Keystroke).press - (keys[0] as Keystroke).press
      return (
        [HT, PPT, RRT, RPT].every(
          ({ Mean, STD }) => STD >= 0 && Number.isFinite(Mean) && Number.isFinite(STD),
        ) &&
        HT.Mean >= 0 &&
        PPT.Mean >= 0 &&
        // A double at 2e12 has steps of a quarter of a microsecond.
        Math.abs(PPT.Mean - whole / (keys.length - 1)) <= 1e-3
      )
    }),
  )
})

t.test('who types as much slower throughout has all eight numbers as much larger', async () => {
  fc.assert(
    fc.property(typing, fc.integer({ min: -20, max: 10 }), (keys, exponent) => {
      // Powers of two change no digit, where nothing is so small that its square is none.
      const factor = 2 ** exponent
      const fine = (time: number) => Math.round(1000 * time) / 1000
      const timed = keys.map(({ press, release }) => ({ press: fine(press), release: fine(release) }))
      const slow = timed.map(({ press, release }) => ({ press: factor * press, release: factor * release }))
      const [before, after] = [timed, slow].map((typed) => summarise(timesOf(typed, typed.length)))
      return (['HT', 'PPT', 'RRT', 'RPT'] as const).every(
        (kind) =>
          after?.[kind].Mean === factor * (before?.[kind].Mean as number) &&
          after[kind].STD === factor * (before?.[kind].STD as number),
      )
    }),
  )
})

t.test('the row of any typing has the eight numbers in their order, each narrowed once', async () => {
  fc.assert(
    fc.property(typing, (keys) => {
      const summary = summarise(timesOf(keys, keys.length))
      const row = summaryRow({ keystrokes: keys }, keys.length)
      return featureOrder('summary', keys.length).every((name, i) => {
        const [kind, number] = name.split('.') as ['HT', 'Mean']
        return row[i] === Math.fround(summary[kind][number])
      })
    }),
  )
})

t.test('a summary and the keystrokes it was made from give the same row', async (t) => {
  t.same(summaryRow({ keystrokes: three }, 3), summaryRow(summarise(timesOf(three, 3)), 3))
})

t.test('the row is narrowed to float32 after the arithmetic', async (t) => {
  const row = summaryRow({ keystrokes: three }, 3)
  t.type(row, Float32Array)
  t.equal(row[1], Math.fround(Math.sqrt(10400 / 3)))
})

t.test('several attempts are nothing that a summary could be made of', async (t) => {
  t.throws(() => summaryRow({ attempts: [{ keystrokes: three }] }, 3), {
    code: 'KSR_ATTEMPTS_NOT_FUSED',
    statusCode: 422,
    errors: [{ pointer: '/attempts' }],
  })
})

t.test('the order of the timings is that of the keys, kind by kind', async (t) => {
  t.same(featureOrder('timings', 3), [
    ...['logHT[0]', 'logHT[1]', 'logHT[2]', 'logPPT[0]', 'logPPT[1]', 'logRRT[0]', 'logRRT[1]'],
    ...['asinhRPT[0]', 'asinhRPT[1]'],
    ...['relativeHT[0]', 'relativeHT[1]', 'relativeHT[2]', 'relativePPT[0]', 'relativePPT[1]'],
    ...['medianHT', 'medianPPT'],
  ])
  t.equal(featureOrder('timings', 13).length, 76)
})

t.test('a timings row is what its definitions say, short times raised to 8 ms', async (t) => {
  const { log, asinh } = Math
  // Medians: of three holds the middle one, of two press-press times their mean.
  const [medianHT, medianPPT] = [log(100), (log(80) + log(220)) / 2]
  t.same(
    timingsRow(timesOf(three, 3)),
    Float32Array.of(
      ...[log(100), log(140), log(8)],
      ...[log(80), log(220)],
      ...[log(120), log(80)],
      ...[asinh(-0.5), asinh(2)],
      ...[0, log(140) - medianHT, log(8) - medianHT],
      ...[log(80) - medianPPT, log(220) - medianPPT],
      ...[medianHT, medianPPT],
    ),
  )
})

/** The row, by the names of its numbers without their places. */
function timings(keys: Keystroke[]) {
  const row = timingsRow(timesOf(keys, keys.length))
  const parts: Record<string, number[]> = {}
  for (const [i, name] of featureOrder('timings', keys.length).entries()) {
    const kind = name.replace(/\[.*/, '')
    parts[kind] = [...(parts[kind] ?? []), row[i] as number]
  }
  return parts
}

const alike = (a: number[] = [], b: number[] = [], tolerance = 1e-4) =>
  a.length === b.length && a.every((value, i) => Math.abs(value - (b[i] as number)) <= tolerance)

t.test('any typing has a row with every number in its place', async () => {
  fc.assert(
    fc.property(typing, (keys) => {
      const row = timingsRow(timesOf(keys, keys.length))
      return row.length === featureOrder('timings', keys.length).length && row.every(Number.isFinite)
    }),
  )
})

t.test('where a typing lies in time changes nothing beyond rounding', async () => {
  fc.assert(
    fc.property(typing, fc.integer({ min: -1e6, max: 1e6 }), (keys, shift) => {
      const moved = keys.map(({ press, release }) => ({ press: press + shift, release: release + shift }))
      // Times near the origin of a double's steps: 2e12 has steps of a quarter of a microsecond.
      const [before, after] = [timings(keys), timings(moved)]
      return Object.keys(before).every((name) => alike(before[name], after[name], 1e-3))
    }),
  )
})

t.test(
  'who types as much slower throughout keeps what is relative, and moves the rest by one number',
  async () => {
    // None is raised to the floor.
    const long = fc.integer({ min: 8, max: 3000 })
    const steps = fc.array(fc.tuple(long, long), { minLength: 2, maxLength: 40 })
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 9 }), (steps, factor) => {
        let press = 0
        const keys = steps.map(([latency, hold]) => {
          press += latency
          return { press, release: press + hold }
        })
        const slow = keys.map(({ press, release }) => ({ press: factor * press, release: factor * release }))
        const [before, after] = [timings(keys), timings(slow)]
        const moved = (name: string) => before[name]?.map((value) => value + Math.log(factor))
        return (
          ['relativeHT', 'relativePPT'].every((name) => alike(before[name], after[name])) &&
          ['logHT', 'logPPT', 'medianHT', 'medianPPT'].every((name) => alike(moved(name), after[name]))
        )
      }),
    )
  },
)
