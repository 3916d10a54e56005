import type { FeatureRow } from '../keystroke/times.js'

/**
 * How far apart two typings have to be, ms, mean over all hold and press-press times. In the data set that the shipped models
 * were made from, 13 keys, the closest two typings of one person are 9.8 ms apart, of 3,080 pairs, and the closest two of
 * different people 14.1 ms. A typing moved by up to ±5 ms at each event is 3.3 ms from itself, and below 7 ms in all of
 * 26,400 trials; by up to ±8 ms, in 96 %.
 */
const APART_MS = 7
/**
 * Few keys are sooner typed the same again, most of all by clocks of 8 ms. With one millisecond for each key beyond these, of
 * 10,000 pairs of one person's typings of a part of that text one is taken for a replay, or four where it has three keys.
 */
const KEYS_THAT_TELL_NOTHING = 2

/**
 * Whether a typing is one of those known, as it was captured, moved by a few milliseconds, or played faster or slower. Nobody
 * types the same twice: what comes as close was made from it.
 * @param row of the `timings` kind, as each of those known, of the same text
 */
export function isReplay(row: FeatureRow, known: readonly FeatureRow[]): boolean {
  const keys = (row.length + 2) / 6
  const apart = Math.min(APART_MS, keys - KEYS_THAT_TELL_NOTHING)
  return known.some((other) => distance(row, other, 2 * keys - 1) < apart)
}

/**
 * Mean absolute difference, ms, once both are brought to the tempo in the middle between them: the median of the
 * differences of logarithms is that of their tempos, however many keys were moved apart from it.
 * @param count how many times the rows begin with, as logarithms: those of holds, then press-press ones
 */
function distance(one: FeatureRow, other: FeatureRow, count: number): number {
  const differences = new Float64Array(count)
  for (let i = 0; i < count; i++) differences[i] = (one[i] as number) - (other[i] as number)
  const half = (differences.sort()[count >> 1] as number) / 2
  let sum = 0
  for (let i = 0; i < count; i++) {
    sum += Math.abs(Math.exp((one[i] as number) - half) - Math.exp((other[i] as number) + half))
  }
  return sum / count
}
