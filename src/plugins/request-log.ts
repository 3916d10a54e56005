import { type FastifyReply, type FastifyRequest, LogController } from 'fastify'

/**
 * One line for each request when it is answered, beside what its refusal or failure says: the route, never the URL (its query is the caller's own),
 * and never a body, which holds biometric data.
 */
export class RequestLog extends LogController {
  override incomingRequest(): void {}

  override requestCompleted(
    error: Error | null | undefined,
    request: FastifyRequest,
    reply: FastifyReply,
  ): void {
    const line = {
      method: request.method,
      route: request.routeOptions.url,
      status: reply.statusCode,
      ms: Math.round(reply.elapsedTime * 1000) / 1000,
    }
    if (error) request.log.error({ ...line, err: error }, 'request broke off')
    else request.log.info(line, 'request completed')
  }
}
