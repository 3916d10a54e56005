import { channel } from 'node:diagnostics_channel'
import { type InferenceSession, Tensor } from 'onnxruntime-node'
import type { FeatureRow } from '../keystroke/times.js'

/** Publishes a `BatchMessage` for each batch that was run. */
export const BATCH_CHANNEL = 'keystroke-recognition.batch'
export interface BatchMessage {
  model: string
  rows: number
}

/** More would be no cheaper a row, and the event loop stands still meanwhile. */
const MOST_ROWS = 32
/** What a row takes on its way through a model grows with up to the square of its classes: here to some 30 MB. */
const MOST_PAIRS = 2 ** 19

export interface BatchOptions<Answer> {
  /** The model's name, for the channel. */
  model: string
  /** How many users it tells apart. */
  classes: number
  /** The model's only input, float32 [batch, features]. */
  input: string
  /** The outputs wanted, each with the batch as its first dimension. What is left out is not copied. */
  outputs: readonly string[]
  /** What a row is answered, from the outputs of its batch and its place in them. */
  read(outputs: Record<string, Tensor>, place: number): Answer
}

interface Waiting<Answer> {
  row: FeatureRow
  resolve(answer: Answer): void
  reject(error: unknown): void
}

const batches = channel(BATCH_CHANNEL)

/**
 * Runs the rows of one turn of the event loop together. A run costs as much as several rows do, and all that arrived
 * over the sockets in one turn is there before the runtime starts, so nothing waits for company.
 */
export class Batch<Answer> {
  readonly #session: InferenceSession
  readonly #options: BatchOptions<Answer>
  readonly #most: number
  #waiting: Waiting<Answer>[] = []
  #running = false

  constructor(session: InferenceSession, options: BatchOptions<Answer>) {
    this.#session = session
    this.#options = options
    this.#most = Math.max(1, Math.min(MOST_ROWS, Math.floor(MOST_PAIRS / options.classes ** 2)))
  }

  /** @throws what the runtime throws for this row alone */
  run(row: FeatureRow): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ row, resolve, reject })
      if (!this.#running) this.#runAll()
    })
  }

  async #runAll(): Promise<void> {
    this.#running = true
    while (this.#waiting.length > 0) await this.#runSome(this.#most)
    this.#running = false
  }

  async #runSome(most: number): Promise<void> {
    const { model, input, outputs: names, read } = this.#options
    const waiting = this.#waiting
    let rows = Math.min(waiting.length, most)
    // `run` calls the runtime at the end of the turn, which reads the feed only then: with who has come until then.
    const feeds = {
      get [input]() {
        rows = Math.min(waiting.length, most)
        return tensor(waiting.slice(0, rows).map(({ row }) => row))
      },
    }
    try {
      const outputs = await this.#session.run(feeds, names)
      for (const [place, { resolve }] of waiting.splice(0, rows).entries()) resolve(read(outputs, place))
      if (batches.hasSubscribers) batches.publish({ model, rows } satisfies BatchMessage)
    } catch (error) {
      if (rows === 1) waiting.shift()?.reject(error)
      // One of them is at fault: each gets its own answer.
      else for (let left = rows; left > 0; left--) await this.#runSome(1)
    }
  }
}

function tensor(rows: readonly FeatureRow[]): Tensor {
  const width = (rows[0] as FeatureRow).length
  const data = new Float32Array(rows.length * width)
  for (const [place, row] of rows.entries()) data.set(row, place * width)
  return new Tensor('float32', data, [rows.length, width])
}
