import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import Negotiator from 'negotiator'
import { coded } from '../errors.js'

/** Refuses, in the scope it is registered in, the callers that can't take JSON. */
export const acceptJson = fp(
  async (app: FastifyInstance) => {
    app.addHook('onRequest', ({ headers }, _reply, done) => {
      // Most callers send no Accept or `*/*`: only the others are worth parsing.
      if (!headers.accept || headers.accept === '*/*') return done()
      const type = new Negotiator({ headers }).mediaType(['application/json', 'application/problem+json'])
      done(type === undefined ? coded('KSR_NOT_ACCEPTABLE') : undefined)
    })
  },
  { name: 'accept-json' },
)
