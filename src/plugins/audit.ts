import type { FastifyInstance, FastifyReply, FastifyRequest, RouteHandlerMethod } from 'fastify'
import fp from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What the audit log calls it, where it goes there. */
    audit?: string
  }
  interface FastifyRequest {
    /** Notes at once what came of it, and for whom of many. What a handler does not note is noted when it ends. */
    audit(outcome: string, user: string): void
  }
}

/** How far it is noted what came of a request. */
interface Noted {
  /** Whether the handler was reached: it says what was done, however late, and whether anybody waits for the answer or not. */
  begun: boolean
  lines: number
}

/**
 * Writes a line for everything that was done with somebody's typings, or refused: who asked, when, about whom, and what came of
 * it. Ids, times and outcomes: no timing, no score.
 */
export const audit = fp(async (app: FastifyInstance) => {
  const notes = new WeakMap<FastifyRequest, Noted>()
  const notesOf = (request: FastifyRequest) => {
    const noted = notes.get(request) ?? { begun: false, lines: 0 }
    notes.set(request, noted)
    return noted
  }

  function note(request: FastifyRequest, outcome: string, about?: string): void {
    const { audit: action } = request.routeOptions.config
    const { text, user, sample } = request.params as Record<string, string>
    const audit = { action, text, user: about ?? user, sample, outcome }
    // Whatever else is logged: that it goes only where nothing at all does is a choice of its own.
    const log = app.log.level === 'silent' ? request.log : request.log.child({}, { level: 'info' })
    log.info({ audit }, 'audit')
    notesOf(request).lines++
  }

  app.decorateRequest('audit', function (this: FastifyRequest, outcome: string, user: string) {
    note(this, outcome, user)
  })

  app.addHook('onRoute', (route) => {
    if (route.config?.audit === undefined) return
    const { handler } = route
    route.handler = async function (this, request, reply) {
      notesOf(request).begun = true
      try {
        const answer = await handler.call(this, request, reply)
        if (notesOf(request).lines === 0) note(request, 'done')
        return answer
      } catch (error) {
        note(request, refused((error as { statusCode?: number }).statusCode ?? 500), claimed(request))
        throw error
      }
    } satisfies RouteHandlerMethod
  })

  app.addHook('onResponse', async (request: FastifyRequest, reply: FastifyReply) => {
    if (request.routeOptions.config.audit === undefined || notesOf(request).begun) return
    // By what stands before the handler: where it is no refusal, by the answer that was kept for its Idempotency-Key.
    note(request, reply.statusCode < 400 ? 'repeated' : refused(reply.statusCode))
  })
})

function refused(status: number): string {
  return `refused (${status})`
}

/** Who is claimed, by a body that has its form. */
function claimed({ body }: FastifyRequest): string | undefined {
  return (body as { user?: string } | null | undefined)?.user
}
