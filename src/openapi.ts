import { stringify } from 'yaml'
import { buildApp } from './app.js'
import { loadConfig } from './config.js'

// Prints openapi.yaml: the routes as they describe themselves, and beside each example of a request the answer
// that the service gives to it.

const JSON_TYPE = 'application/json'

interface Content {
  examples?: Record<string, { summary?: string; value: unknown }>
}
interface Operation {
  responses: Record<string, { content: Record<string, Content> }>
}
interface Post extends Operation {
  requestBody: { content: { [JSON_TYPE]: Required<Content> } }
}

/** Which model answers an example where its path has a place for one; `rf` describes itself. */
const EXAMPLE_MODELS: Record<string, string> = { keystrokes: 'best', attempts: 'best' }
const EXAMPLE_MODEL = 'rf'
const READ = ['/', '/models', '/models/{model}']

const app = buildApp(loadConfig({ LOG_LEVEL: 'silent' }))
const document = (await app.inject('/docs/json')).json()
const paths = document.paths as Record<string, { get?: Operation; post?: Post }>

for (const [path, { get, post }] of Object.entries(paths)) {
  const url = (example = '') => path.replace('{model}', EXAMPLE_MODELS[example] ?? EXAMPLE_MODEL)
  if (get !== undefined && READ.includes(path)) {
    answered(get).examples = { example1: { value: (await app.inject(url())).json() } }
  }
  if (post === undefined) continue
  const answers: [string, { value: unknown }][] = []
  for (const [name, { value }] of Object.entries(post.requestBody.content[JSON_TYPE].examples)) {
    const answer = await app.inject({ method: 'POST', url: url(name), payload: value as object })
    answers.push([name, { value: answer.json() }])
  }
  answered(post).examples = Object.fromEntries(answers)
}

process.stdout.write(stringify(document, { aliasDuplicateObjects: false }))
await app.close()

function answered({ responses }: Operation): Content {
  return responses['200']?.content[JSON_TYPE] as Content
}
