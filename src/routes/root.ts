import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { problems } from '../schemas/problem.js'
import { Index } from '../schemas/root.js'

/** What a person finds who opens the endpoint in a browser. */
export const root: FastifyPluginAsyncTypebox<{ version: string; basePath: string }> = async (
  app,
  { version, basePath },
) => {
  app.get(
    '/',
    {
      schema: {
        operationId: 'index',
        tags: ['operation'],
        summary: 'What this is and where to go on',
        response: { 200: Index, ...problems(406) },
      },
    },
    async () => ({
      name: 'keystroke-recognition',
      version,
      links: {
        documentation: `${basePath}/docs`,
        demo: `${basePath}/demo`,
        health: `${basePath}/health`,
        models: `${basePath}/models`,
      },
    }),
  )
}
