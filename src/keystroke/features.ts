import { coded } from '../errors.js'
import type { Keystroke, Sample, Summary } from '../schemas/sample.js'

/** The eight numbers that a summary model eats, in the order in which it was trained on them. */
export const FEATURE_ORDER = [
  'HT.Mean',
  'HT.STD',
  'PPT.Mean',
  'PPT.STD',
  'RRT.Mean',
  'RRT.STD',
  'RPT.Mean',
  'RPT.STD',
] as const

/** The numbers of one typing in FEATURE_ORDER, ms, narrowed to the models' float32. */
export type FeatureRow = Float32Array

/**
 * The feature row of a sample: of a summary as it was sent, of raw keystrokes as computed from them.
 * @param keys how many keys the text has
 * @throws KSR_KEYSTROKE_COUNT, KSR_RELEASE_BEFORE_PRESS, KSR_PRESS_ORDER
 */
export function featureRow(sample: Sample, keys: number): FeatureRow {
  const { HT, PPT, RRT, RPT } = 'keystrokes' in sample ? summarise(sample.keystrokes, keys) : sample
  return Float32Array.of(HT.Mean, HT.STD, PPT.Mean, PPT.STD, RRT.Mean, RRT.STD, RPT.Mean, RPT.STD)
}

/**
 * Mean and population standard deviation (ms, float64) of the four kinds of time:
 * holdTime[i] = release[i] − press[i], pressPress[i] = press[i+1] − press[i],
 * releaseRelease[i] = release[i+1] − release[i], releasePress[i] = press[i+1] − release[i].
 * @throws as featureRow
 */
export function summarise(keystrokes: readonly Keystroke[], keys: number): Summary {
  checkTimings(keystrokes, keys)
  const holdTime: number[] = []
  const pressPress: number[] = []
  const releaseRelease: number[] = []
  const releasePress: number[] = []
  for (let i = 0; i < keystrokes.length; i++) {
    const { press, release } = keystrokes[i] as Keystroke
    holdTime.push(release - press)
    const next = keystrokes[i + 1]
    if (next === undefined) break
    pressPress.push(next.press - press)
    releaseRelease.push(next.release - release)
    releasePress.push(next.press - release)
  }
  return {
    HT: meanAndDeviation(holdTime),
    PPT: meanAndDeviation(pressPress),
    RRT: meanAndDeviation(releaseRelease),
    RPT: meanAndDeviation(releasePress),
  }
}

function checkTimings(keystrokes: readonly Keystroke[], keys: number): void {
  if (keystrokes.length !== keys) {
    const first = Math.min(keys, keystrokes.length)
    throw coded('KSR_KEYSTROKE_COUNT', [keys, keystrokes.length], { at: `/keystrokes/${first}` })
  }
  let previous = Number.NEGATIVE_INFINITY
  keystrokes.forEach(({ press, release }, i) => {
    if (press < previous) throw coded('KSR_PRESS_ORDER', [i], { at: `/keystrokes/${i}/press` })
    if (release < press) throw coded('KSR_RELEASE_BEFORE_PRESS', [i], { at: `/keystrokes/${i}/release` })
    previous = press
  })
}

/**
 * Two passes, each summed in key order. Training sums in the same order, so that both sides get the same
 * number to the last bit, and a row is never labelled otherwise here than there.
 */
function meanAndDeviation(times: readonly number[]): { Mean: number; STD: number } {
  // Counted loops: `for … of` over numbers takes six times as long.
  let sum = 0
  for (let i = 0; i < times.length; i++) sum += times[i] as number
  const mean = sum / times.length
  let squares = 0
  for (let i = 0; i < times.length; i++) {
    const distance = (times[i] as number) - mean
    squares += distance * distance
  }
  return { Mean: mean, STD: Math.sqrt(squares / times.length) }
}
