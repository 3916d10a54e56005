import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { type CodedError, coded } from '../errors.js'
import { bodyFault, jsonParser } from './negotiation.js'
import { refused, unknownRoutes } from './problems.js'

declare module 'fastify' {
  interface FastifyRequest {
    /** What follows the JSON of a body: the binary data of tensors. */
    binary: Buffer
  }
}

const JSON_TYPE = 'application/json'
const BODIES = [JSON_TYPE, 'application/octet-stream']
const JSON_LENGTH = 'inference-header-content-length'
const NOTHING = Buffer.alloc(0)

/** Has the scope that it is registered in take bodies, and tell of errors, as the Open Inference Protocol does. */
export const inferenceProtocol = fp(
  async (app: FastifyInstance) => {
    app.decorateRequest('binary')
    app.addHook('onRequest', (request, _reply, done) => {
      request.binary = NOTHING
      done(request.method === 'POST' ? bodyFault(request.headers, JSON_TYPE) : undefined)
    })
    const parse = jsonParser(app)
    app.removeAllContentTypeParsers()
    // Its clients say nothing of what they send, or that it is bytes.
    app.addContentTypeParser('*', { parseAs: 'buffer' }, (request, body: Buffer, done) => {
      const [type = ''] = (request.headers['content-type'] ?? JSON_TYPE).split(';')
      if (!BODIES.includes(type.trim().toLowerCase())) {
        return done(coded('KSR_UNSUPPORTED_MEDIA_TYPE', [BODIES.join(' or ')]))
      }
      const length = Number(request.headers[JSON_LENGTH] ?? body.length)
      if (!(Number.isInteger(length) && length >= 1 && length <= body.length)) {
        const message = `must be a whole number up to the body's length`
        return done(
          coded('KSR_INVALID_REQUEST', [], { errors: [{ pointer: `/headers/${JSON_LENGTH}`, message }] }),
        )
      }
      request.binary = body.subarray(length)
      return parse(request, body.subarray(0, length), done)
    })
    app.setErrorHandler((cause: FastifyError | CodedError, request: FastifyRequest, reply: FastifyReply) => {
      const error = refused(cause, request, reply)
      const json = Buffer.from(JSON.stringify({ error: sentence(error, request.id) }))
      // Of anything but bytes Fastify would say the charset, for which some clients do not take it for JSON.
      return reply.header('content-type', JSON_TYPE).send(json)
    })
    app.register(unknownRoutes)
  },
  { name: 'inference-protocol' },
)

function sentence({ message, errors = [], statusCode }: CodedError, requestId: string): string {
  if (statusCode >= 500) return `${message} (${requestId})`
  const places = errors.map((error) =>
    error.message === message ? `(${error.pointer})` : `${error.pointer} ${error.message}.`,
  )
  return [message, ...places].join(' ')
}
