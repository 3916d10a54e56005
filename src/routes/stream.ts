import { isUtf8 } from 'node:buffer'
import { Socket } from 'node:net'
import { Readable } from 'node:stream'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { coded } from '../errors.js'
import { type Line, linesOf } from '../ndjson.js'
import { problems } from '../schemas/problem.js'
import { type PredictQuery, predictQuery, Recognition } from '../schemas/recognition.js'
import { reference } from '../schemas/reference.js'
import { type Sample, SampleBody, StreamBody } from '../schemas/sample.js'
import { AT_ONCE, identify } from './identification.js'

export const NDJSON = 'application/x-ndjson'
const ANSWER = reference(Recognition, 'Who typed it.')

export interface StreamOptions {
  maxCandidates: number
  /** The longest line, bytes. */
  bodyLimit: number
  /** How long a line may take to arrive, ms. */
  lineWithinMs?: number
}

/** Identification of a stream: a sample a line in, and while they come an answer a line out. */
export const stream: FastifyPluginAsyncTypebox<StreamOptions> = async (
  app,
  { maxCandidates, bodyLimit, lineWithinMs = 10_000 },
) => {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(NDJSON, (_request, payload, done) => done(null, payload))
  const parse = app.getDefaultJsonParser('error', 'error')

  function read(request: FastifyRequest, line: Line): unknown {
    if (line === undefined) throw coded('KSR_BODY_TOO_LARGE', [bodyLimit])
    if (!isUtf8(line)) throw coded('KSR_INVALID_JSON')
    let read: unknown
    // Not later: it has no reason to wait.
    parse(request, line.toString(), (error, value) => {
      if (error) throw error
      read = value
    })
    return read
  }

  app.post(
    '/predict/:model/stream',
    {
      schema: {
        operationId: 'predictStream',
        tags: ['recognition'],
        summary: 'Who typed each of any number',
        description:
          'Newline-delimited JSON: one sample a line, as POST /predict/{model} takes it. As soon as lines have come, their ' +
          'answers go back, a line each and in the same order: what POST /predict/{model} answers, a problem document ' +
          '(it has `status` and `code`) where the line is at fault. The next lines are read when the answers are taken.',
        consumes: [NDJSON],
        params: Type.Object({ model: Type.String({ description: 'A name that GET /models lists.' }) }),
        querystring: predictQuery(maxCandidates),
        body: StreamBody,
        response: {
          200: {
            description: 'Lines of JSON.',
            content: { [NDJSON]: { schema: Type.Unsafe<Readable>(Type.String()) } },
          },
          ...problems(400, 404, 406, 408, 414, 415, 431),
        },
      },
    },
    async (request, reply) => {
      const { params, query } = request
      const payload = request.body as AsyncIterable<Buffer> | undefined
      if (payload === undefined) {
        throw coded('KSR_INVALID_REQUEST', [], {
          errors: [{ pointer: '', message: 'must be lines of JSON' }],
        })
      }
      // Before the first line is answered: these are no line's fault.
      app.models.get(params.model)
      reply.type(NDJSON)
      return Readable.from(answers(request, reply, payload, params.model, query))
    },
  )

  async function* answers(
    request: FastifyRequest,
    reply: FastifyReply,
    payload: AsyncIterable<Buffer>,
    model: string,
    query: PredictQuery,
  ): AsyncGenerator<string> {
    const { socket } = request.raw
    const validate = request.compileValidationSchema(SampleBody)
    const write = reply.compileSerializationSchema(ANSWER)

    async function answer(line: Line): Promise<string> {
      let sample: unknown
      try {
        sample = read(request, line)
        if (!validate(sample)) throw Object.assign(new Error(), { validation: validate.errors })
        return write(await identify(app, model, sample as Sample, query))
      } catch (error) {
        return JSON.stringify(app.problemOf(error as Error, request, sample))
      }
    }

    // The first one is the request's own.
    let charged = -1
    try {
      for await (const lines of linesOf(payload, { longest: bodyLimit, withinMs: lineWithinMs })) {
        for (let first = 0; first < lines.length; first += AT_ONCE) {
          const some = lines.slice(first, first + AT_ONCE)
          await app.charge(request, reply, charged + some.length)
          charged = 0
          const texts = await Promise.all(some.map(answer))
          yield `${texts.join('\n')}\n`
        }
      }
    } catch (error) {
      // Whoever hangs up in the middle is no failure.
      if ((error as NodeJS.ErrnoException).code === 'ECONNRESET') return
      // What comes after is not read: the connection is of no more use. Behind a gateway there is none.
      if (socket instanceof Socket) reply.raw.once('finish', () => socket.destroySoon())
      yield `${JSON.stringify(app.problemOf(error as Error, request))}\n`
    }
  }
}
