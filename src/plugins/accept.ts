import accepts from '@fastify/accepts'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { coded } from '../errors.js'

/** Refuses, in the scope it is registered in, the callers that can't take JSON. */
export const acceptJson = fp(
  async (app: FastifyInstance) => {
    await app.register(accepts)
    app.addHook('onRequest', async (request) => {
      // Most callers send no Accept or `*/*`: only the others are worth parsing.
      const { accept } = request.headers
      if (accept === undefined || accept === '*/*') return
      if (request.type(['json', 'application/problem+json']) === false) throw coded('KSR_NOT_ACCEPTABLE')
    })
  },
  { name: 'accept-json' },
)
