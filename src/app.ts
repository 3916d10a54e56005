import type { IncomingMessage } from 'node:http'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { parse } from 'fast-querystring'
import Fastify, { type FastifyInstance } from 'fastify'
import type { Config } from './config.js'
import { type LineSink, standardOutput } from './log.js'
import { withoutOrigin, withoutPrefix } from './path.js'
import { access } from './plugins/access.js'
import { audit } from './plugins/audit.js'
import { AJV, type CompilersFactory, preferPrecompiled } from './plugins/compilers.js'
import { connections, SERVER, TIMEOUTS } from './plugins/connections.js'
import { cors } from './plugins/cors.js'
import { deadline } from './plugins/deadline.js'
import { documentation } from './plugins/documentation.js'
import { draining, drainingResponse } from './plugins/draining.js'
import { enrolment } from './plugins/enrolment.js'
import { idempotency } from './plugins/idempotency.js'
import { inferenceProtocol } from './plugins/inference-protocol.js'
import { metrics, type Peers } from './plugins/metrics.js'
import { models as modelSet } from './plugins/models.js'
import { negotiation } from './plugins/negotiation.js'
import { overload } from './plugins/overload.js'
import { answerProblem, answerUnreadable, problems } from './plugins/problems.js'
import { reloading } from './plugins/reloading.js'
import { requestIdOf } from './plugins/request-id.js'
import { RequestLog } from './plugins/request-log.js'
import { SECURITY_HEADERS, securityHeaders } from './plugins/security-headers.js'
import { tracing } from './plugins/tracing.js'
import { batch } from './routes/batch.js'
import { demo } from './routes/demo.js'
import { enrolled } from './routes/enrolled.js'
import { health } from './routes/health.js'
import { inferenceProtocol as inferenceRoutes } from './routes/inference-protocol.js'
import { metrics as metricsRoute } from './routes/metrics.js'
import { models } from './routes/models.js'
import { predict } from './routes/predict.js'
import { root } from './routes/root.js'
import { NDJSON, stream } from './routes/stream.js'
import { templates } from './routes/templates.js'
import { texts } from './routes/texts.js'
import { users } from './routes/users.js'
import { verify } from './routes/verify.js'
import { shared } from './schemas/shared.js'

export interface AppOptions {
  /** Where log lines go; stdout where it is left out. */
  logTo?: LineSink
  /** The id of a request that has just come in; what its caller calls it where this is left out. */
  requestId?: (request: IncomingMessage) => string
  /** What makes validators and serializers of the schemas. */
  compilersFactory?: CompilersFactory
  /** The other processes that serve on the port. */
  peers?: Peers | undefined
}

/**
 * The whole service, not yet started. `ready()` or `listen()` load the models, and reject with the file and
 * the reason where one can't be served.
 */
export function buildApp(
  config: Config,
  {
    logTo = standardOutput(),
    requestId = requestIdOf,
    compilersFactory = preferPrecompiled(),
    peers,
  }: AppOptions = {},
) {
  const drain = { closing: false }
  const requests = new RequestLog()
  const app = Fastify({
    logger: { level: config.logLevel, stream: logTo },
    logController: requests,
    genReqId: requestId,
    schemaController: { compilersFactory },
    bodyLimit: config.bodyLimit,
    // X-Forwarded-For is believed as far back as proxies of one's own have written it.
    trustProxy: config.trustProxy > 0 && ((_address: string, hop: number) => hop < config.trustProxy),
    ajv: AJV,
    onProtoPoisoning: 'error',
    onConstructorPoisoning: 'error',
    // While closing, finish what keep-alive connections still send, rather than answer it with a bare 503.
    return503OnClosing: false,
    // No hook runs for these.
    frameworkErrors(error, request, reply) {
      requests.follow(request, reply)
      answerProblem(error, request, reply.headers(SECURITY_HEADERS))
    },
    clientErrorHandler: answerUnreadable,
    ...TIMEOUTS,
    http: { ...SERVER, ServerResponse: drainingResponse(drain) },
    rewriteUrl: ({ url = '/' }) => withoutPrefix(withoutOrigin(url), config.basePath),
    routerOptions: { querystringParser: parseQuery },
  }).withTypeProvider<TypeBoxTypeProvider>()

  app.removeContentTypeParser('text/plain')

  // First: it has to see every route.
  app.register(tracing, { config })
  app.register(metrics, { config, requests, logTo, peers })
  app.register(deadline, { requests })
  app.register(securityHeaders)
  // Before access: a browser asks whether it may ask without a key.
  app.register(cors, { config })
  app.register(draining, { drain })
  app.register(reloading)
  app.register(connections, { maxConnections: config.maxConnections })
  app.register(overload, { config })
  // Before problems: who may not ask is not told what there is.
  app.register(access, { config })
  app.register(problems)
  app.register(modelSet, { config })
  app.register(enrolment, { config })
  const api = routes(config)
  app.register(documentation, { config, api })
  app.register(api)
  return app
}

/** The routes of the contract. */
function routes({
  version,
  codeDir,
  basePath,
  maxCandidates,
  bodyLimit,
  batchBodyLimit,
  metrics,
  functionName,
}: Config) {
  return async (app: FastifyInstance) => {
    for (const schema of shared) app.addSchema(schema)
    // Probes may ask as they like.
    app.register(health, { version })
    if (metrics && functionName === '') app.register(metricsRoute)
    app.register(demo, { codeDir })
    app.register(async (api) => {
      api.register(negotiation)
      api.register(root, { version, basePath })
      api.register(models, { basePath })
      api.register(predict, { maxCandidates })
      api.register(batch, { maxCandidates, batchBodyLimit })
      api.register(verify)
    })
    app.register(async (own) => {
      own.register(negotiation)
      own.register(audit)
      own.register(idempotency, { open: () => app.enrolment() })
      own.register(texts, { basePath })
      own.register(users, { basePath })
      own.register(enrolled, { maxCandidates, batchBodyLimit })
      own.register(templates, { batchBodyLimit })
    })
    app.register(
      async (v2) => {
        v2.register(inferenceProtocol)
        v2.register(inferenceRoutes, { version, maxCandidates, batchBodyLimit })
      },
      { prefix: '/v2' },
    )
    app.register(async (lines) => {
      lines.register(negotiation, { type: NDJSON })
      lines.register(stream, { maxCandidates, bodyLimit })
    })
  }
}

/** What JSON calls a number. No part of it can be read in two ways: a long value takes no longer than its length. */
const JSON_NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/

/** Query values are numbers where JSON would take them for one, as in bodies; everything else is text. */
function parseQuery(query: string): Record<string, unknown> {
  const values: Record<string, unknown> = parse(query)
  for (const name in values) {
    const value = values[name]
    if (typeof value === 'string' && JSON_NUMBER.test(value)) values[name] = Number(value)
  }
  return values
}
