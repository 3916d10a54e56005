import type { AddressInfo } from 'node:net'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { ApiKeys } from '../access/api-keys.js'
import { Claims } from '../access/claims.js'
import { Tokens } from '../access/tokens.js'
import type { Config } from '../config.js'
import { coded } from '../errors.js'

declare module 'fastify' {
  interface FastifyRequest {
    /** Who sent it, `key` and the name of the API key or `token` and its subject; '' where nobody is asked. */
    caller: string
  }
  interface FastifyInstance {
    claims: Claims
    /**
     * Counts further samples of a request, each as a request of its caller.
     * @throws KSR_TOO_MANY_REQUESTS
     */
    charge(request: FastifyRequest, reply: FastifyReply, samples: number): Promise<void>
  }
}

/** What may be opened to everybody, by the routes that it has. */
const PUBLIC: Record<string, RegExp> = {
  index: /^\/$/,
  docs: /^\/docs(\/|$)/,
  demo: /^\/demo(\/|$)/,
  models: /^\/models(\/|$)/,
  metrics: /^\/metrics$/,
}
const PROBES = /^(\/v2)?\/health(\/|$)/
const WINDOW_MS = 60_000
/** The callers whose requests are counted at once, bounded: beyond it those are forgotten who were not heard for longest. */
const MOST_CALLERS = 100_000
const LOOPBACK = /^(127\.|::1$|::ffff:127\.)/

/** Asks who sends a request, where keys or tokens are set, and how many a caller may send. Probes may ask as they like. */
export const access = fp(
  async (app: FastifyInstance, { config }: { config: Config }) => {
    app.decorateRequest('caller', '')
    app.decorate('charge', async () => {})
    app.decorate('claims', new Claims({ most: config.verifyFailures }))
    const keys = await ApiKeys.load(config)
    const tokens = await Tokens.load(config.jwt)
    const guarded = keys !== undefined || tokens !== undefined
    if (!guarded) warnWhereOpen(app)
    if (!guarded && config.rateLimit === 0) return

    const opened = config.publicRoutes.map((name) => PUBLIC[name] as RegExp)
    const isPublic = ({ method, routeOptions: { url = '' } }: FastifyRequest) =>
      method !== 'POST' && opened.some((routes) => routes.test(url))
    const limit = config.rateLimit > 0 ? await limiter(app, config.rateLimit) : async () => {}
    if (config.rateLimit > 0) {
      app.charge = async (request, reply, samples) => {
        for (let i = 0; i < samples; i++) await limit(request, reply)
      }
    }

    const wanted = [keys && 'an API key as x-api-key', tokens && 'a token as Authorization: Bearer']
    const named = wanted.filter(Boolean).join(' or ')
    const challenge = [keys && 'ApiKey', tokens && 'Bearer'].filter(Boolean).join(', ')

    let current = { keys, tokens }
    const keySetInFile = config.jwt.jwksUrl.startsWith('file:')
    if (config.apiKeysFile !== '' || keySetInFile) {
      // Whether any are asked for is a setting. Keys that an issuer published stay: it may be away just now.
      app.onReload(async () => {
        const next = {
          keys: await ApiKeys.load(config),
          tokens: keySetInFile ? await Tokens.load(config.jwt) : tokens,
        }
        return {
          commit() {
            current = next
          },
        }
      })
    }

    async function callerOf({ headers }: FastifyRequest): Promise<string | undefined> {
      const { keys, tokens } = current
      const key = headers['x-api-key']
      const name = typeof key === 'string' ? keys?.nameOf(key) : undefined
      if (name !== undefined) return `key ${name}`
      const [, token] = /^bearer +([\w.~+/-]+=*)$/i.exec(headers.authorization ?? '') ?? []
      const subject = token === undefined ? undefined : await tokens?.subjectOf(token)
      return subject === undefined ? undefined : `token ${subject}`
    }

    app.addHook('onRequest', async (request, reply) => {
      if (PROBES.test(request.routeOptions.url ?? '')) return
      const open = !guarded || isPublic(request)
      const caller = open
        ? ''
        : await callerOf(request).catch(async (error) => {
            // Whoever can't be told from anybody is counted, too.
            await limit(request, reply)
            throw error
          })
      request.caller = caller ?? ''
      if (caller) logWith(request, reply, { caller })
      await limit(request, reply)
      if (caller !== undefined) return
      logWith(request, reply, { address: request.ip })
      reply.header('www-authenticate', challenge)
      throw coded('KSR_UNAUTHORIZED', [named])
    })
  },
  { name: 'access', dependencies: ['reloading'] },
)

type Counted = Extract<
  Awaited<ReturnType<ReturnType<FastifyInstance['createRateLimit']>>>,
  { isAllowed: false }
>

/** Counts requests of each caller, or where nobody is asked who they are, or is nobody, of each address. */
async function limiter(app: FastifyInstance, most: number) {
  const { default: rateLimit, normalizeIP } = await import('@fastify/rate-limit')
  await app.register(rateLimit, { global: false, cache: MOST_CALLERS })
  const count = app.createRateLimit({
    max: most,
    timeWindow: WINDOW_MS,
    keyGenerator: ({ caller, ip }) => caller || `address ${normalizeIP(ip)}`,
  })
  return async (request: FastifyRequest, reply: FastifyReply) => {
    // Nobody is on a list of those who are not counted.
    const { remaining, ttlInSeconds, isExceeded } = (await count(request)) as Counted
    reply.headers({
      'ratelimit-limit': most,
      'ratelimit-remaining': remaining,
      'ratelimit-reset': ttlInSeconds,
    })
    if (!isExceeded) return
    logWith(request, reply, { address: request.ip })
    throw coded('KSR_TOO_MANY_REQUESTS', [most], { retryAfter: ttlInSeconds })
  }
}

/** Has every further line about a request tell who sent it, or of one that is turned away from where it came. */
function logWith(request: FastifyRequest, reply: FastifyReply, fields: object): void {
  request.log = request.log.child(fields)
  reply.log = request.log
}

/** Whoever reaches an address of the network is answered: an operator is to have wanted that. */
function warnWhereOpen(app: FastifyInstance): void {
  app.addHook('onListen', async () => {
    const open = (app.addresses() as AddressInfo[]).filter(({ address }) => !LOOPBACK.test(address))
    if (open.length === 0) return
    const listens = open.map(({ address, port }) => `${address} port ${port}`)
    app.log.warn({ listens }, 'open to whoever reaches it: neither API_KEYS nor JWT_JWKS_URL is set')
  })
}
