import { channel } from 'node:diagnostics_channel'
import { type InferenceSession, Tensor } from 'onnxruntime-node'
import type { FeatureRow } from '../keystroke/features.js'

/** Publishes a `BatchMessage` for each batch that was run. */
export const BATCH_CHANNEL = 'keystroke-recognition.batch'
export interface BatchMessage {
  model: string
  rows: number
}

/** More would be no cheaper a row, and the event loop stands still meanwhile. */
const MOST_ROWS = 32

export interface BatchOptions {
  /** The model's name, for the channel. */
  model: string
  /** The model's only input, float32 [batch, features]. */
  input: string
  /** The outputs wanted, each with the batch as its first dimension. What is left out is not copied. */
  outputs: readonly string[]
}

/** What the model answered to one row: the outputs of its batch, and the row's place in them. */
export interface Answer {
  outputs: Record<string, Tensor>
  place: number
}

interface Waiting {
  row: FeatureRow
  resolve(answer: Answer): void
  reject(error: unknown): void
}

const batches = channel(BATCH_CHANNEL)

/**
 * Runs the rows of one turn of the event loop together. A run costs as much as several rows do, and all that arrived
 * over the sockets in one turn is there before the runtime starts, so nothing waits for company.
 */
export class Batch {
  readonly #session: InferenceSession
  readonly #options: BatchOptions
  #waiting: Waiting[] = []
  #running = false

  constructor(session: InferenceSession, options: BatchOptions) {
    this.#session = session
    this.#options = options
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
    while (this.#waiting.length > 0) await this.#runSome(MOST_ROWS)
    this.#running = false
  }

  async #runSome(most: number): Promise<void> {
    const { model, input, outputs: names } = this.#options
    const waiting = this.#waiting
    let rows = Math.min(waiting.length, most)
    // `run` calls the runtime at the end of the turn, which reads the feed only then: with who has come until then.
    const feeds = {
      get [input]() {
        rows = Math.min(waiting.length, most)
        return tensor(waiting, rows)
      },
    }
    try {
      const outputs = await this.#session.run(feeds, names)
      for (const [place, { resolve }] of waiting.splice(0, rows).entries()) resolve({ outputs, place })
      if (batches.hasSubscribers) batches.publish({ model, rows } satisfies BatchMessage)
    } catch (error) {
      if (rows === 1) waiting.shift()?.reject(error)
      // One of them is at fault: each gets its own answer.
      else for (let left = rows; left > 0; left--) await this.#runSome(1)
    }
  }
}

function tensor(waiting: readonly Waiting[], rows: number): Tensor {
  const width = (waiting[0] as Waiting).row.length
  const data = new Float32Array(rows * width)
  for (let place = 0; place < rows; place++) data.set((waiting[place] as Waiting).row, place * width)
  return new Tensor('float32', data, [rows, width])
}
