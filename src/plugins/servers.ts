import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import type { FastifyInstance } from 'fastify'

/** Answers a request itself, and then says true, or leaves it to who comes after. */
export type Doorkeeper = (request: IncomingMessage, response: ServerResponse) => boolean

/**
 * Calls back for every server that the service listens with. For `localhost` Fastify opens a second one where that is
 * two addresses, and hands it out nowhere.
 */
export function everyServer(app: FastifyInstance, set: (server: Server) => void): void {
  set(app.server)
  app.addHook('onListen', (done) => {
    for (const server of furtherServers(app)) set(server)
    done()
  })
}

/** Has a doorkeeper look at the requests of a server before Fastify hears of them. Those that are injected come in elsewhere. */
export function keepDoor(server: Server, answers: Doorkeeper): void {
  const listeners = server.listeners('request') as RequestListener[]
  server.removeAllListeners('request')
  server.on('request', (request, response) => {
    if (answers(request, response)) return
    for (const listener of listeners) listener.call(server, request, response)
  })
}

function furtherServers(app: FastifyInstance): Server[] {
  const bindings = Object.getOwnPropertySymbols(app).find(
    (symbol) => symbol.description === 'fastify.serverBindings',
  )
  return (app as unknown as Record<symbol, Server[]>)[bindings as symbol] as Server[]
}
