import { coded } from '../errors.js'
import type { Sample, Summary } from '../schemas/sample.js'
import { type FeatureRow, type Times, timesOf } from './times.js'

/** What a model's feature row is made of: the eight numbers of a summary, or every time of the typing. */
export type Features = 'summary' | 'timings'

const SUMMARY_ORDER = [
  'HT.Mean',
  'HT.STD',
  'PPT.Mean',
  'PPT.STD',
  'RRT.Mean',
  'RRT.STD',
  'RPT.Mean',
  'RPT.STD',
] as const

/** Times shorter than this, ms, are all the same to a model of timings: below it, logarithms tell clocks apart. */
const FLOOR_MS = 8
/** Around this time, ms, the scale of release-press times turns from linear to logarithmic. */
const RELEASE_PRESS_SCALE_MS = 40

/** The names of the numbers in a feature row, in their order. */
export function featureOrder(features: Features, keys: number): readonly string[] {
  if (features === 'summary') return SUMMARY_ORDER
  const each = (name: string, count: number) => Array.from({ length: count }, (_, i) => `${name}[${i}]`)
  return [
    ...each('logHT', keys),
    ...each('logPPT', keys - 1),
    ...each('logRRT', keys - 1),
    ...each('asinhRPT', keys - 1),
    ...each('relativeHT', keys),
    ...each('relativePPT', keys - 1),
    'medianHT',
    'medianPPT',
  ]
}

/**
 * The `summary` row of a sample: of a summary as it was sent, of raw keystrokes as computed from them.
 * @param keys how many keys the text has
 * @throws KSR_ATTEMPTS_NOT_FUSED, and as timesOf
 */
export function summaryRow(sample: Sample, keys: number): FeatureRow {
  if ('attempts' in sample) throw coded('KSR_ATTEMPTS_NOT_FUSED', [], { at: '/attempts' })
  const { HT, PPT, RRT, RPT } = 'keystrokes' in sample ? summarise(timesOf(sample.keystrokes, keys)) : sample
  return Float32Array.of(HT.Mean, HT.STD, PPT.Mean, PPT.STD, RRT.Mean, RRT.STD, RPT.Mean, RPT.STD)
}

/** The summary whose row it is. */
export function summaryOf(row: readonly number[]): Summary {
  const part = (of: (typeof SUMMARY_ORDER)[number]) => row[SUMMARY_ORDER.indexOf(of)] as number
  return {
    HT: { Mean: part('HT.Mean'), STD: part('HT.STD') },
    PPT: { Mean: part('PPT.Mean'), STD: part('PPT.STD') },
    RRT: { Mean: part('RRT.Mean'), STD: part('RRT.STD') },
    RPT: { Mean: part('RPT.Mean'), STD: part('RPT.STD') },
  }
}

/** Mean and population standard deviation (ms, float64) of the four kinds of time. */
export function summarise({ holdTime, pressPress, releaseRelease, releasePress }: Times): Summary {
  return {
    HT: meanAndDeviation(holdTime),
    PPT: meanAndDeviation(pressPress),
    RRT: meanAndDeviation(releaseRelease),
    RPT: meanAndDeviation(releasePress),
  }
}

/**
 * The `timings` row of one typing: logarithms, because people differ by factors and not by milliseconds; and holds
 * and press-press times once more beside the typing's own median, because the same person types faster or slower.
 */
export function timingsRow({ holdTime, pressPress, releaseRelease, releasePress }: Times): FeatureRow {
  // Counted loops over lists: a typed array more, or a list built of others, would cost as much as all logarithms.
  const logHold = floorLogs(holdTime)
  const logPress = floorLogs(pressPress)
  const medianHold = median(logHold)
  const medianPress = median(logPress)
  const keys = holdTime.length
  const pairs = keys - 1
  const row = new Float32Array(6 * keys - 2)
  let at = 0
  for (let i = 0; i < keys; i++) row[at++] = logHold[i] as number
  for (let i = 0; i < pairs; i++) row[at++] = logPress[i] as number
  for (let i = 0; i < pairs; i++) row[at++] = floorLog(releaseRelease[i] as number)
  for (let i = 0; i < pairs; i++) row[at++] = Math.asinh((releasePress[i] as number) / RELEASE_PRESS_SCALE_MS)
  for (let i = 0; i < keys; i++) row[at++] = (logHold[i] as number) - medianHold
  for (let i = 0; i < pairs; i++) row[at++] = (logPress[i] as number) - medianPress
  row[at++] = medianHold
  row[at] = medianPress
  return row
}

function floorLogs(times: readonly number[]): number[] {
  const logs: number[] = []
  for (let i = 0; i < times.length; i++) logs.push(floorLog(times[i] as number))
  return logs
}

function floorLog(time: number): number {
  return Math.log(Math.max(time, FLOOR_MS))
}

/** The middle one, or the mean of the two middle ones. */
function median(values: readonly number[]): number {
  const sorted = values.slice()
  // Insertion: so few are sorted several times as fast as by `sort`.
  for (let i = 1; i < sorted.length; i++) {
    const value = sorted[i] as number
    let place = i
    for (; place > 0 && (sorted[place - 1] as number) > value; place--)
      sorted[place] = sorted[place - 1] as number
    sorted[place] = value
  }
  const middle = sorted.length >> 1
  const upper = sorted[middle] as number
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2
}

/**
 * Two passes, each summed in key order. Training sums in the same order, so that both sides get the same
 * number to the last bit, and a row is never labelled otherwise here than there.
 */
export function meanAndDeviation(times: readonly number[]): { Mean: number; STD: number } {
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
