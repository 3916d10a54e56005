import { setTimeout as wait } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyInstance {
    /** Whether the service is closing: it finishes what it has and wants no more. */
    isDraining(): boolean
  }
}

const ANNOUNCE_FOR_MS = 1000
const HANG_UP_AFTER_MS = 5000

/** Knows from the first moment of closing that the service is on its way out, and lets connections go. */
export const draining = fp(
  async (app: FastifyInstance) => {
    let closing = false
    app.decorate('isDraining', () => closing)
    app.addHook('preClose', async () => {
      closing = true
      if (!app.server.listening) return
      // A connection that never sent a whole request would hold the process up for as long as it likes.
      setTimeout(() => app.server.closeAllConnections(), HANG_UP_AFTER_MS).unref()
      // Closing hangs up on connections that are idle, and a request may be on its way over one of them: busy ones
      // are told first, with their next answer, and balancers see that the service is not ready.
      await wait(ANNOUNCE_FOR_MS)
    })
    // Without it a connection whose request was in flight stays open, and closing waits for its keep-alive.
    app.addHook('onSend', (_request, reply, payload, done) => {
      if (closing) reply.header('connection', 'close')
      done(null, payload)
    })
  },
  { name: 'draining' },
)
