// The service as it is, or with a classifier that always answers the same: the port and CONSTANT in the environment.
import { subscribe } from 'node:diagnostics_channel'
import { Session } from 'node:inspector/promises'
import { buildApp } from '../../dist/app.js'
import { loadConfig } from '../../dist/config.js'
import { BATCH_CHANNEL } from '../../dist/inference/batch.js'

const config = loadConfig()
const app = buildApp(config)
await app.ready()
if (process.env.CONSTANT) {
  const answer = { user: 84, model: 'constant', version: '000000000000' }
  app.models.get = () => ({ classify: async () => answer })
}
const batches = { runs: 0, rows: 0 }
subscribe(BATCH_CHANNEL, ({ rows }) => {
  batches.runs++
  batches.rows += rows
})
const profiler = new Session()
profiler.connect()
await profiler.post('Profiler.enable')
await profiler.post('Profiler.setSamplingInterval', { interval: 200 })
const answers = {
  batches: () => batches,
  'start profile': () => profiler.post('Profiler.start'),
  'stop profile': () => profiler.post('Profiler.stop'),
}
process.on('message', async (question) => process.send(await answers[question]()))
await app.listen({ port: config.port, host: config.host })
process.on('disconnect', () => process.exit())
