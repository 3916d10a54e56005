import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { problems } from '../schemas/problem.js'

const TEXT_FORMAT = 'text/plain; version=0.0.4; charset=utf-8'

/** What happens in numbers, for Prometheus. */
export const metrics: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/metrics',
    {
      schema: {
        operationId: 'metrics',
        tags: ['operation'],
        summary: 'What happens, in the text format of Prometheus',
        response: {
          200: {
            description: 'Every metric of every process: docs/observability.md.',
            content: { 'text/plain': { schema: Type.String() } },
          },
          ...problems(500),
        },
      },
    },
    async (_request, reply) => reply.type(TEXT_FORMAT).send(await app.metrics.scrape()),
  )
}
