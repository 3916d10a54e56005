import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { summaryRow, timingsRow } from '../keystroke/features.js'
import { quality } from '../keystroke/quality.js'
import { typingsOf } from '../keystroke/times.js'
import { problems } from '../schemas/problem.js'
import { NamedRecognition, type PredictQuery, predictQuery, Recognition } from '../schemas/recognition.js'
import { NamedSampleBody, type Sample, SampleBody } from '../schemas/sample.js'

const PROBLEMS = problems(400, 404, 406, 408, 413, 414, 415, 422, 431)

/** Identification: a sample of somebody's typing in, the user who typed it out. */
export const predict: FastifyPluginAsyncTypebox<{ maxCandidates: number }> = async (
  app,
  { maxCandidates },
) => {
  const querystring = predictQuery(maxCandidates)

  // Not async: for a summary the handler's promise is the batch's own.
  function identify(name: string, sample: Sample, query: PredictQuery): Promise<Recognition> {
    const { keys, ranges } = app.models
    const model = app.models.get(name)
    if (model.features !== 'timings') return model.classify(summaryRow(sample, keys), query)
    const typings = typingsOf(sample, keys)
    const answer = model.identify(typings.map(timingsRow), query)
    return answer.then((answer) => ({ ...answer, quality: quality(typings, ranges) }))
  }

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
    ({ params, body, query }) => identify(params.model, body, query),
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
        const answer = await identify(body.Model.toLowerCase(), body, query)
        return { prediction: answer.user, ...answer }
      },
    )
  }
}
