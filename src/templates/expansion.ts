import type { FeatureRow } from '../keystroke/times.js'

/** The kinds of feature, in their order; each has one for every key or pair of neighbours, the medians one. */
export const KINDS = [
  'logHT',
  'logPPT',
  'logRRT',
  'asinhRPT',
  'relativeHT',
  'relativePPT',
  'medianHT',
  'medianPPT',
  'changeHT',
  'changePPT',
  'changeRPT',
] as const
/** How many features each kind has fewer than the text has keys; those of the medians are one. */
const FEWER = [0, 1, 1, 1, 0, 1, undefined, undefined, 1, 2, 2]

/** How many features of each kind there are for a text of so many keys. */
export function countsOf(keys: number): number[] {
  return FEWER.map((fewer) => (fewer === undefined ? 1 : Math.max(0, keys - fewer)))
}

/** How many features a template of a text of so many keys has: 9 · keys − 7. */
export function widthOf(keys: number): number {
  return countsOf(keys).reduce((sum, count) => sum + count, 0)
}

/**
 * A `timings` row with the changes from key to key of its holds, press-press and release-press times behind: a sum over
 * features can't say that two neighbours moved against each other.
 * @param row 6 · keys − 2 numbers
 * @returns 9 · keys − 7 numbers
 */
export function expand(row: FeatureRow, keys: number): Float64Array {
  const values = new Float64Array(widthOf(keys))
  values.set(row)
  let at = row.length
  const changes = (start: number, count: number) => {
    for (let i = start; i < start + count - 1; i++) values[at++] = (row[i + 1] as number) - (row[i] as number)
  }
  const pairs = keys - 1
  changes(0, keys)
  changes(keys, pairs)
  changes(keys + 2 * pairs, pairs)
  return values
}

/**
 * For every feature of a text of `keys` keys the like of one of `known` keys: of the same kind, and as far between the
 * first and the last key.
 */
export function counterparts(keys: number, known: number): Int32Array {
  const places: number[] = []
  const counts = countsOf(keys)
  let start = 0
  for (const [kind, there] of countsOf(known).entries()) {
    const count = counts[kind] as number
    for (let i = 0; i < count; i++) {
      // In whole numbers, as training has it: halves are rounded up.
      const steps = Math.max(count - 1, 1)
      places.push(start + Math.floor((2 * i * (there - 1) + steps) / (2 * steps)))
    }
    start += there
  }
  return Int32Array.from(places)
}

/** The kind of every feature of a text of so many keys, as an index of KINDS. */
export function kindsOf(keys: number): Int32Array {
  return Int32Array.from(countsOf(keys).flatMap((count, kind) => Array(count).fill(kind)))
}
