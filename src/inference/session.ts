import { InferenceSession, type Tensor } from 'onnxruntime-node'
import { coded } from '../errors.js'
import type { FeatureRow } from '../keystroke/times.js'
import type { Tensor as TensorCard } from '../schemas/model.js'
import type { UserId } from '../schemas/recognition.js'
import { areNumbers } from './decision.js'
import type { FileEntry, ManifestEntry } from './manifest.js'
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
  // What it writes of a row that fails holds values of it. All that it writes as an error it throws, too.
  logSeverityLevel: 4,
}

export interface ModelOptions {
  /** The user ids, in the order of the model's scores. */
  classes: readonly UserId[]
  /** How many numbers its feature rows have. */
  width: number
  /** Whether candidates are answered without their scores. */
  hideScores: boolean
}

/**
 * Opens a model's file from its bytes, and compares what it takes and gives with what the manifest declares.
 * @throws KSR_MODEL_FILE with the file and the reason
 */
export async function openSession(
  entry: FileEntry,
  bytes: Uint8Array,
  { classes, width }: ModelOptions,
): Promise<InferenceSession> {
  const refuse = (reason: string) => coded('KSR_MODEL_FILE', [entry.file, reason])
  const session = await createSession(entry.file, bytes)
  return releasedUnless(session, async () => {
    if (entry.input.shape.join() !== `-1,${width}`) {
      throw refuse(`the manifest gives it ${entry.input.shape} numbers, this service computes ${width}`)
    }
    if (entry.outputs.map(({ name }) => name).join() !== 'label,scores') {
      throw refuse('its outputs are not label and scores')
    }
    checkTensors('input', session.inputMetadata, [entry.input], refuse)
    checkTensors('output', session.outputMetadata, entry.outputs, refuse)
    const scored = entry.outputs[1]?.shape[1]
    if (scored !== classes.length) {
      throw refuse(`it scores ${scored} classes, the manifest lists ${classes.length}`)
    }
  })
}

/**
 * Opens a graph of operators that every runtime has, from its bytes alone.
 * @throws KSR_MODEL_FILE with the file and the reason
 */
export async function createSession(file: string, bytes: Uint8Array): Promise<InferenceSession> {
  const refuse = (reason: string, cause?: unknown) => coded('KSR_MODEL_FILE', [file, reason], { cause })
  const foreign = reasonToRefuse(bytes)
  if (foreign !== undefined) throw refuse(foreign)
  return InferenceSession.create(bytes, SESSION_OPTIONS).catch((cause: Error) => {
    throw refuse(`ONNX Runtime can not open it: ${cause.message}`, cause)
  })
}

/** What was opened, where it passes a test; where it does not, it is freed, for nobody will come back to it. */
export async function releasedUnless<Opened extends { release(): Promise<void> }>(
  opened: Opened,
  test: () => Promise<void>,
): Promise<Opened> {
  try {
    await test()
    return opened
  } catch (error) {
    await opened.release()
    throw error
  }
}

/**
 * Has a model answer the row that training answered.
 * @param answer the user whom the model names, and its scores in the classes' order
 * @throws KSR_MODEL_FILE where it does not answer the same
 */
export async function checkAnswer(
  entry: ManifestEntry,
  classes: readonly UserId[],
  answer: (row: FeatureRow) => Promise<{ user: UserId; scores: ArrayLike<number> }>,
): Promise<void> {
  const name = 'file' in entry ? entry.file : entry.name
  const refuse = (reason: string, cause?: unknown) => coded('KSR_MODEL_FILE', [name, reason], { cause })
  const { row, user: wanted, score } = entry.check
  const { user, scores } = await answer(Float32Array.from(row)).catch((cause: Error) => {
    throw refuse(`it does not answer the check row of the manifest: ${cause.message}`, cause)
  })
  const difference = Math.abs((scores[classes.indexOf(wanted)] ?? Number.NaN) - score)
  // Votes grow with the users, and a float32's steps with the votes.
  if (user !== wanted || !(difference <= SCORE_TOLERANCE * Math.max(1, Math.abs(score)))) {
    throw refuse('it does not answer the check row of the manifest as it did in training')
  }
}

export type Outputs = Record<string, Tensor>

/**
 * The scores of one row of a batch, one for each class.
 * @throws where there are not as many, or some are not finite
 */
export function scoresAt({ scores }: Outputs, place: number, classes: number): Float32Array {
  const { data, dims } = scores as Tensor
  if (dims[1] !== classes) throw new Error(`it has ${dims[1]} scores for ${classes} classes`)
  const own = (data as Float32Array).subarray(place * classes, (place + 1) * classes)
  if (!areNumbers(own)) throw new Error('its scores are not all numbers')
  return own
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
