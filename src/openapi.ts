import { stringify } from 'yaml'
import { buildApp } from './app.js'
import { loadConfig } from './config.js'

// Prints openapi.yaml: what a service with the models of this repository says of itself at /docs/json.

const app = buildApp(loadConfig({ LOG_LEVEL: 'silent' }))
process.stdout.write(stringify((await app.inject('/docs/json')).json(), { aliasDuplicateObjects: false }))
await app.close()
