import { setTimeout as wait } from 'node:timers/promises'
import { FastifyOtelInstrumentation } from '@fastify/otel'
import { context, propagation, type Span, SpanStatusCode, trace } from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import {
  defaultResource,
  detectResources,
  envDetector,
  resourceFromAttributes,
} from '@opentelemetry/resources'
import {
  BatchSpanProcessor,
  NodeTracerProvider,
  type ReadableSpan,
  type SpanExporter,
} from '@opentelemetry/sdk-trace-node'
import type { FastifyPluginCallback, FastifyRequest } from 'fastify'
import { MONITORED, methodLabel } from './recorder.js'

// All of OpenTelemetry is behind this file, which is loaded only where traces are sent somewhere.

const METHOD = 'http.request.method'
const STATUS = 'http.response.status_code'
const MODEL = 'keystroke.model'
const ROWS = 'keystroke.batch.rows'
/** What a span says when it leaves the process, whatever else the instrumentation wrote into it. */
const SAID = [METHOD, 'http.route', STATUS, MODEL, ROWS]

const FLUSH_WITHIN_MS = 250
const CLOSE_WITHIN_MS = 2000

export interface TracingOptions {
  /** The URL that traces are sent to. */
  endpoint: string
  /** The version of the service. */
  version: string
  /** Is told when traces can't be sent any more, and when they can again. */
  onReach(reached: boolean): void
}

/** A row on its way through a model. */
interface Row {
  model: string
  rows: number
  error?: unknown
}

export interface Tracing {
  /** Makes a span for each request. */
  plugin: FastifyPluginCallback
  /** Names the span of a request, and says what it is called elsewhere; undefined where it has none. */
  begin(request: FastifyRequest): { traceId: string; traceparent: string } | undefined
  /** Runs what belongs to a request: reading a body loses sight of it. */
  within(request: FastifyRequest, run: () => void): void
  rowStarts(row: Row): void
  rowEnds(row: Row): void
  /** Sends what there is, before Lambda stops the process; not for longer than anybody wants to wait. */
  flush(): Promise<void>
  close(): Promise<void>
}

/**
 * Traces requests, and what they wait for in a model, and sends that to a collector. Sampling, headers and limits are
 * OpenTelemetry's own settings of the environment. A collector that is down delays nothing: spans are sent beside
 * requests, few are kept, and the rest dropped.
 */
export function openTracing({ endpoint, version, onReach }: TracingOptions): Tracing {
  let reached = true
  const reach = (now: boolean) => {
    if (now !== reached) onReach(now)
    reached = now
  }
  const resource = resourceFromAttributes({
    'service.name': 'keystroke-recognition',
    'service.version': version,
  })
  const provider = new NodeTracerProvider({
    resource: defaultResource()
      .merge(resource)
      .merge(detectResources({ detectors: [envDetector] })),
    spanProcessors: [new BatchSpanProcessor(tidied(new OTLPTraceExporter({ url: endpoint }), reach))],
  })
  provider.register()
  const instrumentation = new FastifyOtelInstrumentation({
    ignorePaths: ({ url }) => MONITORED.test(url),
    instrumentHandler: false,
    instrumentHooks: false,
    recordExceptions: false,
  })
  instrumentation.setTracerProvider(provider)
  const tracer = provider.getTracer('keystroke-recognition', version)
  const spans = new WeakMap<Row, Span>()

  return {
    plugin: instrumentation.plugin(),

    begin(request) {
      const { span } = request.opentelemetry()
      if (!span) return undefined
      const route = request.routeOptions.url
      span.updateName([methodLabel(request.method), ...(route === undefined ? [] : [route])].join(' '))
      const { traceId, spanId, traceFlags } = span.spanContext()
      return { traceId, traceparent: `00-${traceId}-${spanId}-0${traceFlags}` }
    },

    within(request, run) {
      context.with(request.opentelemetry().context ?? context.active(), run)
    },

    rowStarts(row) {
      // What models are tried with when they are loaded is no request.
      if (!trace.getActiveSpan()) return
      spans.set(row, tracer.startSpan('inference', { attributes: { [MODEL]: row.model } }))
    },

    rowEnds(row) {
      const span = spans.get(row)
      if (!span) return
      if (row.error !== undefined) span.setStatus({ code: SpanStatusCode.ERROR })
      span.setAttribute(ROWS, row.rows).end()
    },

    async flush() {
      // Whoever found out that nothing can be sent has waited for all others.
      const wanted = reached ? FLUSH_WITHIN_MS : 0
      const inTime = await within(wanted, provider.forceFlush())
      if (!inTime) reach(false)
    },

    async close() {
      await within(CLOSE_WITHIN_MS, provider.shutdown())
      for (const api of [trace, context, propagation]) api.disable()
    },
  }
}

/** Whether that is done in time, well or not. */
async function within(ms: number, doing: Promise<void>): Promise<boolean> {
  const late = new AbortController()
  const done = doing.then(
    () => true,
    () => true,
  )
  const inTime = await Promise.race([done, wait(ms, false, { signal: late.signal }).catch(() => false)])
  late.abort()
  return inTime
}

/** An exporter of no more than may be told, which tells whether it reaches anybody. */
function tidied(exporter: SpanExporter, reach: (now: boolean) => void): SpanExporter {
  return {
    export(spans, done) {
      exporter.export(spans.map(tidy), (result) => {
        reach(result.code === 0)
        done(result)
      })
    },
    shutdown: () => exporter.shutdown(),
  }
}

/**
 * The span without what must not leave the process: the URL with its query, what the caller's trace carries along, and
 * what an error says, which may be a part of the body. A refusal is no error of the service.
 */
function tidy(span: ReadableSpan): ReadableSpan {
  const said = Object.entries(span.attributes).filter(([name]) => SAID.includes(name))
  const attributes = Object.fromEntries(said)
  if (METHOD in attributes) attributes[METHOD] = methodLabel(String(attributes[METHOD]))
  const status = attributes[STATUS]
  const failed = status === undefined ? span.status.code === SpanStatusCode.ERROR : Number(status) >= 500
  const { traceState: _callers, ...context } = span.spanContext()
  return Object.create(span, {
    spanContext: { value: () => context },
    attributes: { value: attributes },
    events: { value: [] },
    status: { value: { code: failed ? SpanStatusCode.ERROR : SpanStatusCode.UNSET } },
  })
}
