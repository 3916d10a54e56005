import type { FeatureRow } from '../keystroke/times.js'
export function isReplay(row: FeatureRow, known: readonly FeatureRow[]): boolean {
  return known.some((other) => other.every((value, i) => Math.abs(value - (row[i] as number)) < 1e-6))
}
