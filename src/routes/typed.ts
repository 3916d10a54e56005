import type { Static } from '@sinclair/typebox'
import type { FastifyInstance } from 'fastify'
import { quality } from '../keystroke/quality.js'
import { type Times, typingsOf } from '../keystroke/times.js'
import type { Quality } from '../schemas/recognition.js'
import type { Attempts, Keystroke, Typing } from '../schemas/sample.js'

/**
 * The typings of a body, their times and what is odd about them.
 * @throws KSR_KEYSTROKE_COUNT, KSR_RELEASE_BEFORE_PRESS, KSR_PRESS_ORDER
 */
export function typedOf(
  app: FastifyInstance,
  body: Typing | Static<typeof Attempts>,
  keys: number,
): { typings: { times: Times; keystrokes: readonly Keystroke[]; at: string }[]; quality: Quality[] } {
  const times = typingsOf(body, keys)
  const sent =
    'attempts' in body
      ? body.attempts.map(({ keystrokes }, i) => ({ keystrokes, at: `/attempts/${i}` }))
      : [{ keystrokes: body.keystrokes, at: '/keystrokes' }]
  const typings = sent.map((typing, i) => ({ ...typing, times: times[i] as Times }))
  return { typings, quality: quality(times, app.models.ranges) }
}
