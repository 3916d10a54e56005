import { setTimeout } from 'node:timers/promises'
import type { Client, Problem, Recognition } from './index.js'
import type { PlacedTyping } from './typings.js'

/** A typing of a file, and who typed it. */
export interface Prediction extends PlacedTyping {
  answer: Recognition
}

export interface Question {
  client: Client
  model: string
  query: { top?: number; fpir?: number }
  /** The most typings in a request. */
  batch: number
  /** How many seconds to wait in all for a request that the service has no time for. */
  patience: number
  signal: AbortSignal
  /** The column that a place in a sample was read from, told by a JSON Pointer; undefined for what has none. */
  column(pointer: string): string | undefined
}

/** The service can't be asked, or answers something else than who typed it. */
export class Refusal extends Error {}

/**
 * Who typed each, in order. They are asked for in batches, one after the other; where a batch is too large for the
 * service, it and the later ones are halved.
 * @throws Refusal naming row and column
 */
export async function* predictions(
  typings: AsyncIterable<PlacedTyping>,
  question: Question,
): AsyncGenerator<Prediction> {
  let size = question.batch
  let batch: PlacedTyping[] = []
  for await (const typing of typings) {
    batch.push(typing)
    if (batch.length < size) continue
    yield* ask(batch)
    batch = []
  }
  if (batch.length > 0) yield* ask(batch)

  async function* ask(batch: readonly PlacedTyping[]): AsyncGenerator<Prediction> {
    const { data, error, response } = await send(batch, question)
    if (response.status === 413 && batch.length > 1) {
      const half = Math.ceil(batch.length / 2)
      size = half
      yield* ask(batch.slice(0, half))
      yield* ask(batch.slice(half))
      return
    }
    const answers = data?.predictions
    if (answers?.length !== batch.length) throw refusal(error, response, batch, question.column)
    for (const [i, typing] of batch.entries()) yield { ...typing, answer: answers[i] as Recognition }
  }
}

/** Asks, and asks again where the service says that it has no time now. */
async function send(batch: readonly PlacedTyping[], { client, model, query, patience, signal }: Question) {
  const body = { samples: batch.map(({ sample }) => sample) }
  const params = { path: { model }, query }
  const ask = () => client.POST('/predict/{model}/batch', { params, body, signal })
  let answer = await ask()
  let left = patience
  let tries = 0
  for (let wait = seconds(answer.response, tries); wait <= left; wait = seconds(answer.response, tries)) {
    await setTimeout(1000 * wait, undefined, { signal })
    left -= wait
    tries++
    answer = await ask()
  }
  return answer
}

/** After how many seconds the same request may do better. */
function seconds({ status, headers }: Response, tries: number): number {
  if (status !== 429 && status !== 503) return Number.POSITIVE_INFINITY
  // Gateways may name no time, or a date.
  return Math.max(1, Number(headers.get('retry-after')) || 2 ** tries)
}

/** What the service has against a batch, in the words of the file. */
function refusal(
  error: Partial<Problem> | undefined,
  { status, statusText }: Response,
  batch: readonly PlacedTyping[],
  column: Question['column'],
): Refusal {
  // What stands before the service answers in forms of its own.
  const detail = error?.detail ?? `The answer, ${status} ${statusText}, is none that is documented.`
  const [fault] = error?.errors ?? []
  const [, index, pointer] = /^\/samples\/(\d+)(.*)$/.exec(fault?.pointer ?? '') ?? []
  const typing = batch[Number(index)]
  if (fault === undefined) return new Refusal(detail)
  if (typing === undefined) return new Refusal(`${fault.pointer} ${fault.message}. ${detail}`)
  const name = column(pointer as string)
  return new Refusal(`${typing.place}${name ? `, column ${name}` : ''}: ${fault.message}. ${detail}`)
}
