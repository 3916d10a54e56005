import { InferenceSession, type Tensor } from 'onnxruntime-node'
import { coded } from '../errors.js'
import { FEATURE_ORDER, type FeatureRow } from '../keystroke/features.js'
import type { Tensor as TensorCard } from '../schemas/model.js'
import type { Candidate, Recognition, UserId } from '../schemas/recognition.js'
import { Batch } from './batch.js'
import { bestFirst } from './candidates.js'
import type { ManifestEntry } from './manifest.js'
import { reasonToRefuse } from './onnx-file.js'

/** How far a score may be from the one that training had for the same row. */
const SCORE_TOLERANCE = 1e-4

// ONNX Runtime reports to its makers unless told not to before it starts: a device id and a database in the user's
// home, and uploads. Nothing about anybody's typing leaves this process.
process.env.ORT_DISABLE_TELEMETRY = '1'

const SESSION_OPTIONS: InferenceSession.SessionOptions = {
  // A row is microseconds of work: handing parts of it to other threads costs more than it saves.
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  executionMode: 'sequential',
  graphOptimizationLevel: 'all',
  logSeverityLevel: 3,
}

export interface ClassifierOptions {
  /** The user ids, in the order of the model's scores. */
  classes: readonly UserId[]
  /** Whether candidates are answered without their scores. */
  hideScores: boolean
}

/** One loaded model: a feature row in, the user who typed it out. */
export class Classifier {
  readonly #session: InferenceSession
  readonly #labels: Batch<Recognition>
  readonly #scores: Batch<Scored>
  readonly #entry: ManifestEntry
  readonly #classes: readonly UserId[]
  readonly #hideScores: boolean

  private constructor(session: InferenceSession, entry: ManifestEntry, options: ClassifierOptions) {
    const { name: model, version, input } = entry
    const shape = { model, classes: options.classes.length, input: input.name }
    this.#session = session
    // Scores are copied out of the runtime only for those who ask for them.
    this.#labels = new Batch(session, {
      ...shape,
      outputs: ['label'],
      read: (outputs, place) => ({ user: label(outputs, place), model, version }),
    })
    this.#scores = new Batch(session, {
      ...shape,
      outputs: ['label', 'scores'],
      read: (outputs, place) => ({ user: label(outputs, place), scores: scores(outputs, place) }),
    })
    this.#entry = entry
    this.#classes = options.classes
    this.#hideScores = options.hideScores
  }

  /**
   * Opens a model from its file's bytes and proves that it is the one the manifest declares.
   * @throws KSR_MODEL_FILE with the file and the reason
   */
  static async open(
    entry: ManifestEntry,
    bytes: Uint8Array,
    options: ClassifierOptions,
  ): Promise<Classifier> {
    const refuse = (reason: string, cause?: unknown) =>
      coded('KSR_MODEL_FILE', [entry.file, reason], { cause })
    const foreign = reasonToRefuse(bytes)
    if (foreign !== undefined) throw refuse(foreign)
    const session = await InferenceSession.create(bytes, SESSION_OPTIONS).catch((cause: Error) => {
      throw refuse(`ONNX Runtime can not open it: ${cause.message}`, cause)
    })
    if (entry.input.shape.join() !== `-1,${FEATURE_ORDER.length}`) {
      throw refuse(
        `the manifest gives it ${entry.input.shape} numbers, this service computes ${FEATURE_ORDER.length}`,
      )
    }
    if (entry.outputs.map(({ name }) => name).join() !== 'label,scores') {
      throw refuse('its outputs are not label and scores')
    }
    checkTensors('input', session.inputMetadata, [entry.input], refuse)
    checkTensors('output', session.outputMetadata, entry.outputs, refuse)
    const width = entry.outputs[1]?.shape[1]
    if (width !== options.classes.length) {
      throw refuse(`it scores ${width} classes, the manifest lists ${options.classes.length}`)
    }
    const classifier = new Classifier(session, entry, options)
    const same = await classifier.#answersAsTrained().catch((cause: Error) => {
      throw refuse(`it does not answer the check row of the manifest: ${cause.message}`, cause)
    })
    if (!same) {
      throw refuse('it does not answer the check row of the manifest as it did in training')
    }
    return classifier
  }

  /**
   * Who typed it.
   * @param row the features of one typing, in FEATURE_ORDER
   * @param top how many candidates to answer beside the user; 0 for none
   */
  classify(row: FeatureRow, top = 0): Promise<Recognition> {
    return top === 0 ? this.#labels.run(row) : this.#withCandidates(row, top)
  }

  /** Frees the native session. */
  async release(): Promise<void> {
    await this.#session.release()
  }

  async #withCandidates(row: FeatureRow, top: number): Promise<Recognition> {
    const { name: model, version } = this.#entry
    const { user, scores } = await this.#scores.run(row)
    const best = bestFirst(scores, this.#classes.indexOf(user), top)
    return { user, model, version, candidates: best.map((index) => this.#candidate(index, scores)) }
  }

  #candidate(index: number, scores: Float32Array): Candidate {
    const user = this.#classes[index] as UserId
    return this.#hideScores ? { user } : { user, score: sixDecimals(scores[index] as number) }
  }

  async #answersAsTrained(): Promise<boolean> {
    const { row, user: wanted, score } = this.#entry.check
    const { user, scores } = await this.#scores.run(Float32Array.from(row))
    const difference = Math.abs((scores[this.#classes.indexOf(wanted)] ?? Number.NaN) - score)
    // Votes grow with the users, and a float32's steps with the votes.
    return user === wanted && difference <= SCORE_TOLERANCE * Math.max(1, Math.abs(score))
  }
}

interface Scored {
  user: UserId
  /** One for each class, in the classes' order. */
  scores: Float32Array
}

type Outputs = Record<string, Tensor>

function label(outputs: Outputs, place: number): UserId {
  const user = outputs.label?.data[place] as bigint | string
  return typeof user === 'bigint' ? Number(user) : user
}

function scores(outputs: Outputs, place: number): Float32Array {
  const { data, dims } = outputs.scores as Tensor
  const width = dims[1] as number
  return (data as Float32Array).subarray(place * width, (place + 1) * width)
}

/** A float32 has no more than about seven digits that mean anything: 0.42, not 0.41999998688697815. */
function sixDecimals(score: number): number {
  return Math.round(score * 1e6) / 1e6
}

function checkTensors(
  side: string,
  actual: readonly InferenceSession.ValueMetadata[],
  declared: readonly TensorCard[],
  refuse: (reason: string) => Error,
): void {
  const found = actual.map(describe).join(', ')
  const wanted = declared.map(({ name, type, shape }) => `${name}: ${type}[${shape}]`).join(', ')
  if (found !== wanted) throw refuse(`its ${side} is ${found}, the manifest says ${wanted}`)
}

function describe(value: InferenceSession.ValueMetadata): string {
  if (!value.isTensor) return `${value.name}: not a tensor`
  // A dimension with a name, such as "batch", can have any size: the manifest's −1.
  const shape = value.shape.map((size) => (typeof size === 'number' ? size : -1))
  return `${value.name}: ${value.type}[${shape}]`
}
