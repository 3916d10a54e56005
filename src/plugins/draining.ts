import { type IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyInstance {
    /** Whether the service is closing: it finishes what it has and wants no more. */
    isDraining(): boolean
  }
}

/** Whether the service is closing, for those who are there before its plugins. */
export interface Drain {
  closing: boolean
}

const ANNOUNCE_FOR_MS = 1000
const HANG_UP_AFTER_MS = 5000

/** Knows from the first moment of closing that the service is on its way out, and lets connections go. */
export const draining = fp(
  async (app: FastifyInstance, { drain }: { drain: Drain }) => {
    app.decorate('isDraining', () => drain.closing)
    app.addHook('preClose', async () => {
      drain.closing = true
      if (!app.server.listening) return
      // A connection that never sent a whole request would hold the process up for as long as it likes.
      setTimeout(() => app.server.closeAllConnections(), HANG_UP_AFTER_MS).unref()
      // Closing hangs up on connections that are idle, and a request may be on its way over one of them: busy ones
      // are told first, with their next answer, and balancers see that the service is not ready.
      await wait(ANNOUNCE_FOR_MS)
    })
  },
  { name: 'draining' },
)

/**
 * The response of an HTTP server whose connections close after their next answer once the service is closing. Else one
 * whose request was in flight would stay open, and closing would wait for its keep-alive. A hook on every answer would
 * do the same, and cost every request 2 µs.
 */
export function drainingResponse(drain: Drain): typeof ServerResponse {
  return class<Request extends IncomingMessage> extends ServerResponse<Request> {
    override writeHead(...head: [number]): this {
      if (drain.closing) this.shouldKeepAlive = false
      return super.writeHead(...head)
    }
  }
}
