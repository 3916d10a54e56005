import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyInstance {
    /** Whether the service is closing: it finishes what it has and wants no more. */
    isDraining(): boolean
  }
}

const HANG_UP_AFTER_MS = 5000

/** Knows from the first moment of closing that the service is on its way out, and lets connections go. */
export const draining = fp(
  async (app: FastifyInstance) => {
    let closing = false
    app.decorate('isDraining', () => closing)
    app.addHook('preClose', async () => {
      closing = true
      // A connection that never sent a whole request would hold the process up for as long as it likes.
      setTimeout(() => app.server.closeAllConnections(), HANG_UP_AFTER_MS).unref()
    })
    // Without it a connection whose request was in flight stays open, and closing waits for its keep-alive.
    app.addHook('onSend', async (_request, reply) => {
      if (closing) reply.header('connection', 'close')
    })
  },
  { name: 'draining' },
)
