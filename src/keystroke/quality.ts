import type { Quality } from '../schemas/recognition.js'
import { meanAndDeviation } from './features.js'
import type { Times } from './times.js'

/** The shortest and the longest time of each kind, ms, that the models were trained on. */
export interface Ranges {
  HT: readonly number[]
  PPT: readonly number[]
  RRT: readonly number[]
  RPT: readonly number[]
}

/** Fewer keys can be regular, or lie on a grid, by chance. */
const FEWEST_KEYS = 8

// Of the 880 typings of the original task's 110 users none is below these: the most regular has nearly twice the spread.
// Of eight keys in a row of those typings 0.2 % are.
const REGULAR_SPREAD = 0.05
const REGULAR_MS = 2

/**
 * A keyboard waits about this long, ms, before it believes that a key is up: what is shorter was made by software. Of those
 * 880 typings 130 hold one, most of 0 or 1 ms.
 */
const SHORTEST_HOLD_MS = 5
const LONGEST_HOLD_MS = 5000

/** The coarsest clock, ms, that says nothing: browsers and drivers of keyboards have such ones. */
const COARSE_MS = 8
/** Ticks of coarse clocks, ms: timers of operating systems, frames of screens, and 10 for all that it divides. */
const TICKS_MS = [10, 15.625, 16, 1000 / 60, 1000 / 30]
/** How far the time between two ticks may be from a multiple of them, both rounded to the millisecond. */
const ROUNDING_MS = 1

/**
 * What makes the answer to these typings less trustworthy than the models' error rates say. A warning, never a
 * refusal: the caller knows better what the typings are.
 */
export function quality(typings: readonly Times[], ranges: Ranges): Quality[] {
  const found: Quality[] = []
  if (typings.some(isTooRegular)) found.push('too-regular')
  if (typings.some(hasImpossibleHold)) found.push('impossible-hold')
  if (typings.some(hasCoarseClock)) found.push('coarse-clock')
  if (typings.some((typing) => isOutOfRange(typing, ranges))) found.push('out-of-range')
  return found
}

/** Whether holds, or the times from key to key, are more equal than people can make them: typed by a script. */
function isTooRegular({ holdTime, pressPress }: Times): boolean {
  return holdTime.length >= FEWEST_KEYS && (areRegular(holdTime) || areRegular(pressPress))
}

function areRegular(times: readonly number[]): boolean {
  const { Mean, STD } = meanAndDeviation(times)
  return STD < Math.max(REGULAR_SPREAD * Mean, REGULAR_MS)
}

function hasImpossibleHold({ holdTime }: Times): boolean {
  return holdTime.some((time) => time < SHORTEST_HOLD_MS || time > LONGEST_HOLD_MS)
}

/** Whether all presses and releases lie on a grid that is coarser than COARSE_MS. */
function hasCoarseClock(times: Times): boolean {
  if (times.holdTime.length < FEWEST_KEYS) return false
  return commonDivisor(times) > COARSE_MS || TICKS_MS.some((tick) => areMultiples(times, tick))
}

/** The greatest whole number of milliseconds that all times are multiples of; 1 where they are not whole. */
function commonDivisor({ holdTime, pressPress }: Times): number {
  // From hold to hold by way of the presses, every press and every release is reached.
  return pressPress.reduce(greatestCommonDivisor, holdTime.reduce(greatestCommonDivisor, 0))
}

function greatestCommonDivisor(a: number, b: number): number {
  if (a === 1 || !Number.isInteger(b)) return 1
  while (b !== 0) [a, b] = [b, a % b]
  return a
}

function areMultiples({ holdTime, pressPress }: Times, tick: number): boolean {
  const fits = (time: number) => Math.abs(time - tick * Math.round(time / tick)) <= ROUNDING_MS
  return pressPress.every(fits) && holdTime.every(fits)
}

function isOutOfRange(
  { holdTime, pressPress, releaseRelease, releasePress }: Times,
  ranges: Ranges,
): boolean {
  return (
    isOutside(holdTime, ranges.HT) ||
    isOutside(pressPress, ranges.PPT) ||
    isOutside(releaseRelease, ranges.RRT) ||
    isOutside(releasePress, ranges.RPT)
  )
}

function isOutside(times: readonly number[], [shortest, longest]: readonly number[]): boolean {
  return times.some((time) => time < (shortest as number) || time > (longest as number))
}
