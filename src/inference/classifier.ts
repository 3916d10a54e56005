import type { InferenceSession } from 'onnxruntime-node'
import { coded } from '../errors.js'
import type { FeatureRow } from '../keystroke/times.js'
import type { PredictQuery, Recognition, UserId } from '../schemas/recognition.js'
import { Batch, type Condition } from './batch.js'
import { bestFirst, sixDecimals } from './candidates.js'
import type { SummaryEntry } from './manifest.js'
import {
  checkAnswer,
  type ModelOptions,
  type Outputs,
  openSession,
  releasedUnless,
  scoresAt,
} from './session.js'

/** A model of the eight numbers: a summary row in, the user who typed it out. */
export class Classifier {
  readonly features = 'summary'
  readonly #session: InferenceSession
  readonly #labels: Batch<Recognition>
  readonly #scores: Batch<Scored>
  readonly #entry: SummaryEntry
  readonly #classes: readonly UserId[]
  readonly #hideScores: boolean
  readonly #condition: Condition = { failing: false }

  private constructor(session: InferenceSession, entry: SummaryEntry, options: ModelOptions) {
    const { name: model, version, input } = entry
    const { length: classes } = options.classes
    const shape = { model, classes, input: input.name, condition: this.#condition }
    const known = new Set(options.classes)
    this.#session = session
    // Scores are copied out of the runtime only for those who ask for them.
    this.#labels = new Batch(session, {
      ...shape,
      outputs: ['label'],
      read: (outputs, place) => ({ user: label(outputs, place, known), model, version }),
    })
    this.#scores = new Batch(session, {
      ...shape,
      outputs: ['label', 'scores'],
      read: (outputs, place) => ({
        user: label(outputs, place, known),
        scores: scoresAt(outputs, place, classes),
      }),
    })
    this.#entry = entry
    this.#classes = options.classes
    this.#hideScores = options.hideScores
  }

  /**
   * Opens a model from its file's bytes and proves that it is the one the manifest declares.
   * @throws KSR_MODEL_FILE with the file and the reason
   */
  static async open(entry: SummaryEntry, bytes: Uint8Array, options: ModelOptions): Promise<Classifier> {
    const classifier = new Classifier(await openSession(entry, bytes, options), entry, options)
    return releasedUnless(classifier, () => classifier.check())
  }

  /**
   * Has it answer the row that training answered.
   * @throws KSR_MODEL_FILE where it does not answer the same
   */
  check(): Promise<void> {
    return checkAnswer(this.#entry, this.#classes, (row) => this.#scores.run(row, true))
  }

  /** Whether the last request that it was to answer failed for its fault. */
  isFailing(): boolean {
    return this.#condition.failing
  }

  /**
   * Who typed it.
   * @param row the summary row of one typing
   * @param query how many candidates to answer beside the user: none where it is left out
   * @throws KSR_NO_OPERATING_POINT where one is asked for
   */
  classify(row: FeatureRow, { top = 0, fpir }: PredictQuery = {}): Promise<Recognition> {
    if (fpir !== undefined) {
      const none = [this.#entry.name, 'fpir', 'none: it always names somebody']
      throw coded('KSR_NO_OPERATING_POINT', none, { at: '/querystring/fpir' })
    }
    return top === 0 ? this.#labels.run(row) : this.#withCandidates(row, top)
  }

  /** Frees the native session, once all that it was asked is answered. */
  async release(): Promise<void> {
    await Promise.all([this.#labels.idle(), this.#scores.idle()])
    await this.#session.release()
  }

  async #withCandidates(row: FeatureRow, top: number): Promise<Recognition> {
    const { name: model, version } = this.#entry
    const { user, scores } = await this.#scores.run(row)
    const candidates = bestFirst(scores, this.#classes.indexOf(user), top).map((index) => {
      const user = this.#classes[index] as UserId
      return this.#hideScores ? { user } : { user, score: sixDecimals(scores[index] as number) }
    })
    return { user, model, version, candidates }
  }
}

interface Scored {
  user: UserId
  scores: Float32Array
}

function label(outputs: Outputs, place: number, known: ReadonlySet<UserId>): UserId {
  const found = outputs.label?.data[place] as bigint | string
  const user = typeof found === 'bigint' ? Number(found) : found
  if (!known.has(user)) throw new Error('its label is none of its classes')
  return user
}
