import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { parse } from 'yaml'
import { build } from './fixtures/build.js'

const committed = readFileSync(new URL('../openapi.yaml', import.meta.url), 'utf8')
const document = parse(committed)

t.test('openapi.yaml is what `npm run openapi` prints', async (t) => {
  const entry = fileURLToPath(new URL('../src/openapi.ts', import.meta.url))
  const { stdout, status } = spawnSync(process.execPath, [...process.execArgv, entry], { encoding: 'utf8' })
  t.equal(status, 0)
  t.equal(stdout, committed)
})

t.test('every route of the service is documented, and nothing else', async (t) => {
  const app = build(t)
  await app.ready()
  for (const [path, operations] of Object.entries<object>(document.paths)) {
    const url = path.replace(/\{(\w+)\}/g, ':$1')
    for (const method of Object.keys(operations))
      t.ok(app.hasRoute({ url, method: method as 'GET' }), `${method} ${url}`)
  }
  const documented = [
    '/',
    '/health',
    '/health/live',
    '/health/ready',
    '/metrics',
    '/models',
    '/models/{model}',
    '/predict',
    '/predict/{model}',
    '/predict/{model}/batch',
    '/predict/{model}/stream',
    '/v2',
    '/v2/health/live',
    '/v2/health/ready',
    '/v2/models/{model}',
    '/v2/models/{model}/infer',
    '/v2/models/{model}/ready',
    '/v2/models/{model}/versions/{version}',
    '/v2/models/{model}/versions/{version}/infer',
    '/v2/models/{model}/versions/{version}/ready',
    '/verify/{model}',
  ]
  t.same(Object.keys(document.paths).sort(), documented)
})

t.test('every example of a request gets exactly the documented answer', async (t) => {
  const app = build(t)
  let checked = 0
  for (const [path, { post }] of Object.entries<{ post?: Operation }>(document.paths)) {
    if (post === undefined) continue
    const [[type, { examples }]] = Object.entries(post.requestBody.content) as [[string, Content]]
    const [documented] = Object.values(post.responses[200].content)
    for (const [name, { value }] of Object.entries(examples)) {
      const model = name === 'summary' ? 'rf' : 'best'
      const { version } = (await app.inject(`/models/${model}`)).json()
      const answer = await app.inject({
        method: 'POST',
        url: path.replace('{model}', model).replace('{version}', version),
        headers: { 'content-type': type, 'x-request-id': 'example' },
        payload: typeof value === 'string' ? value : JSON.stringify(value),
      })
      t.equal(answer.statusCode, 200)
      const found = typeof value === 'string' ? answer.body : answer.json()
      t.same(found, documented?.examples[name]?.value, `${path} ${name}`)
      checked++
    }
  }
  t.equal(checked, 18)
})

interface Content {
  examples: Record<string, { value: unknown }>
}
interface Examples {
  content: Record<string, Content>
}
interface Operation {
  requestBody: Examples
  responses: { 200: Examples }
}
