import type { FeatureRow } from '../keystroke/times.js'
import { isReplay } from './replays.js'

/** How many typings of a user are remembered, and of how many users. */
const MOST_HEARD = 8
const MOST_LISTENERS = 10_000

/** The typings that users were last recognised by, in this process: whoever overheard one of them could send it again. */
export class Heard {
  /** Beside them those that are to come again, with another attempt that was asked for. */
  readonly #of = new Map<string, { rows: FeatureRow[]; awaited: FeatureRow[]; at: number }>()

  /**
   * Remembers typings, unless one of them is one of those known, of those heard, or of the others.
   * @param open whether another attempt is asked for, with which these come again
   * @returns which one it is, −1 for none
   */
  hear(
    of: string,
    rows: readonly FeatureRow[],
    known: readonly FeatureRow[],
    now: number,
    open: boolean,
  ): number {
    const { rows: heard, awaited } = this.#of.get(of) ?? { rows: [], awaited: [] }
    const replay = rows.findIndex((row, i) => {
      // Those awaited come again in front of one that is new, and else are replays themselves.
      const others = i < rows.length - 1 ? [] : awaited
      return isReplay(row, [...known, ...heard, ...others, ...rows.slice(0, i)])
    })
    if (replay !== -1) return replay
    const latest = [...rows, ...awaited]
    this.#of.delete(of)
    this.#of.set(of, {
      rows: open ? heard : [...latest, ...heard].slice(0, MOST_HEARD),
      awaited: open ? latest.slice(0, MOST_HEARD) : [],
      at: now,
    })
    if (this.#of.size > MOST_LISTENERS) this.#of.delete(this.#of.keys().next().value as string)
    return -1
  }

  forget(of: string): void {
    this.#of.delete(of)
  }

  /** Forgets all whose name begins so. */
  forgetAll(prefix: string): void {
    for (const of of this.#of.keys()) if (of.startsWith(prefix)) this.#of.delete(of)
  }

  /** Has not heard typings of somebody after all: they are in a request that was refused. */
  withdraw(of: string, rows: readonly FeatureRow[]): void {
    const heard = this.#of.get(of)
    if (heard === undefined) return
    const others = (all: FeatureRow[]) => all.filter((row) => !rows.includes(row))
    this.#of.set(of, { ...heard, rows: others(heard.rows), awaited: others(heard.awaited) })
  }

  /** Those that came before a time, the oldest of which are first. */
  forgetBefore(time: number): void {
    for (const [of, { at }] of this.#of) {
      if (at >= time) return
      this.#of.delete(of)
    }
  }
}
