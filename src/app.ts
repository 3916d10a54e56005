import { randomUUID } from 'node:crypto'
import { parse } from 'node:querystring'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify from 'fastify'
import type { Config } from './config.js'
import { acceptJson } from './plugins/accept.js'
import { documentation } from './plugins/documentation.js'
import { draining } from './plugins/draining.js'
import { models as modelSet } from './plugins/models.js'
import { answerProblem, answerUnreadable, problems } from './plugins/problems.js'
import { RequestLog } from './plugins/request-log.js'
import { health } from './routes/health.js'
import { models } from './routes/models.js'
import { predict } from './routes/predict.js'
import { root } from './routes/root.js'
import { shared } from './schemas/shared.js'

const BODY_LIMIT = 64 * 1024
const HEADERS_TIMEOUT_MS = 5000
const REQUEST_TIMEOUT_MS = 10_000

/**
 * The whole service, not yet started. `ready()` or `listen()` load the models, and reject with the file and
 * the reason where one can't be served.
 * @param logTo where log lines go; stdout where it is left out
 */
export function buildApp(config: Config, logTo?: NodeJS.WritableStream) {
  const app = Fastify({
    logger: { level: config.logLevel, ...(logTo && { stream: logTo }) },
    logController: new RequestLog(),
    genReqId: () => randomUUID(),
    bodyLimit: BODY_LIMIT,
    // Fastify's defaults turn "48" into 48 and drop what they don't know: here a body is right or refused.
    ajv: {
      customOptions: {
        coerceTypes: false,
        removeAdditional: false,
        useDefaults: false,
        // OpenAPI's examples with names: nothing to validate.
        keywords: ['x-examples'],
      },
    },
    onProtoPoisoning: 'error',
    onConstructorPoisoning: 'error',
    // While closing, finish what keep-alive connections still send, rather than answer it with a bare 503.
    return503OnClosing: false,
    frameworkErrors: answerProblem,
    clientErrorHandler: answerUnreadable,
    requestTimeout: REQUEST_TIMEOUT_MS,
    // Node swaps the two where headers have longer, and looks for late ones only every half minute by default.
    http: { headersTimeout: HEADERS_TIMEOUT_MS, connectionsCheckingInterval: 1000 },
    rewriteUrl: ({ url = '/' }) => withoutBasePath(url, config.basePath),
    routerOptions: { querystringParser: parseQuery },
  }).withTypeProvider<TypeBoxTypeProvider>()

  app.removeContentTypeParser('text/plain')
  for (const schema of shared) app.addSchema(schema)

  app.register(problems)
  app.register(draining)
  app.register(modelSet, { config })
  app.register(documentation, { config })
  // Probes may ask as they like.
  app.register(health, { version: config.version })
  app.register(async (api) => {
    api.register(acceptJson)
    api.register(root, { version: config.version, basePath: config.basePath })
    api.register(models, { basePath: config.basePath })
    api.register(predict, { maxCandidates: config.maxCandidates })
  })
  return app
}

/** Query values are numbers where they are written as one, in the one plain way; everything else is text. */
function parseQuery(query: string): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(parse(query)).map(([name, value]) => {
      const plain = typeof value === 'string' && /^(0|[1-9]\d{0,14})$/.test(value)
      return [name, plain ? Number(value) : value]
    }),
  )
}

function withoutBasePath(url: string, basePath: string): string {
  if (!url.startsWith(basePath)) return url
  const rest = url.slice(basePath.length)
  if (rest === '' || rest.startsWith('?')) return `/${rest}`
  return rest.startsWith('/') ? rest : url
}
