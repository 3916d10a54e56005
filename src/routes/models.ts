import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { ModelCard, ModelList } from '../schemas/model.js'
import { problems } from '../schemas/problem.js'
import { reference } from '../schemas/reference.js'

/** What the models are, and what was measured of them. */
export const models: FastifyPluginAsyncTypebox<{ basePath: string }> = async (app, { basePath }) => {
  app.get(
    '/models',
    {
      schema: {
        operationId: 'listModels',
        tags: ['models'],
        summary: 'The models there are',
        response: { 200: ModelList, ...problems(406) },
      },
    },
    async () => ({
      models: app.models.cards.map(({ name, title, version }) => ({
        name,
        title,
        version,
        href: `${basePath}/models/${name}`,
      })),
    }),
  )

  app.get(
    '/models/:model',
    {
      schema: {
        operationId: 'describeModel',
        tags: ['models'],
        summary: 'What one model is: its input, what its scores mean, how well it recognises',
        params: Type.Object({ model: Type.String() }),
        response: { 200: reference(ModelCard, 'The model.'), ...problems(400, 404, 406, 414) },
      },
    },
    async ({ params }) => app.models.card(params.model),
  )
}
