import fc from 'fast-check'
import t from 'tap'
import { FEATURE_ORDER, featureRow, summarise } from '../../src/keystroke/features.js'
import type { Keystroke } from '../../src/schemas/sample.js'

/** Typings of 2 to 40 keys with overlaps, zero holds and equal presses, from any origin. */
const typing = fc
  .tuple(
    fc.double({ min: -1e12, max: 2e12, noNaN: true }),
    fc.array(
      fc.tuple(fc.double({ min: 0, max: 5000, noNaN: true }), fc.double({ min: 0, max: 3000, noNaN: true })),
      {
        minLength: 2,
        maxLength: 40,
      },
    ),
  )
  .map(([origin, steps]): Keystroke[] => {
    let press = origin
    return steps.map(([latency, hold]) => {
      press += latency
      return { press, release: press + hold }
    })
  })

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

t.test('the order of the features is the one that the models were trained in', async (t) => {
  t.same(FEATURE_ORDER, [
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
  t.same(summarise(three, 3), {
    HT: { Mean: 80, STD: Math.sqrt((20 ** 2 + 60 ** 2 + 80 ** 2) / 3) },
    PPT: { Mean: 150, STD: 70 },
    RRT: { Mean: 100, STD: 20 },
    RPT: { Mean: 30, STD: 50 },
  })
})

t.test('any typing is summarised as the definitions say', async () => {
  fc.assert(
    fc.property(typing, (keys) => {
      const { HT, PPT, RRT, RPT } = summarise(keys, keys.length)
      const found = [HT.Mean, HT.STD, PPT.Mean, PPT.STD, RRT.Mean, RRT.STD, RPT.Mean, RPT.STD]
      return byDefinition(keys).every(
        (value, i) => Math.abs(value - (found[i] as number)) <= 1e-9 * (1 + Math.abs(value)),
      )
    }),
  )
})

t.test('the means keep the identities PPT = HT + RPT and RRT = RPT + HT of the next key', async () => {
  fc.assert(
    fc.property(typing, (keys) => {
      const { HT, PPT, RRT, RPT } = summarise(keys, keys.length)
      const pairs = keys.length - 1
      const hold = ({ press, release }: Keystroke) => release - press
      const [first, last] = [hold(keys[0] as Keystroke), hold(keys[pairs] as Keystroke)]
      const holds = HT.Mean * keys.length
      const close = (a: number, b: number) => Math.abs(a - b) <= 1e-3
      return (
        close(PPT.Mean, (holds - last) / pairs + RPT.Mean) &&
        close(RRT.Mean, RPT.Mean + (holds - first) / pairs)
      )
    }),
  )
})

t.test('a summary and the keystrokes it was made from give the same row', async (t) => {
  t.same(featureRow({ keystrokes: three }, 3), featureRow(summarise(three, 3), 3))
})

t.test('the row is narrowed to float32 after the arithmetic', async (t) => {
  const row = featureRow({ keystrokes: three }, 3)
  t.type(row, Float32Array)
  t.equal(row[1], Math.fround(Math.sqrt(10400 / 3)))
})

t.test('the origin of time does not matter', async (t) => {
  const epoch = 1_764_000_000_000
  const moved = three.map(({ press, release }) => ({ press: press + epoch, release: release + epoch }))
  t.same(summarise(moved, 3), summarise(three, 3))
})

const refusal = (keystrokes: Keystroke[], keys = keystrokes.length) => {
  try {
    summarise(keystrokes, keys)
    return undefined
  } catch (error) {
    return error as { code: string; statusCode: number; message: string; errors: { pointer: string }[] }
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

t.test('two keys pressed at the same moment, and a key held for no time, are taken', async (t) => {
  t.equal(refusal([three[0] as Keystroke, { press: 0, release: 0 }]), undefined)
})
