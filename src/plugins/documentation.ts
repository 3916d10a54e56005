import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { coded, type ErrorCode } from '../errors.js'
import type { DocumentationOptions } from './documentation-page.js'

const PROBLEMS: Record<number, ErrorCode> = { 4: 'KSR_ROUTE_NOT_FOUND', 5: 'KSR_INTERNAL' }

/**
 * The contract as a page to try it, at /docs. What makes and serves it is loaded when somebody first asks: most
 * processes are never asked, and all would pay at every start.
 */
export const documentation = fp(
  async (app: FastifyInstance, options: DocumentationOptions) => {
    let page: Promise<FastifyInstance> | undefined
    let shown: unknown

    async function answer(request: FastifyRequest, reply: FastifyReply) {
      // As inject resolves it: `/docs/../models` is none of the page's.
      const { pathname, search } = new URL(request.url, 'http://localhost')
      if (!/^\/docs(\/|$)/.test(pathname)) throw coded('KSR_ROUTE_NOT_FOUND')
      // After a reload the examples have to be those of other models.
      if (shown !== app.models.cards) page = undefined
      shown = app.models.cards
      page ??= import('./documentation-page.js').then(({ openPage }) => openPage(options, app.models))
      const headers = pick(request.headers, 'if-none-match', 'if-modified-since')
      const injected = await (await page).inject({ url: pathname + search, headers })
      const { statusCode, headers: answered, rawPayload } = injected
      const problem = PROBLEMS[Math.floor(statusCode / 100)]
      if (problem) throw coded(problem)
      // The connection is this app's.
      delete answered.connection
      return reply.code(statusCode).headers(answered).send(rawPayload)
    }

    for (const url of ['/docs', '/docs/*']) app.get(url, answer)
  },
  { name: 'documentation' },
)

function pick(headers: FastifyRequest['headers'], ...names: string[]) {
  return Object.fromEntries(names.flatMap((name) => (headers[name] ? [[name, headers[name]]] : [])))
}
