import { buildApp } from './app.js'
import { loadConfig } from './config.js'

const app = buildApp(loadConfig({}))
await app.ready()
process.stdout.write(app.swagger({ yaml: true }))
await app.close()
