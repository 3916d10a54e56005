import { channel, tracingChannel } from 'node:diagnostics_channel'
import { type InferenceSession, Tensor } from 'onnxruntime-node'
import type { FeatureRow } from '../keystroke/times.js'

/** Publishes a `BatchMessage` for each batch that was run. */
export const BATCH_CHANNEL = 'keystroke-recognition.batch'
export interface BatchMessage {
  model: string
  rows: number
  /** How long the runtime took. */
  ms: number
}

/** Traces each row, from when it comes to its answer, where its request waits for it. */
export const ROW_CHANNEL = 'keystroke-recognition.row'
export interface RowMessage {
  model: string
  /** How many rows its batch has, once that is run. */
  rows: number
}

/** More would be no cheaper a row, and the event loop stands still meanwhile. */
const MOST_ROWS = 32
/** What a row takes on its way through a model grows with up to the square of its classes: here to some 30 MB. */
const MOST_PAIRS = 2 ** 19

/** How a model does, for whoever asks after it. */
export interface Condition {
  /** Whether the last row that it was asked was not answered, or with nothing that can be an answer. */
  failing: boolean
}

export interface BatchOptions<Answer> {
  /** The model's name, for the channel. */
  model: string
  /** How many users it tells apart. */
  classes: number
  /** How many rows are run together at most, where that is not for the classes to say. */
  most?: () => number
  /** The model's input for the rows, float32 [batch, features]. */
  input: string
  /** What it takes beside the rows. */
  others?: () => Record<string, Tensor>
  /** The outputs wanted, each with the batch as its first dimension. What is left out is not copied. */
  outputs: readonly string[]
  /** What a row is answered, from the outputs of its batch and its place in them; throws where that is no answer. */
  read(outputs: Record<string, Tensor>, place: number): Answer
  /** Where it is noted how the model does. */
  condition: Condition
}

interface Waiting<Answer> {
  row: FeatureRow
  isCheck: boolean
  message: RowMessage | undefined
  resolve(answer: Answer): void
  reject(error: unknown): void
}

const batches = channel(BATCH_CHANNEL)
const traced = tracingChannel<RowMessage>(ROW_CHANNEL)
let waitingNow = 0

/** How many rows of all models wait for a run, or are in one. */
export function rowsWaiting(): number {
  return waitingNow
}

/**
 * Runs the rows of one turn of the event loop together. A run costs as much as several rows do, and all that arrived
 * over the sockets in one turn is there before the runtime starts, so nothing waits for company.
 */
export class Batch<Answer> {
  readonly #session: InferenceSession
  readonly #options: BatchOptions<Answer>
  readonly #most: () => number
  #waiting: Waiting<Answer>[] = []
  #running = false
  #ran = Promise.resolve()

  constructor(session: InferenceSession, options: BatchOptions<Answer>) {
    this.#session = session
    this.#options = options
    const { classes, most = () => Math.floor(MOST_PAIRS / classes ** 2) } = options
    this.#most = () => Math.max(1, Math.min(MOST_ROWS, most()))
  }

  /**
   * @param isCheck whether it is only to find out whether the model answers, which says nothing of how it does
   * @throws where this row alone is not answered, or with nothing that can be an answer
   */
  run(row: FeatureRow, isCheck = false): Promise<Answer> {
    if (!traced.start.hasSubscribers) return this.#wait(row, isCheck)
    const message: RowMessage = { model: this.#options.model, rows: 0 }
    return traced.tracePromise(() => this.#wait(row, isCheck, message), message)
  }

  #wait(row: FeatureRow, isCheck: boolean, message?: RowMessage): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ row, isCheck, message, resolve, reject })
      waitingNow++
      if (!this.#running) this.#ran = this.#runAll()
    })
  }

  /** Resolves when every row that it was given is settled. */
  idle(): Promise<void> {
    return this.#ran
  }

  async #runAll(): Promise<void> {
    this.#running = true
    while (this.#waiting.length > 0) await this.#runSome(this.#most())
    this.#running = false
  }

  async #runSome(most: number): Promise<void> {
    const { model, input, outputs: names, read, condition, others = () => ({}) } = this.#options
    const waiting = this.#waiting
    let rows = Math.min(waiting.length, most)
    let started = 0
    // `run` calls the runtime at the end of the turn, which reads the feed only then: with who has come until then.
    const feeds = {
      ...others(),
      get [input]() {
        rows = Math.min(waiting.length, most)
        if (batches.hasSubscribers) started = performance.now()
        return tensor(waiting.slice(0, rows).map(({ row }) => row))
      },
    }
    let outputs: Record<string, Tensor>
    try {
      outputs = (await this.#session.run(feeds, names)) as Record<string, Tensor>
    } catch (error) {
      return this.#runApart(rows, withoutValues(error as Error))
    }
    const other = names.find((name) => outputs[name]?.dims[0] !== rows)
    // Nobody knows whose answer is missing.
    if (other !== undefined) return this.#runApart(rows, `it does not answer ${other} for each of the rows`)
    const ms = batches.hasSubscribers ? performance.now() - started : 0
    waitingNow -= rows
    for (const [place, one] of waiting.splice(0, rows).entries()) {
      if (one.message) one.message.rows = rows
      try {
        one.resolve(read(outputs, place))
        if (!one.isCheck) condition.failing = false
      } catch (error) {
        this.#refuse(one, (error as Error).message)
      }
    }
    if (batches.hasSubscribers) batches.publish({ model, rows, ms } satisfies BatchMessage)
  }

  /** One of several rows is at fault: each gets its own answer. */
  async #runApart(rows: number, reason: string): Promise<void> {
    if (rows === 1) {
      waitingNow--
      this.#refuse(this.#waiting.shift() as Waiting<Answer>, reason)
    } else for (let left = rows; left > 0; left--) await this.#runSome(1)
  }

  #refuse({ isCheck, reject }: Waiting<Answer>, reason: string): void {
    const { model, condition } = this.#options
    if (!isCheck) condition.failing = true
    reject(new Error(`${model}: ${reason}`))
  }
}

/** The runtime says which operator fails, and then of which value: that may be somebody's timing. */
function withoutValues({ message }: Error): string {
  const [, operator] = /^Non-zero status code returned while running (\w+) node\./.exec(message) ?? []
  return `ONNX Runtime fails${operator === undefined ? '' : ` at ${operator}`}`
}

function tensor(rows: readonly FeatureRow[]): Tensor {
  const width = (rows[0] as FeatureRow).length
  const data = new Float32Array(rows.length * width)
  for (const [place, row] of rows.entries()) data.set(row, place * width)
  return new Tensor('float32', data, [rows.length, width])
}
