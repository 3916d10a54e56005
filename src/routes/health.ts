import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import { Health, Liveness, type ModelState } from '../schemas/health.js'
import { reference } from '../schemas/reference.js'

/** Whether the process lives, and whether it wants requests. */
export const health: FastifyPluginAsyncTypebox<{ version: string }> = async (app, { version }) => {
  for (const [url, operationId, summary] of [
    ['/health', 'health', 'Whether every model can answer'],
    ['/health/ready', 'ready', 'The same, for an orchestrator that routes requests'],
  ] as const) {
    app.get(
      url,
      {
        schema: {
          operationId,
          tags: ['operation'],
          summary,
          security: [],
          response: {
            200: reference(Health, 'It can.'),
            503: reference(Health, 'It is closing, or a model fails.'),
          },
        },
      },
      async (_request, reply) => {
        const models = await app.models.states()
        const status = statusOf(app, Object.values(models))
        if (!isReady(status)) reply.code(503).header('retry-after', '1')
        return {
          status,
          version,
          uptime: process.uptime(),
          models,
        }
      },
    )
  }

  app.get(
    '/health/live',
    {
      schema: {
        operationId: 'live',
        tags: ['operation'],
        summary: 'Whether the process answers, for an orchestrator that restarts it',
        security: [],
        response: { 200: Liveness },
      },
    },
    async () => ({ status: 'ok' }),
  )
}

/** How the service is, all in all. */
export function statusOf(app: FastifyInstance, models: ModelState[]) {
  if (app.isDraining()) return 'draining'
  if (models.includes('failed')) return 'failed'
  return app.isOverloaded() ? 'overloaded' : 'ok'
}

/** Whether it wants requests. Who refuses some is not to be taken out: the others would get its requests. */
export function isReady(status: ReturnType<typeof statusOf>): boolean {
  return status !== 'draining' && status !== 'failed'
}
