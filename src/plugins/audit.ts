import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What the audit log calls it, where it goes there. */
    audit?: string
  }
  interface FastifyRequest {
    /** What only the handler knows of it for the audit log: whom it was about, and what came of it for each. */
    audited: { user: string; outcome?: string }[] | undefined
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
    const refused = reply.statusCode >= 400
    const end = refused ? `refused (${reply.statusCode})` : 'done'
    const audited: { user?: string; outcome?: string }[] = [...(request.audited ?? [])]
    // Beside what it did before it was refused.
    const isSaid = audited.length > 0 && (!refused || audited.some(({ outcome }) => outcome === undefined))
    if (!isSaid) audited.push({})
    // Whatever else is logged: that it goes only where nothing at all does is a choice of its own.
    const log = app.log.level === 'silent' ? request.log : request.log.child({}, { level: 'info' })
    for (const one of audited) {
      const audit = { action, text, user: one.user ?? user, sample, outcome: one.outcome ?? end }
      log.info({ audit }, 'audit')
    }
  })
})
