export interface AdmissionOptions {
  /** How long a turn of the event loop may take with many requests in it, ms. */
  overloadMs: number
  /** What time it is, ms. */
  clock: () => number
  /** What the process has had of the processors, ms. */
  cpu: () => number
}

/** What is seen of a turn of the event loop when it is over. */
export interface Turn {
  /** Requests that came in it or before and wait still. */
  waiting: number
  /** Whether the next one followed at once: there was something to read already. */
  followed: boolean
}

/** Where so few are in line, to refuse some helps none. */
const FEW = 8
/** As many are answered late rather than refused, unless that is very late. */
const CROWD = 128
const VERY_LATE = 10
/** A process recovers from a long stop, or from many requests at once, by itself. */
const SLOW_TURNS = 5
const SLOW_MS = 100
/** What a turn may cost in which some are refused, ms of CPU: who is admitted waits for one, and is answered in the next. */
const TURN_MS = 2.5
/** What it may cost more, of the time for which the one before stood still, and at most: where others have the processor for a while, many come at once. */
const MADE_UP = 0.25
const MADE_UP_MS = 10
/** For how long nobody has to have been refused. */
const CALM_MS = 1000
/** After this all are admitted for once, to see whether they fit, and after twice as long each time that they don't. */
const TRIAL_MS = 2000
const LONGEST_TRIAL_MS = 32_000
/** What a turn counts for the mean costs, and how many times as much as expected it may seem to have cost. */
const WEIGHT = 0.02
const OUTLIER = 3
/** What a request takes at the least, ms of CPU. */
const LEAST = 0.005
/** What it takes to refuse a request, of what it takes to serve one: before that is known, and at least and most. */
const REFUSAL = 0.15
const REFUSALS = [0.05, 0.5] as const

/**
 * Decides which requests to serve, by the turns of the event loop in which they come.
 *
 * Normally that is all of them. Once there are turns on end that many requests make long, each turn admits what it can
 * answer soon and refuses the rest at once: who is admitted is answered in time, and the process does little that is in
 * vain. It doesn't count open requests: those who send slowly would use such a limit up.
 */
export class Admission {
  readonly #options: AdmissionOptions
  #refusing = false
  #onTrial = false
  /** Refusing: when the next trial is. On trial: when it has gone well. */
  #until = 0
  #trialAfter = TRIAL_MS
  readonly #costs = new Costs()
  #began = 0
  #cpuBegan: number | undefined
  /** For how long the last turn did not work, ms. */
  #stoodStill = 0
  #admitted = 0
  #refused = 0
  #limit = Number.POSITIVE_INFINITY
  #slowTurns = 0
  #slowSince = 0
  /** The fewest that were in line in those turns. */
  #shortest = 0
  #lastRefusal = Number.NEGATIVE_INFINITY

  constructor(options: AdmissionOptions) {
    this.#options = options
  }

  /** Whether there are more requests than can be served: one was refused a moment ago. */
  get overloaded(): boolean {
    return !this.#isCalm(this.#options.clock())
  }

  /**
   * A turn begins, with its first request.
   * @param waiting how many have come in before and wait still
   */
  begin(waiting: number): void {
    const { clock, cpu } = this.#options
    const now = clock()
    if (this.#refusing) this.#tryOthers(now)
    this.#began = now
    // To ask the kernel would be dear where there is but one request.
    this.#cpuBegan = this.#refusing || this.#admitted >= FEW ? cpu() : undefined
    this.#admitted = 0
    this.#refused = 0
    this.#limit = this.#refusing ? this.#affordable(waiting) : Number.POSITIVE_INFINITY
  }

  /** A request has come in this turn. @returns whether it is to be served */
  admit(): boolean {
    if (this.#admitted >= this.#limit) {
      this.#refused++
      return false
    }
    this.#admitted++
    return true
  }

  /** The turn is over. */
  end({ waiting, followed }: Turn): void {
    const { clock, cpu, overloadMs } = this.#options
    const now = clock()
    const took = now - this.#began
    if (this.#cpuBegan !== undefined) this.#learn(took, cpu() - this.#cpuBegan)
    if (this.#refusing) {
      if (this.#refused > 0) this.#lastRefusal = now
      return
    }
    const inLine = this.#admitted + waiting
    const late = took + waiting * this.#costs.served
    const slow = late > overloadMs && inLine > (late > VERY_LATE * overloadMs ? FEW : CROWD)
    if (this.#onTrial) this.#judge(slow, now)
    // Where nothing followed, nobody is in line.
    else if (slow && (followed || waiting > 0)) this.#count(inLine, now)
    else this.#slowTurns = 0
  }

  /** One more turn on end that was slow. */
  #count(inLine: number, now: number): void {
    // A line that becomes shorter is one that is worked off.
    if (this.#slowTurns === 0 || inLine < this.#shortest) {
      this.#slowTurns = 0
      this.#slowSince = this.#began
      this.#shortest = inLine
    }
    this.#slowTurns++
    if (this.#slowTurns >= SLOW_TURNS && now - this.#slowSince >= SLOW_MS) this.#refuse(now)
  }

  /** What fits into a turn, with those who wait. */
  #affordable(waiting: number): number {
    const budget = TURN_MS + Math.min(MADE_UP * this.#stoodStill, MADE_UP_MS)
    return Math.max(waiting > 0 ? 0 : FEW, Math.floor(budget / this.#costs.served) - waiting)
  }

  #learn(took: number, worked: number): void {
    this.#stoodStill = Math.max(0, took - worked)
    if (this.#admitted + this.#refused >= FEW) this.#costs.learn(this.#admitted, this.#refused, worked)
  }

  #refuse(now: number): void {
    this.#refusing = true
    this.#onTrial = false
    this.#slowTurns = 0
    this.#lastRefusal = now
    this.#until = now + this.#trialAfter
    this.#trialAfter = Math.min(2 * this.#trialAfter, LONGEST_TRIAL_MS)
  }

  /** Callers that ask again at once would be refused for ever, though they could all be served. */
  #tryOthers(now: number): void {
    if (this.#isCalm(now)) {
      this.#refusing = false
      this.#trialAfter = TRIAL_MS
    } else if (now >= this.#until) {
      this.#refusing = false
      this.#onTrial = true
      this.#until = now + CALM_MS
    }
  }

  #judge(slow: boolean, now: number): void {
    if (slow) this.#refuse(now)
    else if (now >= this.#until) {
      this.#onTrial = false
      this.#trialAfter = TRIAL_MS
    }
  }

  #isCalm(now: number): boolean {
    return now - this.#lastRefusal >= CALM_MS
  }
}

/**
 * What requests cost, by least squares over the turns, of which the older count less. Not by a fixed share for those
 * that are refused: where that is too little, refusals seem to make serving dear, less is served, and more is refused.
 */
class Costs {
  /** Of a turn, ms of CPU. */
  served = 0.1
  #share = REFUSAL
  // Sums of products.
  #ss = 0
  #sr = 0
  #rr = 0
  #sw = 0
  #rw = 0

  learn(served: number, refused: number, worked: number): void {
    const expected = this.served * (served + this.#share * refused)
    const work = this.#ss === 0 ? worked : Math.min(worked, OUTLIER * expected)
    const keep = 1 - WEIGHT
    this.#ss = keep * this.#ss + served * served
    this.#sr = keep * this.#sr + served * refused
    this.#rr = keep * this.#rr + refused * refused
    this.#sw = keep * this.#sw + served * work
    this.#rw = keep * this.#rw + refused * work
    // Where the two went hand in hand nothing tells them apart.
    const apart = this.#ss * this.#rr - this.#sr * this.#sr
    if (apart > 0.01 * this.#ss * this.#rr) {
      const one = (this.#sw * this.#rr - this.#rw * this.#sr) / apart
      const other = (this.#rw * this.#ss - this.#sw * this.#sr) / apart
      if (one > 0) this.#share = Math.min(REFUSALS[1], Math.max(REFUSALS[0], other / one))
    }
    const share = this.#share
    const requests = this.#ss + 2 * share * this.#sr + share * share * this.#rr
    // A clock that is coarser than a turn may say that it cost nothing.
    this.served = Math.max(LEAST, (this.#sw + share * this.#rw) / requests)
  }
}
