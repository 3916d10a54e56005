import closeWithGrace from 'close-with-grace'
import { buildApp } from './app.js'
import { loadConfig } from './config.js'

const CLOSE_WITHIN_MS = 10_000

try {
  const config = loadConfig()
  const app = buildApp(config)
  closeWithGrace({ delay: CLOSE_WITHIN_MS, logger: app.log }, async ({ signal, err }) => {
    if (err) app.log.fatal({ err }, 'closing after a fault')
    else app.log.info({ signal }, 'closing')
    await app.close()
  })
  await app.listen({ port: config.port, host: config.host })
} catch (error) {
  console.error(`The service does not start. ${(error as Error).message}`)
  process.exit(1)
}
