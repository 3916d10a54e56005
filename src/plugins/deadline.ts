import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { coded } from '../errors.js'
import type { RequestLog } from './request-log.js'

/** More than a request may take to arrive. */
export const ANSWER_WITHIN_MS = 15_000
const LOOK_EVERY_MS = 1000

export interface DeadlineOptions {
  requests: RequestLog
  answerWithinMs?: number
  lookEveryMs?: number
}

/**
 * Answers what nobody has answered in time: an issuer or a disk may be silent. By looking at all of them now and then:
 * Fastify's own `handlerTimeout` has a timer and an AbortController for each, for 50 µs of which a prediction takes as many.
 */
export const deadline = fp(
  async (
    app: FastifyInstance,
    { requests, answerWithinMs = ANSWER_WITHIN_MS, lookEveryMs = LOOK_EVERY_MS }: DeadlineOptions,
  ) => {
    const timer = setInterval(() => {
      for (const reply of requests.open()) {
        if (reply.elapsedTime < answerWithinMs) continue
        if (reply.sent) continue
        reply.send(coded('KSR_TIMEOUT', [], { retryAfter: 1 }))
        // Else Fastify would log what comes too late with the URL, and its query.
        reply.hijack()
      }
    }, lookEveryMs).unref()
    app.addHook('onClose', async () => clearInterval(timer))
  },
  { name: 'deadline' },
)
