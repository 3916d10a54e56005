import { type IncomingMessage, type Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises'
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
/** For how long nobody has to come before all are taken: a process that shares its port is handed them by another. */
const NOBODY_FOR_TURNS = 10
const NOBODY_FOR_MS = 50
const TAKE_WITHIN_MS = 500

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
      await takeNoMore(app.server)
    })
  },
  { name: 'draining' },
)

/**
 * Stops listening. That hangs up on all who have connected and wait to be taken, one of which Node takes each turn of the
 * event loop: so they are taken first, as fast as can be, for nobody is answered meanwhile, who would connect again.
 */
async function takeNoMore(server: Server): Promise<void> {
  const held: Socket[] = []
  let quietTurns = 0
  let last = performance.now()
  const until = last + TAKE_WITHIN_MS
  server.on('connection', (socket) => {
    held.push(socket)
    // Not at once: Node begins to read only after this.
    setImmediate(() => socket.pause())
    quietTurns = 0
    last = performance.now()
  })
  for (let now = last; now < until; now = performance.now()) {
    if (quietTurns >= NOBODY_FOR_TURNS && now - last >= NOBODY_FOR_MS) break
    if (quietTurns > 0) await wait(1)
    quietTurns++
    await turn()
  }
  // In this turn of the event loop, before there is somebody new.
  server.close()
  // Other processes on the port are about to do the same, and whoever is answered now would go to them.
  await wait(NOBODY_FOR_MS)
  for (const socket of held) socket.resume()
}

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
