import { tracingChannel } from 'node:diagnostics_channel'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { Config } from '../config.js'
import { ROW_CHANNEL, type RowMessage } from '../inference/batch.js'
import { logTrace } from './request-log.js'

declare module 'fastify' {
  interface FastifyInstance {
    /** Sends the traces that there are, before Lambda stops the process; there need be none. */
    flushTraces(): Promise<void>
  }
}

/**
 * Traces requests where there is a collector to send them to. What does so is loaded then only: it is much, and all
 * would pay for it at every start.
 */
export const tracing = fp(
  async (app: FastifyInstance, { config }: { config: Config }) => {
    const { tracesEndpoint: endpoint, version } = config
    if (endpoint === '') {
      app.decorate('flushTraces', async () => {})
      return
    }
    const { openTracing } = await import('../telemetry/tracing.js')
    const tracing = openTracing({
      endpoint,
      version,
      onReach(reached) {
        if (reached) app.log.info('traces are sent again')
        else app.log.warn('traces can not be sent')
      },
    })
    app.decorate('flushTraces', tracing.flush)
    await app.register(tracing.plugin)
    app.addHook('onRequest', (request, reply, done) => {
      const trace = tracing.begin(request)
      if (trace !== undefined) {
        // One that the caller began is the caller's, and in the log already.
        if (!reply.hasHeader('traceparent')) logTrace(request, reply, trace.traceId)
        reply.header('traceparent', trace.traceparent)
      }
      done()
    })
    app.addHook('preHandler', (request, _reply, done) => tracing.within(request, done))
    const rows = tracingChannel(ROW_CHANNEL)
    const starts = (row: unknown) => tracing.rowStarts(row as RowMessage)
    const ends = (row: unknown) => tracing.rowEnds(row as RowMessage)
    rows.start.subscribe(starts)
    rows.asyncEnd.subscribe(ends)
    app.addHook('onClose', async () => {
      rows.start.unsubscribe(starts)
      rows.asyncEnd.unsubscribe(ends)
      await tracing.close()
    })
  },
  { name: 'tracing' },
)
