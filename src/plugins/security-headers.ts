import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import helmet from 'helmet'

const NOTHING = ["'none'"]

/**
 * What Helmet puts into every answer, with nothing allowed to a browser that takes one for a page. Made once: to have
 * Helmet make them for every request would cost as much as the rest of it.
 */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = headersOf(
  helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: NOTHING,
        // What does not follow from the first; and object-src, which does, but is looked for all the same.
        objectSrc: NOTHING,
        baseUri: NOTHING,
        formAction: NOTHING,
        frameAncestors: NOTHING,
      },
    },
    frameguard: { action: 'deny' },
  }),
)

/** Has every answer of the app, whatever it is, say what a browser must not do with it. */
export const securityHeaders = fp(
  async (app: FastifyInstance) => {
    app.addHook('onRequest', (_request, reply, done) => {
      reply.headers(SECURITY_HEADERS)
      done()
    })
  },
  { name: 'security-headers' },
)

function headersOf(setHeaders: ReturnType<typeof helmet>): Record<string, string> {
  // Answers are about people: no cache on the way is to keep them.
  const headers: Record<string, string> = { 'cache-control': 'no-store' }
  const answer = {
    setHeader(name: string, value: string) {
      headers[name.toLowerCase()] = value
    },
    removeHeader() {},
  }
  setHeaders({} as never, answer as never, () => {})
  return headers
}
