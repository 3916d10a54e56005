import { randomUUID } from 'node:crypto'
import { type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { CodedError, coded, type ErrorCode, type FieldError } from '../errors.js'
import type { Problem } from '../schemas/problem.js'
import { meantAlternative } from '../schemas/sample.js'
import type { Refusal } from '../telemetry/recorder.js'
import { requestIdOf } from './request-id.js'
import { SECURITY_HEADERS } from './security-headers.js'

type Fault = NonNullable<FastifyError['validation']>[number]

/** Fastify's own errors that a caller can cause, as ours. */
const FASTIFY_ERRORS: Record<string, ErrorCode> = {
  FST_ERR_BAD_URL: 'KSR_INVALID_URL',
  FST_ERR_CTP_BODY_TOO_LARGE: 'KSR_BODY_TOO_LARGE',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'KSR_INVALID_JSON',
  FST_ERR_CTP_INVALID_JSON_BODY: 'KSR_INVALID_JSON',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'KSR_UNSUPPORTED_MEDIA_TYPE',
  FST_ERR_MAX_PARAM_LENGTH: 'KSR_URL_TOO_LONG',
}

/** Faults of Node's HTTP parser that have a status of their own. */
const UNREADABLE: Record<string, ErrorCode> = {
  ERR_HTTP_REQUEST_TIMEOUT: 'KSR_REQUEST_TIMEOUT',
  HPE_HEADER_OVERFLOW: 'KSR_HEADERS_TOO_LARGE',
}

/** What is refused although nothing is wrong with it. */
const REFUSALS: { [Code in ErrorCode]?: Refusal } = {
  KSR_UNAUTHORIZED: 'unauthorized',
  KSR_TOO_MANY_REQUESTS: 'rate-limit',
  KSR_CLAIMS_PAUSED: 'claims-paused',
  KSR_TIMEOUT: 'timeout',
}

const JSON_TYPE = 'application/json'
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const

declare module 'fastify' {
  interface FastifyInstance {
    /** The problem document of an error, which the log is told of; where validation failed, of this body. */
    problemOf(error: Error, request: FastifyRequest, body?: unknown): Problem
  }
}

/** Answers every error, and every path or method that there is not, as an RFC 9457 problem document. */
export const problems = fp(
  async (app: FastifyInstance) => {
    app.decorate('problemOf', (error, request, body) => problemOf(noted(error, request, body), request.id))
    app.setErrorHandler(answerProblem)
    app.register(unknownRoutes)
  },
  { name: 'problems' },
)

/** In a scope of its own, so that its hook does not run for routes that there are. */
export async function unknownRoutes(app: FastifyInstance): Promise<void> {
  // Before the body is parsed: what is wrong with the body of a request to nowhere is no matter.
  app.addHook('onRequest', async (request, reply) => {
    const allowed = METHODS.filter((method) => app.findRoute({ method, url: request.url }) !== null)
    if (allowed.length === 0) throw coded('KSR_ROUTE_NOT_FOUND')
    const allow = allowed.join(', ')
    reply.header('allow', allow)
    throw coded('KSR_METHOD_NOT_ALLOWED', [allow])
  })
  // For a route that finds something missing itself: for unknown paths the hook has thrown before.
  app.setNotFoundHandler(() => {
    throw coded('KSR_ROUTE_NOT_FOUND')
  })
}

/**
 * Answers, and hangs up on, a connection whose bytes are no request that can be routed. What was asked before on it is
 * answered first.
 */
export function answerUnreadable(this: FastifyInstance, error: NodeJS.ErrnoException, socket: Socket): void {
  // Nobody is there to answer any more.
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  // Node's own note of the answer that is due next. Without it the answers could come in another order than the requests.
  const due = (socket as { _httpMessage?: ServerResponse | null })._httpMessage
  if (due?.req.complete) {
    due.once('finish', () => answerUnreadable.call(this, error, socket))
    return
  }
  // A stream may take longer than a request: its answer has begun.
  if (due?.headersSent && error.code === 'ERR_HTTP_REQUEST_TIMEOUT') return
  const problem = problemOf(coded(UNREADABLE[error.code as string] ?? 'KSR_BAD_REQUEST'), randomUUID())
  this.log.info({ reqId: problem.instance, code: problem.code, status: problem.status }, 'request refused')
  // Half of an answer can't be followed by another.
  if (due?.headersSent) {
    socket.destroy()
    return
  }
  const body = JSON.stringify(problem)
  const lines = Object.entries(bareHeaders(problem, body)).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.end(`HTTP/1.1 ${problem.status} ${problem.title}\r\n${lines.join('')}\r\n${body}`)
}

/** Answers, and hangs up on, a request that can be read but is not to be routed. */
export function answerEarly({ log }: FastifyInstance, error: CodedError, response: ServerResponse): void {
  const problem = problemOf(error, requestIdOf(response.req))
  log.info({ reqId: problem.instance, code: problem.code, status: problem.status }, 'request refused')
  const body = JSON.stringify(problem)
  response.writeHead(problem.status, bareHeaders(problem, body)).end(body)
}

/** What an answer says that no hook sees, and that ends its connection. */
function bareHeaders({ instance }: Problem, body: string): Record<string, string> {
  return {
    ...SECURITY_HEADERS,
    'content-type': 'application/problem+json; charset=utf-8',
    'content-length': String(Buffer.byteLength(body)),
    'x-request-id': instance,
    connection: 'close',
  }
}

/** Answers one error: the caller's own with what to mend, any other with the request id alone. */
export function answerProblem(
  cause: FastifyError | CodedError,
  request: FastifyRequest,
  reply: FastifyReply,
) {
  const error = refused(cause, request, reply)
  return reply.type('application/problem+json').send(problemOf(error, request.id))
}

/** The error as one of ours, when it is noted and the reply has what is no matter of form. */
export function refused(
  cause: FastifyError | CodedError,
  request: FastifyRequest,
  reply: FastifyReply,
): CodedError {
  const error = noted(cause, request, request.body)
  if (error.retryAfter !== undefined) reply.header('retry-after', error.retryAfter)
  const refusal = REFUSALS[error.code as ErrorCode]
  if (refusal) request.server.metrics.refused(refusal)
  reply.code(error.statusCode)
  return error
}

/** The error as one of ours, once the log has it. */
function noted(cause: Error, request: FastifyRequest, body: unknown): CodedError {
  const error = asCoded(cause as FastifyError, request, body)
  // A caller's mistake wakes nobody up. The message of an unforeseen error stays in the log.
  if (error.statusCode >= 500) request.log.error({ err: cause }, 'request failed')
  else request.log.info({ code: error.code }, 'request refused')
  return error
}

export function problemOf(error: CodedError, instance: string): Problem {
  return {
    type: `urn:problem-type:${error.code.toLowerCase().replaceAll('_', '-').replace('-', ':')}`,
    title: STATUS_CODES[error.statusCode] as string,
    status: error.statusCode,
    detail: error.message,
    instance,
    code: error.code,
    ...(error.errors && { errors: error.errors }),
  }
}

function asCoded(error: FastifyError, request: FastifyRequest, body: unknown): CodedError {
  if (error instanceof CodedError) return error
  if (error.validation !== undefined) {
    return coded('KSR_INVALID_REQUEST', [], { errors: fieldErrors(error, body) })
  }
  const code = FASTIFY_ERRORS[error.code]
  if (code === 'KSR_BODY_TOO_LARGE') return coded(code, [request.routeOptions.bodyLimit])
  if (code === 'KSR_UNSUPPORTED_MEDIA_TYPE') return coded(code, [consumed(request)])
  if (code !== undefined) return coded(code)
  // What is left below 500 are faults of the transport, such as a body shorter than it was announced.
  return coded((error.statusCode ?? 500) < 500 ? 'KSR_BAD_REQUEST' : 'KSR_INTERNAL')
}

/** The media type that a route takes. */
function consumed({ routeOptions }: FastifyRequest): string {
  const [type = JSON_TYPE] = (routeOptions.schema as { consumes?: string[] }).consumes ?? []
  return type
}

function fieldErrors(
  { validation = [], validationContext = 'body' }: FastifyError,
  body: unknown,
): FieldError[] {
  const root = validationContext === 'body' ? '' : `/${validationContext}`
  // Validation stops at a schema's first fault. Of alternatives it reports the fault of each, in their order,
  // and then that none fits: the caller is told of the one that was meant.
  const last = validation.at(-1)
  const faults =
    last?.keyword === 'anyOf'
      ? [validation.slice(0, -1).at(meantAlternative(valueAt(body, last.instancePath))) as Fault]
      : validation
  return faults.map((fault) => fieldError(fault, root))
}

function fieldError({ keyword, instancePath, params, message = '' }: Fault, root: string): FieldError {
  const at = (property: unknown) => `${root}${instancePath}/${escapePointer(String(property))}`
  if (keyword === 'required') return { pointer: at(params.missingProperty), message: 'is required' }
  if (keyword === 'additionalProperties') {
    return { pointer: at(params.additionalProperty), message: 'is not a property that may be here' }
  }
  return { pointer: `${root}${instancePath}`, message }
}

/** What a body has at the path of a fault, whose steps are members of lists, or names that need no escaping. */
function valueAt(body: unknown, path: string): unknown {
  return path
    .split('/')
    .slice(1)
    .reduce((value, step) => (value as Record<string, unknown>)[step], body)
}

/** RFC 6901, section 3. */
function escapePointer(property: string): string {
  return property.replaceAll('~', '~0').replaceAll('/', '~1')
}
