import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { problems } from '../schemas/problem.js'
import { NamedRecognition, predictQuery, Recognition } from '../schemas/recognition.js'
import { reference } from '../schemas/reference.js'
import { NamedSampleBody, SampleBody } from '../schemas/sample.js'
import { identify } from './identification.js'

const PROBLEMS = problems(400, 404, 406, 408, 413, 414, 415, 422, 431)

/** Identification: a sample of somebody's typing in, the user who typed it out. */
export const predict: FastifyPluginAsyncTypebox<{ maxCandidates: number }> = async (
  app,
  { maxCandidates },
) => {
  const querystring = predictQuery(maxCandidates)

  app.post(
    '/predict/:model',
    {
      schema: {
        operationId: 'predict',
        tags: ['recognition'],
        summary: 'Who typed it',
        params: Type.Object({ model: Type.String({ description: 'A name that GET /models lists.' }) }),
        querystring,
        body: SampleBody,
        response: { 200: reference(Recognition, 'Who typed it.'), ...PROBLEMS },
      },
    },
    ({ params, body, query }) => identify(app, params.model, body, query),
  )

  // The original answered at /predict, and a published collection of requests posts to the root.
  for (const [url, operationId] of [
    ['/predict', 'predictNamed'],
    ['/', 'predictNamedAtRoot'],
  ] as const) {
    app.post(
      url,
      {
        schema: {
          operationId,
          tags: ['recognition'],
          summary: 'Who typed it, the model named in the body',
          querystring,
          body: NamedSampleBody,
          response: { 200: NamedRecognition, ...PROBLEMS },
        },
      },
      async ({ body, query }) => {
        const answer = await identify(app, body.Model.toLowerCase(), body, query)
        return { prediction: answer.user, ...answer }
      },
    )
  }
}
