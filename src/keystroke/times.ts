import { coded } from '../errors.js'
import type { Keystroke, Sample } from '../schemas/sample.js'

/** The numbers that a model eats, in the order in which it was trained on them, narrowed to its float32. */
export type FeatureRow = Float32Array

/** The four kinds of time of one typing, ms, in key order. */
export interface Times {
  /** release[i] − press[i] */
  holdTime: number[]
  /** press[i+1] − press[i] */
  pressPress: number[]
  /** release[i+1] − release[i] */
  releaseRelease: number[]
  /** press[i+1] − release[i]; negative where keys overlap */
  releasePress: number[]
}

/**
 * The times of every typing of a sample.
 * @param keys how many keys the text has
 * @throws KSR_NEEDS_KEYSTROKES for a summary, which has none, and as timesOf
 */
export function typingsOf(sample: Sample, keys: number): Times[] {
  if ('keystrokes' in sample) return [timesOf(sample.keystrokes, keys)]
  if ('attempts' in sample) return sample.attempts.map((typing, i) => timesOf(typing.keystrokes, keys, i))
  throw coded('KSR_NEEDS_KEYSTROKES', [], { at: '/keystrokes' })
}

/**
 * The times of one typing, float64.
 * @param attempt which of several typings it is, for the message of an error
 * @throws KSR_KEYSTROKE_COUNT, KSR_RELEASE_BEFORE_PRESS, KSR_PRESS_ORDER
 */
export function timesOf(keystrokes: readonly Keystroke[], keys: number, attempt?: number): Times {
  checkTimings(keystrokes, keys, attempt)
  const times: Times = { holdTime: [], pressPress: [], releaseRelease: [], releasePress: [] }
  for (let i = 0; i < keystrokes.length; i++) {
    const { press, release } = keystrokes[i] as Keystroke
    times.holdTime.push(release - press)
    const next = keystrokes[i + 1]
    if (next === undefined) break
    times.pressPress.push(next.press - press)
    times.releaseRelease.push(next.release - release)
    times.releasePress.push(next.press - release)
  }
  return times
}

function checkTimings(keystrokes: readonly Keystroke[], keys: number, attempt: number | undefined): void {
  const at = attempt === undefined ? '' : `/attempts/${attempt}`
  if (keystrokes.length !== keys) {
    const first = Math.min(keys, keystrokes.length)
    const as = attempt === undefined ? '' : ` as attempt ${attempt}`
    throw coded('KSR_KEYSTROKE_COUNT', [keys, keystrokes.length, as], { at: `${at}/keystrokes/${first}` })
  }
  const refuse = (code: 'KSR_PRESS_ORDER' | 'KSR_RELEASE_BEFORE_PRESS', i: number, end: keyof Keystroke) =>
    coded(code, [i, attempt === undefined ? '' : ` of attempt ${attempt}`], {
      at: `${at}/keystrokes/${i}/${end}`,
    })
  let previous = Number.NEGATIVE_INFINITY
  for (let i = 0; i < keystrokes.length; i++) {
    const { press, release } = keystrokes[i] as Keystroke
    if (press < previous) throw refuse('KSR_PRESS_ORDER', i, 'press')
    if (release < press) throw refuse('KSR_RELEASE_BEFORE_PRESS', i, 'release')
    previous = press
  }
}
