import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { Config } from '../config.js'
import { BATCH_CHANNEL, rowsWaiting } from '../inference/batch.js'
import { EmfLog } from '../telemetry/emf.js'
import { exposition, type Family, Metrics } from '../telemetry/metrics.js'
import type { Recorder, Refusal, Run } from '../telemetry/recorder.js'
import type { RequestLog } from './request-log.js'

declare module 'fastify' {
  interface FastifyInstance {
    metrics: {
      /** Counts a request that is not let through, or not answered in time, although nothing is wrong with it. */
      refused(reason: Refusal): void
      /** The metrics of all processes that serve on the port, as Prometheus reads them. */
      scrape(): Promise<string>
      /** Writes what an invocation of Lambda came to, before it ends. */
      flush(): void
    }
  }
}

/** The processes that serve on one port. */
export interface Peers {
  /** What this one answers when it is asked. */
  answer(own: () => unknown): void
  /** What each of them answers, this one included, by its number; rejects where not all do. */
  ask(): Promise<ReadonlyMap<number, unknown>>
}

export interface MetricsOptions {
  config: Config
  requests: RequestLog
  /** Where lines of the log go. */
  logTo: { write(line: string): void }
  /** None where one process serves. */
  peers?: Peers | undefined
}

/** Counts what happens: for Prometheus, or on Lambda, where nobody could ask every sandbox, in lines of the log. */
export const metrics = fp(
  async (app: FastifyInstance, { config, requests, logTo, peers }: MetricsOptions) => {
    app.decorate('metrics', {
      refused: (reason) => requests.recorder?.refused(reason),
      scrape: async () => '',
      flush() {},
    })
    if (!config.metrics) return
    if (config.functionName !== '') {
      const emf = new EmfLog(config.functionName, (line) => logTo.write(line))
      app.metrics.flush = () => emf.flush()
      return record(app, requests, emf)
    }
    const metrics = new Metrics({
      version: config.version,
      models: () => app.models.cards,
      inFlight: () => requests.inFlight,
      rowsWaiting,
    })
    const own = () => metrics.collect()
    peers?.answer(own)
    app.metrics.scrape = async () =>
      exposition(peers ? await ofAll(peers) : [{ labels: {}, families: own() }])
    app.addHook('onReady', async () => metrics.open())
    app.addHook('onClose', async () => metrics.close())
    record(app, requests, metrics)
  },
  { name: 'metrics' },
)

/** Each process keeps its own numbers: where one ends and another takes its place, no sum jumps. */
async function ofAll(peers: Peers) {
  const answers = [...(await peers.ask())].sort(([one], [other]) => one - other)
  return answers.map(([worker, families]) => ({
    labels: { worker: String(worker) },
    families: families as Family[],
  }))
}

function record(app: FastifyInstance, requests: RequestLog, recorder: Recorder): void {
  requests.recorder = recorder
  const ran = (run: unknown) => recorder.ran(run as Run)
  // What models are tried with when they are loaded is no request.
  app.addHook('onReady', async () => subscribe(BATCH_CHANNEL, ran))
  app.addHook('onClose', async () => {
    unsubscribe(BATCH_CHANNEL, ran)
  })
}
