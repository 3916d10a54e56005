import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { Config } from '../config.js'

/** How long a browser need not ask again whether it may, s. */
const REMEMBER_FOR_S = 600

/** Lets pages of other origins ask, where some are named. */
export const cors = fp(
  async (app: FastifyInstance, { config: { corsOrigins } }: { config: Config }) => {
    if (corsOrigins.length === 0) return
    const { default: fastifyCors } = await import('@fastify/cors')
    await app.register(fastifyCors, {
      origin: corsOrigins,
      methods: ['GET', 'HEAD', 'POST', 'PUT', 'DELETE'],
      allowedHeaders: [
        'authorization',
        'content-type',
        'idempotency-key',
        'if-match',
        'if-none-match',
        'traceparent',
        'x-api-key',
        'x-request-id',
      ],
      exposedHeaders: [
        'etag',
        'idempotency-replayed',
        'location',
        'ratelimit-limit',
        'ratelimit-remaining',
        'ratelimit-reset',
        'retry-after',
        'traceparent',
        'x-request-id',
      ],
      maxAge: REMEMBER_FOR_S,
      strictPreflight: false,
    })
  },
  { name: 'cors' },
)
