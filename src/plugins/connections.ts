import type { IncomingMessage, Server } from 'node:http'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { coded, type ErrorCode } from '../errors.js'
import { answerEarly, answerUnreadable } from './problems.js'
import { everyServer, keepDoor } from './servers.js'

const HEADERS_TIMEOUT_MS = 5000
const REQUEST_TIMEOUT_MS = 10_000
/** Longer than a load balancer keeps a connection (of AWS: 60 s), or it would send requests over one that is just closed. */
const KEEP_ALIVE_MS = 72_000
/** For a connection on which a request is under way and nothing moves: whose answer is never read, for one. */
const STALLED_MS = 30_000
const HEADERS_BYTES = 16 * 1024
const MOST_HEADERS = 100

/** Options of Fastify: how long a connection may take for what. */
export const TIMEOUTS = {
  connectionTimeout: STALLED_MS,
  requestTimeout: REQUEST_TIMEOUT_MS,
  keepAliveTimeout: KEEP_ALIVE_MS,
}

/** Options of Node's servers. */
export const SERVER = {
  maxHeaderSize: HEADERS_BYTES,
  // Node swaps the two where headers have longer, and looks for late ones only every half minute by default.
  headersTimeout: HEADERS_TIMEOUT_MS,
  connectionsCheckingInterval: 1000,
  // Node's own answer to a request without a host has no body. Ours is below.
  requireHostHeader: false,
}

/** Bounds how many connections there are, and what may come over them before Fastify hears of it. */
export const connections = fp(
  async (app: FastifyInstance, { maxConnections }: { maxConnections: number }) => {
    everyServer(app, (server) => {
      bound(server, maxConnections)
      // What else is expected is none of ours to judge (RFC 9110, section 10.1.1). Node would answer without a body.
      server.on('checkExpectation', (request, response) => server.emit('request', request, response))
      keepDoor(server, (request, response) => {
        const fault = faultOf(request)
        if (fault !== undefined) answerEarly(app, coded(fault), response)
        return fault !== undefined
      })
      if (server === app.server) return
      // What Fastify does for the first one only, and what it does for the others so that they hang.
      server.on('clientError', answerUnreadable.bind(app))
      server.removeAllListeners('upgrade')
    })
  },
  { name: 'connections' },
)

/**
 * Hangs up on connections beyond so many. Node's own `maxConnections` would do, but for workers of Node 20: one that is
 * full hands a connection on to the next, and so does that one, for ever and at full speed.
 */
function bound(server: Server, most: number): void {
  let open = 0
  server.on('connection', (socket) => {
    open++
    socket.once('close', () => open--)
    if (open > most) socket.destroy()
  })
}

function faultOf({ rawHeaders, httpVersionMinor }: IncomingMessage): ErrorCode | undefined {
  if (rawHeaders.length > 2 * MOST_HEADERS) return 'KSR_HEADERS_TOO_LARGE'
  let hosts = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string
    if (name.length === 4 && name.toLowerCase() === 'host') hosts++
  }
  // RFC 9112, section 3.2.
  return hosts > 1 || (hosts === 0 && httpVersionMinor > 0) ? 'KSR_BAD_REQUEST' : undefined
}
