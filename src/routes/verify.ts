import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { coded } from '../errors.js'
import { timingsRow } from '../keystroke/features.js'
import { quality } from '../keystroke/quality.js'
import { typingsOf } from '../keystroke/times.js'
import { problems } from '../schemas/problem.js'
import { Verification, VerifyQuery } from '../schemas/recognition.js'
import { ClaimBody } from '../schemas/sample.js'

/** Verification: a claim and somebody's typing in, whether it is the claimed user's out. */
export const verify: FastifyPluginAsyncTypebox = async (app) => {
  app.post(
    '/verify/:model',
    {
      schema: {
        operationId: 'verify',
        tags: ['recognition'],
        summary: 'Whether the claimed user typed it',
        params: Type.Object({
          model: Type.String({ description: 'A name that GET /models lists, of a model of raw keystrokes.' }),
        }),
        querystring: VerifyQuery,
        body: ClaimBody,
        response: { 200: Verification, ...problems(400, 404, 406, 408, 413, 414, 415, 422, 431) },
      },
    },
    async ({ params, body, query, caller }) => {
      const { keys, ranges } = app.models
      const model = app.models.get(params.model)
      if (model.features !== 'timings') throw coded('KSR_NO_VERIFICATION', [params.model])
      const typings = typingsOf(body, keys)
      const answer = await app.claims.decide([caller, body.user], () =>
        model.verify(body.user, typings.map(timingsRow), query),
      )
      return { ...answer, quality: quality(typings, ranges) }
    },
  )
}
