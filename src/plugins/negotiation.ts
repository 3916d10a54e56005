import { isUtf8 } from 'node:buffer'
import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyBodyParser, FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import Negotiator from 'negotiator'
import { type CodedError, coded } from '../errors.js'

/** What nearly all callers send, and nobody has to look at. */
const PLAIN = ['application/json', 'application/json; charset=utf-8', 'application/json;charset=utf-8']
/** A parameter of a media type, RFC 9110, section 5.6.6: its name, and its value as a token or in quotes. */
const PARAMETER = /[ \t]*;[ \t]*(?:([!#$%&'*+.^_`|~\w-]+)=(?:([!#$%&'*+.^_`|~\w-]+)|"((?:[^"\\]|\\.)*)"))?/gy

const JSON_TYPE = 'application/json'
const WITH_BODY = ['POST', 'PUT']

/** Refuses, in the scope it is registered in, callers that can't take the answers, and bodies that are not plain JSON in UTF-8. */
export const negotiation = fp(
  async (app: FastifyInstance, { type = JSON_TYPE }: { type?: string }) => {
    app.addHook('onRequest', ({ method, headers }, reply, done) => {
      const body = WITH_BODY.includes(method) ? bodyFault(headers, type) : undefined
      // What it may be sent in instead, RFC 9110, section 12.5.3.
      if (body?.code === 'KSR_UNSUPPORTED_ENCODING') reply.header('accept-encoding', 'identity')
      done(body ?? acceptFault(headers, type))
    })
    app.removeContentTypeParser(JSON_TYPE)
    app.addContentTypeParser(JSON_TYPE, { parseAs: 'buffer' }, jsonParser(app))
  },
  { name: 'negotiation' },
)

/** What reads bytes as JSON in UTF-8. */
export function jsonParser(app: FastifyInstance): FastifyBodyParser<Buffer> {
  const parse = app.getDefaultJsonParser('error', 'error')
  return (request, body, done) => {
    // Many senders name a type for every request, and a deletion has no body.
    if (body.length === 0 && !WITH_BODY.includes(request.method)) done(null, undefined)
    // Decoding would put the same sign in the place of whatever is none, and one user's id could become another's.
    else if (isUtf8(body)) parse(request, body.toString(), done)
    else done(coded('KSR_INVALID_JSON'))
  }
}

function acceptFault(headers: IncomingHttpHeaders, answered: string): CodedError | undefined {
  // Most callers send no Accept or `*/*`: only the others are worth parsing.
  if (!headers.accept || headers.accept === '*/*') return undefined
  const type = new Negotiator({ headers }).mediaType([answered, 'application/problem+json'])
  return type === undefined ? coded('KSR_NOT_ACCEPTABLE', [answered]) : undefined
}

/** What is wrong with how a body is sent. */
export function bodyFault(headers: IncomingHttpHeaders, taken: string): CodedError | undefined {
  const encoding = headers['content-encoding']
  // Nothing is ever inflated here: a few bytes could be gigabytes.
  if (encoding && encoding.toLowerCase() !== 'identity') return coded('KSR_UNSUPPORTED_ENCODING')
  const type = headers['content-type']
  if (type === undefined || PLAIN.includes(type)) return undefined
  const at = type.indexOf(';')
  if (at < 0) return undefined
  const parameters = type.slice(at)
  let read = 0
  for (const [whole, name, token, quoted] of parameters.matchAll(PARAMETER)) {
    read += whole.length
    if (
      name?.toLowerCase() === 'charset' &&
      !isUtf8Name(token ?? (quoted as string).replace(/\\(.)/g, '$1'))
    ) {
      return coded('KSR_UNSUPPORTED_ENCODING')
    }
  }
  // What can't be read could hide one.
  return parameters.slice(read).trim() === '' ? undefined : coded('KSR_UNSUPPORTED_MEDIA_TYPE', [taken])
}

function isUtf8Name(charset: string): boolean {
  return /^utf-?8$/i.test(charset)
}
