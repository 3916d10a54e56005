import { stringify } from 'yaml'
import { buildApp } from './app.js'
import { loadConfig } from './config.js'

// Prints openapi.yaml: the routes as they describe themselves, and beside each example of a request the answer
// that the service gives to it.

interface Content {
  examples?: Record<string, { value: unknown }>
}
interface Operation {
  requestBody?: { content: Record<string, Content> }
  responses: Record<string, { content: Record<string, Content> }>
}

const JSON_TYPE = 'application/json'
const EXAMPLE_MODEL = 'rf'
const READ = ['/', '/models', '/models/{model}']

const app = buildApp(loadConfig({ LOG_LEVEL: 'silent' }))
const document = (await app.inject('/docs/json')).json()
const paths = document.paths as Record<string, { get?: Operation; post?: Operation }>

for (const [path, { get, post }] of Object.entries(paths)) {
  const url = path.replace('{model}', EXAMPLE_MODEL)
  if (get !== undefined && READ.includes(path)) {
    answered(get).examples = { example1: { value: (await app.inject(url)).json() } }
  }
  const requests = post?.requestBody?.content[JSON_TYPE]?.examples ?? {}
  const answers: [string, { value: unknown }][] = []
  for (const [name, { value }] of Object.entries(requests)) {
    answers.push([
      name,
      { value: (await app.inject({ method: 'POST', url, payload: value as object })).json() },
    ])
  }
  if (post !== undefined) answered(post).examples = Object.fromEntries(answers)
}

process.stdout.write(stringify(document, { aliasDuplicateObjects: false }))
await app.close()

function answered({ responses }: Operation): Content {
  return responses['200']?.content[JSON_TYPE] as Content
}
