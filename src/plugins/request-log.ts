import type { ServerResponse } from 'node:http'
import { type FastifyReply, type FastifyRequest, LogController } from 'fastify'
import type { Recorder } from '../telemetry/recorder.js'
import { traceOf } from './request-id.js'

/** Who asks for these asks again and again, and only wants to hear of what is amiss. */
const ROUTINE = [
  '/health',
  '/health/live',
  '/health/ready',
  '/v2/health/live',
  '/v2/health/ready',
  '/metrics',
]

/**
 * One line for each request when it is answered, beside what its refusal or failure says: the route, never the URL (its query is the caller's own),
 * and never a body, which holds biometric data. Fastify calls this anyway: what is done for every request is done here,
 * where a hook would cost 2 µs.
 */
export class RequestLog extends LogController {
  /** Who counts requests; nobody where there are no metrics. */
  recorder: Recorder | undefined
  readonly #open = new Map<ServerResponse, FastifyReply>()
  readonly #closed: (this: ServerResponse) => void

  constructor() {
    super()
    const hungUp = (response: ServerResponse) => this.#hungUp(response)
    // One for all of them; it is called on the response.
    this.#closed = function () {
      hungUp(this)
    }
  }

  /** How many requests are being answered. */
  get inFlight(): number {
    return this.#open.size
  }

  /** The replies of those requests. */
  open(): Iterable<FastifyReply> {
    return this.#open.values()
  }

  override incomingRequest(request: FastifyRequest, reply: FastifyReply): void {
    reply.header('x-request-id', request.id)
    const { traceparent } = request.raw.headers
    const trace = traceparent === undefined ? undefined : traceOf(traceparent)
    if (trace !== undefined) {
      logTrace(request, reply, trace.traceId)
      reply.header('traceparent', trace.traceparent)
    }
    this.#open.set(reply.raw, reply)
    reply.raw.on('close', this.#closed)
  }

  override requestCompleted(
    error: Error | null | undefined,
    request: FastifyRequest,
    reply: FastifyReply,
  ): void {
    this.#open.delete(reply.raw)
    const { method } = request
    const route = request.routeOptions.url
    const status = reply.statusCode
    const ms = reply.elapsedTime
    this.recorder?.completed(method, route, status, ms)
    const line = { method, route, status, ms: Math.round(ms * 1000) / 1000 }
    if (error) request.log.error({ ...line, err: error }, 'request broke off')
    else if (status < 400 && ROUTINE.includes(route as string)) request.log.debug(line, 'request completed')
    else request.log.info(line, 'request completed')
  }

  /** Has a request that Fastify does not follow, for it has no route, completed when it is answered. */
  follow(request: FastifyRequest, reply: FastifyReply): void {
    reply.raw.once('finish', () => this.requestCompleted(null, request, reply))
  }

  #hungUp(response: ServerResponse): void {
    const reply = this.#open.get(response)
    // It was answered.
    if (reply === undefined) return
    const { request } = reply
    this.#open.delete(response)
    this.recorder?.aborted()
    request.log.info({ method: request.method, route: request.routeOptions.url }, 'request given up')
  }
}

/** Has every further line about a request say to which trace it belongs. */
export function logTrace(request: FastifyRequest, reply: FastifyReply, traceId: string): void {
  request.log = request.log.child({ traceId })
  reply.log = request.log
}
