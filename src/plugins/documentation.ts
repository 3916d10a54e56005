import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { coded } from '../errors.js'
import type { DocumentationOptions } from './documentation-page.js'

/**
 * The contract as a page to try it, at /docs. What makes and serves it is loaded when somebody first asks: most
 * processes are never asked, and all would pay at every start.
 */
export const documentation = fp(
  async (app: FastifyInstance, options: DocumentationOptions) => {
    let page: Promise<FastifyInstance> | undefined

    async function answer({ url, headers }: FastifyRequest, reply: FastifyReply) {
      page ??= import('./documentation-page.js').then(({ openPage }) => openPage(options))
      const { statusCode, headers: answered, rawPayload } = await (await page).inject({ url, headers })
      if (statusCode === 404) throw coded('KSR_ROUTE_NOT_FOUND')
      // The connection is this app's.
      delete answered.connection
      return reply.code(statusCode).headers(answered).send(rawPayload)
    }

    for (const url of ['/docs', '/docs/*']) app.get(url, answer)
  },
  { name: 'documentation' },
)
