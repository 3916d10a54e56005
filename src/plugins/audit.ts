import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What the audit log calls it, where it goes there. */
    audit?: string
  }
  interface FastifyRequest {
    /** What only the handler knows of it for the audit log: whom it was about, and what came of it. */
    audited: { user?: string; outcome?: string } | undefined
  }
}

/**
 * Writes a line for everything that was done with somebody's typings, or refused: who asked, when, about whom, and what came of
 * it. Ids, times and outcomes: no timing, no score.
 */
export const audit = fp(async (app: FastifyInstance) => {
  app.decorateRequest('audited', undefined)
  app.addHook('onResponse', async (request, reply) => {
    const { audit: action } = request.routeOptions.config
    if (action === undefined) return
    const { text, user, sample } = request.params as Record<string, string>
    const outcome =
      request.audited?.outcome ?? (reply.statusCode < 400 ? 'done' : `refused (${reply.statusCode})`)
    const about = { text, user: request.audited?.user ?? user, sample }
    const audit = { action, ...about, outcome }
    // Whatever else is logged: that it goes only where nothing at all does is a choice of its own.
    const log = app.log.level === 'silent' ? request.log : request.log.child({}, { level: 'info' })
    log.info({ audit }, 'audit')
  })
})
