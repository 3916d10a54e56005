import { coded } from '../errors.js'

/** NIST SP 800-63B, section 3.2.3 (revision 3: 5.2.3): after five biometric comparisons that fail in a row. */
export const PAUSE_MS = 30_000
/** More users than are claimed at once; the ones forgotten are those whose last failure is longest ago. */
const MOST_USERS = 100_000

interface Failures {
  /** False claims since the last true one, and claims that are not decided yet. */
  count: number
  /** When the last false one was decided, ms. */
  last: number
}

export interface ClaimOptions {
  /** How many false claims in a row there may be; 0 for any number. */
  most: number
  /** The time in ms, from any origin. */
  now?: () => number
}

/**
 * Counts the false claims to be a user, and hears no more of them for a while after too many in a row. Who tries again
 * and again to be taken for somebody would get there: each claim has the chance of the false match rate.
 */
export class Claims {
  readonly #most: number
  readonly #now: () => number
  readonly #failures = new Map<string, Failures>()

  constructor({ most, now = () => performance.now() }: ClaimOptions) {
    this.#most = most
    this.#now = now
  }

  /**
   * Decides a claim, where one may be made.
   * @param claimed who is claimed, and by whom
   * @param decide says whether the claim is true; where it fails, none was made
   * @throws KSR_CLAIMS_PAUSED
   */
  async decide<Answer extends { match: boolean }>(
    claimed: readonly (string | number)[],
    decide: () => Promise<Answer>,
  ): Promise<Answer> {
    if (this.#most === 0) return decide()
    const key = JSON.stringify(claimed)
    const failures = this.#failures.get(key) ?? { count: 0, last: 0 }
    const pause = failures.last + PAUSE_MS - this.#now()
    if (failures.count >= this.#most && pause > 0) {
      throw coded('KSR_CLAIMS_PAUSED', [this.#most], { retryAfter: Math.ceil(pause / 1000) })
    }
    const { last } = failures
    // Before the decision: of many claims at the same time only so many are heard, too.
    failures.count++
    failures.last = this.#now()
    this.#remember(key, failures)
    try {
      const answer = await decide()
      if (answer.match) this.#failures.delete(key)
      return answer
    } catch (error) {
      failures.count--
      failures.last = last
      if (failures.count === 0) this.#failures.delete(key)
      throw error
    }
  }

  #remember(key: string, failures: Failures): void {
    // The last one in the map is the latest.
    this.#failures.delete(key)
    this.#failures.set(key, failures)
    if (this.#failures.size > MOST_USERS) this.#failures.delete(this.#failures.keys().next().value as string)
  }
}
