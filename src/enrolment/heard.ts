import { coded } from '../errors.js'
import type { FeatureRow } from '../keystroke/times.js'
import { isReplay } from './replays.js'

/** How many typings of a user are remembered, and of how many users. */
const MOST_HEARD = 8
const MOST_LISTENERS = 10_000

/** The typings that users were last recognised by, in this process: whoever overheard one of them could send it again. */
export class Heard {
  readonly #of = new Map<string, { rows: FeatureRow[]; at: number }>()

  /** @throws KSR_REPLAYED where one of the typings is one of those known, of those heard, or of the others */
  refuse(of: string, rows: readonly FeatureRow[], known: readonly FeatureRow[], now: number): void {
    const heard = this.#of.get(of)?.rows ?? []
    const replay = rows.findIndex((row, i) => isReplay(row, [...known, ...heard, ...rows.slice(0, i)]))
    if (replay !== -1) throw replayed(replay, rows.length)
    this.#of.delete(of)
    this.#of.set(of, { rows: [...rows, ...heard].slice(0, MOST_HEARD), at: now })
    if (this.#of.size > MOST_LISTENERS) this.#of.delete(this.#of.keys().next().value as string)
  }

  forget(of: string): void {
    this.#of.delete(of)
  }

  /** Those that came before a time, the oldest of which are first. */
  forgetBefore(time: number): void {
    for (const [of, { at }] of this.#of) {
      if (at >= time) return
      this.#of.delete(of)
    }
  }
}

/** The error of a typing that was sent before, of so many. */
export function replayed(typing: number, of: number): Error {
  return coded('KSR_REPLAYED', [], { at: of === 1 ? '/keystrokes' : `/attempts/${typing}` })
}
