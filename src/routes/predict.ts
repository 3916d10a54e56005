import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { featureRow } from '../keystroke/features.js'
import { problems } from '../schemas/problem.js'
import { NamedRecognition, predictQuery, Recognition } from '../schemas/recognition.js'
import { NamedSampleBody, SampleBody } from '../schemas/sample.js'

const PROBLEMS = problems(400, 404, 406, 408, 413, 414, 415, 422, 431, 500)

/** Identification: the sample of one typing in, the user who typed it out. */
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
        response: { 200: Recognition, ...PROBLEMS },
      },
    },
    ({ params, body, query }) => {
      const classifier = app.models.get(params.model)
      return classifier.classify(featureRow(body, app.models.keys), query.top)
    },
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
        const classifier = app.models.get(body.Model.toLowerCase())
        const answer = await classifier.classify(featureRow(body, app.models.keys), query.top)
        return { prediction: answer.user, ...answer }
      },
    )
  }
}
