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
    const url = path.replace('{model}', ':model')
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
    '/verify/{model}',
  ]
  t.same(Object.keys(document.paths).sort(), documented)
})

t.test('every example of a request gets exactly the documented answer', async (t) => {
  const app = build(t)
  let checked = 0
  for (const [path, { post }] of Object.entries<{ post?: Operation }>(document.paths)) {
    if (post === undefined) continue
    const { examples } = post.requestBody.content['application/json']
    for (const [name, { value }] of Object.entries(examples)) {
      const answer = await app.inject({
        method: 'POST',
        url: path.replace('{model}', name === 'summary' ? 'rf' : 'best'),
        payload: value as object,
      })
      t.equal(answer.statusCode, 200)
      t.same(
        answer.json(),
        post.responses['200'].content['application/json'].examples[name]?.value,
        `${path} ${name}`,
      )
      checked++
    }
  }
  t.equal(checked, 11)
})

interface Examples {
  content: { 'application/json': { examples: Record<string, { value: unknown }> } }
}
interface Operation {
  requestBody: Examples
  responses: { 200: Examples }
}
