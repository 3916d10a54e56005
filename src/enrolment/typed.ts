import { coded } from '../errors.js'
import { timingsRow } from '../keystroke/features.js'
import type { FeatureRow, Times } from '../keystroke/times.js'
import type { Keystroke } from '../schemas/sample.js'

/** A typing of somebody, as it was sent. */
export interface Typed {
  times: Times
  keystrokes: readonly Keystroke[]
  /** Where it stands in what was sent: a JSON pointer. */
  at: string
}

/** The `timings` rows of typings. */
export function rowsOf(typings: readonly Typed[]): FeatureRow[] {
  return typings.map(({ times }) => timingsRow(times))
}

/** The error of a typing that was sent before. */
export function replayed({ at }: Typed): Error {
  return coded('KSR_REPLAYED', [], { at })
}
