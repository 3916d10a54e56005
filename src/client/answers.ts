import { writeCsv } from './csv.js'
import type { Prediction } from './predictions.js'

/** What is written of each prediction, and said of all. */
export interface Answers {
  /** Whether the file says who typed. */
  hasUsers: boolean
  /** How many candidates were asked for. */
  top: number
}

/** The answers as CSV, a row for each of the file. */
export async function* csvAnswers(
  predictions: AsyncIterable<Prediction>,
  { hasUsers, top }: Answers,
): AsyncGenerator<string> {
  const places = Array.from({ length: top }, (_, i) => i)
  yield writeCsv([
    'row',
    ...(hasUsers ? ['expected'] : []),
    ...['user', 'decision', 'confidence', 'quality', 'model', 'version'],
    ...places.flatMap((i) => [`candidate-${i + 1}`, `score-${i + 1}`]),
  ])
  for await (const { number, user: expected, answer } of predictions) {
    const { user, decision, confidence, quality, model, version, candidates } = answer
    yield writeCsv([
      number,
      ...(hasUsers ? [expected] : []),
      ...[user, decision, confidence, quality?.join(' '), model, version],
      ...places.flatMap((i) => [candidates?.[i]?.user, candidates?.[i]?.score]),
    ])
  }
}

/** The answers as they come from the service, a line of JSON for each row of the file. */
export async function* jsonAnswers(predictions: AsyncIterable<Prediction>): AsyncGenerator<string> {
  for await (const { number, user, answer } of predictions)
    yield `${JSON.stringify({ row: number, expected: user, ...answer })}\n`
}

/** Counts what passes, and says it. */
export class Tally {
  #typings = 0
  #right = 0
  #unknown = 0
  #by = ''
  readonly #counted: (typings: number) => void

  /** @param counted called with the number of predictions so far, after each */
  constructor(counted: (typings: number) => void) {
    this.#counted = counted
  }

  async *count(predictions: AsyncIterable<Prediction>): AsyncGenerator<Prediction> {
    for await (const prediction of predictions) {
      const { user, answer } = prediction
      this.#typings++
      this.#by = `${answer.model} ${answer.version}`
      if (user === String(answer.user)) this.#right++
      if (answer.decision === 'unknown') this.#unknown++
      this.#counted(this.#typings)
      yield prediction
    }
  }

  /** @param hasUsers whether the file says who typed */
  told(hasUsers: boolean): string {
    const share = ((100 * this.#right) / this.#typings).toFixed(1)
    const right = hasUsers ? `, ${this.#right} right (${share} %)` : ''
    const unknown = this.#unknown > 0 ? `, ${this.#unknown} unknown` : ''
    return `${this.#typings} typings${right}${unknown}, by ${this.#by}`
  }
}
