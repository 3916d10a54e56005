import { coded } from '../errors.js'

interface Point {
  attempts: number
  threshold: number
}

/**
 * The thresholds that a model publishes for one kind of decision, each for a number of attempts and a rate of false
 * acceptances.
 */
export class OperatingPoints<Rate extends string, P extends Point & Record<Rate, number>> {
  readonly #model: string
  readonly #rate: Rate
  /** By the number of attempts. */
  readonly #points = new Map<number, P[]>()

  constructor(model: string, rate: Rate, points: readonly P[]) {
    this.#model = model
    this.#rate = rate
    for (const point of points) {
      const others = this.#points.get(point.attempts) ?? []
      this.#points.set(point.attempts, [...others, point])
    }
  }

  /**
   * The point for these attempts.
   * @throws KSR_TOO_MANY_ATTEMPTS, KSR_NO_OPERATING_POINT
   */
  at(attempts: number, rate: number): P {
    const points = this.#points.get(attempts)
    if (points === undefined) {
      const details = { at: `/attempts/${this.#points.size}` }
      throw coded('KSR_TOO_MANY_ATTEMPTS', [this.#model, this.#points.size, attempts], details)
    }
    const point = points.find((one) => one[this.#rate] === rate)
    if (point === undefined) {
      const published = points.map((one) => one[this.#rate]).join(', ')
      const details = { at: `/querystring/${this.#rate}` }
      throw coded('KSR_NO_OPERATING_POINT', [this.#model, this.#rate, published], details)
    }
    return point
  }

  /** Whether the model takes one attempt more. */
  takesMoreThan(attempts: number): boolean {
    return attempts < this.#points.size
  }

  /** Whether the strictest threshold and the loosest one for these attempts decide differently. */
  disagree(attempts: number, statistic: number): boolean {
    const thresholds = (this.#points.get(attempts) as P[]).map(({ threshold }) => threshold)
    return statistic >= Math.min(...thresholds) && statistic < Math.max(...thresholds)
  }
}
