import { stringify } from 'yaml'
import { buildApp } from './app.js'
import { loadConfig } from './config.js'

// Prints openapi.yaml: the routes as they describe themselves, and beside each example of a request the answer
// that the service gives to it.

interface Content {
  examples?: Record<string, { summary?: string; value: unknown }>
}
interface Operation {
  responses: Record<string, { content: Record<string, Content> }>
}
interface Post extends Operation {
  requestBody: { content: Record<string, Required<Content>> }
}

/** Which model answers an example where its path has a place for one; `rf` describes itself. */
const EXAMPLE_MODELS: Record<string, string> = { keystrokes: 'best', attempts: 'best' }
const EXAMPLE_MODEL = 'rf'
const READ = ['/', '/models', '/models/{model}', '/v2', '/v2/models/{model}']

const app = buildApp(loadConfig({ LOG_LEVEL: 'silent' }))
const document = (await app.inject('/docs/json')).json()
const paths = document.paths as Record<string, { get?: Operation; post?: Post }>

for (const [path, { get, post }] of Object.entries(paths)) {
  const url = (example = '') => {
    const model = EXAMPLE_MODELS[example] ?? EXAMPLE_MODEL
    return path.replace('{model}', model).replace('{version}', app.models.card(model).version)
  }
  if (get !== undefined && READ.includes(path)) {
    answered(get).examples = { example1: { value: (await app.inject(url())).json() } }
  }
  if (post === undefined) continue
  const answers: [string, { value: unknown }][] = []
  const [[type, { examples }]] = Object.entries(post.requestBody.content) as [[string, Required<Content>]]
  // Else each run would print other ids.
  const headers = { 'content-type': type, 'x-request-id': 'example' }
  for (const [name, { value }] of Object.entries(examples)) {
    const payload = typeof value === 'string' ? value : JSON.stringify(value)
    const answer = await app.inject({ method: 'POST', url: url(name), headers, payload })
    answers.push([name, { value: typeof value === 'string' ? answer.body : answer.json() }])
  }
  answered(post).examples = Object.fromEntries(answers)
}

process.stdout.write(stringify(document, { aliasDuplicateObjects: false }))
await app.close()

function answered({ responses }: Operation): Content {
  const [content] = Object.values(responses['200']?.content ?? {})
  return content as Content
}
