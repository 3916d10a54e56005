import cluster from 'node:cluster'
import closeWithGrace from 'close-with-grace'
import { buildApp } from './app.js'
import { type Config, loadConfig } from './config.js'
import { hearOrders, RELOAD_SIGNALS, runWorkers, STOP_SIGNALS, workerPeers } from './workers.js'

const CLOSE_WITHIN_MS = 10_000

/** Faults of native code: a process that listens to them does not end, but meets the same fault again for ever. */
const FAULT_SIGNALS = ['SIGILL', 'SIGTRAP', 'SIGABRT', 'SIGBUS', 'SIGFPE', 'SIGSEGV'] as const

try {
  const config = loadConfig()
  if (config.workers > 1 && cluster.isPrimary) process.exit(await runWorkers(config.workers))
  await serve(config)
} catch (error) {
  console.error(`The service does not start. ${(error as Error).message}`)
  process.exit(1)
}

async function serve(config: Config): Promise<void> {
  const app = buildApp(config, { peers: cluster.isWorker ? workerPeers() : undefined })
  const { close } = closeWithGrace(
    {
      delay: CLOSE_WITHIN_MS,
      logger: app.log,
      skip: [...FAULT_SIGNALS, ...RELOAD_SIGNALS, ...(cluster.isWorker ? STOP_SIGNALS : [])],
    },
    async ({ signal, err }) => {
      if (err) app.log.fatal({ err }, 'closing after a fault')
      else app.log.info({ signal }, 'closing')
      await app.close()
    },
  )
  const reload = async () => {
    await app.ready()
    await app.reload()
  }
  if (cluster.isWorker) hearOrders({ close, reload })
  else for (const signal of RELOAD_SIGNALS) process.on(signal, reload)
  await app.listen({ port: config.port, host: config.host })
}
