import type { FastifyInstance } from 'fastify'
import { CodedError } from '../errors.js'
import { summaryRow, timingsRow } from '../keystroke/features.js'
import { quality } from '../keystroke/quality.js'
import { typingsOf } from '../keystroke/times.js'
import type { PredictQuery, Recognition } from '../schemas/recognition.js'
import type { Sample } from '../schemas/sample.js'

/** How many samples of one request are asked of a model at once. It has no larger batches, and others get in between. */
export const AT_ONCE = 32

/**
 * Asks a model who typed a sample. Not async: for a summary the promise is the batch's own.
 * @throws KSR_MODEL_NOT_FOUND, and what is wrong with the timings or can't be asked of this model
 */
export function identify(
  app: FastifyInstance,
  name: string,
  sample: Sample,
  query: PredictQuery,
): Promise<Recognition> {
  const { keys, ranges } = app.models
  const model = app.models.get(name)
  if (model.features !== 'timings') return model.classify(summaryRow(sample, keys), query)
  const typings = typingsOf(sample, keys)
  const answer = model.identify(typings.map(timingsRow), query)
  return answer.then((answer) => ({ ...answer, quality: quality(typings, ranges) }))
}

/**
 * Asks a model who typed each of the samples: all are answered, or none.
 * @param place where in the request a fault is, from the number of its sample and the JSON Pointer within that
 * @throws as `identify`, for the first sample that is at fault
 */
export async function identifyAll(
  app: FastifyInstance,
  name: string,
  samples: readonly Sample[],
  query: PredictQuery,
  place: (sample: number, pointer: string) => string,
): Promise<Recognition[]> {
  // That there is no such model is no fault of a sample.
  app.models.get(name)
  // By name each time: the models may be others by now, and those before are gone once they have nothing to answer.
  return answerAll(samples, async (sample) => identify(app, name, sample, query), place)
}

/**
 * Answers many samples, AT_ONCE of them at a time: all, or none.
 * @param place where in the request a fault is, from the number of its sample and the JSON Pointer within that
 * @throws as `answer`, for the first sample that is at fault
 */
export async function answerAll<S, A>(
  samples: readonly S[],
  answer: (sample: S) => Promise<A>,
  place: (sample: number, pointer: string) => string,
): Promise<A[]> {
  const answers: A[] = []
  for (let first = 0; first < samples.length; first += AT_ONCE) {
    const asked = samples.slice(first, first + AT_ONCE).map(answer)
    for (const [i, answer] of (await Promise.allSettled(asked)).entries()) {
      if (answer.status === 'rejected') {
        throw placed(answer.reason, (pointer) => place(first + i, pointer))
      }
      answers.push(answer.value)
    }
  }
  return answers
}

/** The error, where it is about a sample, with its place in the request. */
function placed(error: unknown, place: (pointer: string) => string): unknown {
  if (!(error instanceof CodedError)) return error
  const { code, statusCode, message, errors = [{ pointer: '', message }] } = error
  // The query is the same for all.
  const moved = errors.map(({ pointer, message }) => ({
    pointer: pointer.startsWith('/querystring/') ? pointer : place(pointer),
    message,
  }))
  return new CodedError(code, statusCode, message, { errors: moved })
}
