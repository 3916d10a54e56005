import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { problems } from '../schemas/problem.js'
import { Predictions, predictQuery } from '../schemas/recognition.js'
import { BatchBody } from '../schemas/sample.js'
import { identifyAll } from './identification.js'

/** Identification of many: samples in, an answer for each out, or for none. */
export const batch: FastifyPluginAsyncTypebox<{ maxCandidates: number; batchBodyLimit: number }> = async (
  app,
  { maxCandidates, batchBodyLimit },
) => {
  app.post(
    '/predict/:model/batch',
    {
      bodyLimit: batchBodyLimit,
      schema: {
        operationId: 'predictBatch',
        tags: ['recognition'],
        summary: 'Who typed each of many',
        description:
          'All are answered or, where one is at fault, none: `errors` points at it, `/samples/17/keystrokes/3/press`.',
        params: Type.Object({ model: Type.String({ description: 'A name that GET /models lists.' }) }),
        querystring: predictQuery(maxCandidates),
        body: BatchBody,
        response: { 200: Predictions, ...problems(400, 404, 406, 408, 413, 414, 415, 422, 431) },
      },
    },
    async (request, reply) => {
      const { params, body, query } = request
      await app.charge(request, reply, body.samples.length - 1)
      const place = (sample: number, pointer: string) => `/samples/${sample}${pointer}`
      return { predictions: await identifyAll(app, params.model, body.samples, query, place) }
    },
  )
}
