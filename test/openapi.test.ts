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
    '/texts',
    '/texts/{text}',
    '/texts/{text}/identify',
    '/texts/{text}/identify/batch',
    '/texts/{text}/templates',
    '/texts/{text}/users',
    '/texts/{text}/users/{user}',
    '/texts/{text}/users/{user}/samples',
    '/texts/{text}/users/{user}/samples/{sample}',
    '/texts/{text}/verify',
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
    if (post === undefined || path.startsWith('/texts')) continue
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

t.test('the examples of enrolment work one after the other, and end with what was enrolled', async (t) => {
  const app = build(t)
  const answers: Record<string, { statusCode: number; body: string }> = {}
  for (const [path, operations] of Object.entries<Record<string, Own>>(document.paths)) {
    if (!path.startsWith('/texts')) continue
    for (const [method, { operationId, parameters, requestBody }] of Object.entries(operations)) {
      const url = path.replaceAll(
        /\{(\w+)\}/g,
        (_, part) => parameters.find(({ name }) => name === part)?.example ?? '',
      )
      const examples = Object.entries(requestBody?.content['application/json']?.examples ?? {})
      for (const [name, { value }] of examples) {
        const asked = { method: method.toUpperCase() as 'PUT', url, payload: value as object }
        answers[`${operationId} ${name}`] = await app.inject(asked)
      }
    }
  }
  const statuses = Object.fromEntries(
    Object.entries(answers).map(([name, { statusCode }]) => [name, statusCode]),
  )
  t.same(statuses, {
    'putText text': 201,
    'enrol attempts': 201,
    'enrol keystrokes': 201,
    'identify keystrokes': 200,
    'identify attempts': 200,
    'identifyBatch keystrokes': 200,
    'verifyEnrolled keystrokes': 200,
    'verifyEnrolled attempts': 200,
    'importTemplates empty': 200,
  })
  const answer = (name: string) => JSON.parse(answers[name]?.body as string)
  t.match(answer('enrol attempts'), { enough: true, state: 'ready', quality: [] })
  for (const name of ['identify keystrokes', 'identify attempts'])
    t.match(answer(name), { user: 'anna', decision: 'known', quality: [] })
  t.match(answer('identifyBatch keystrokes').predictions, [{ decision: 'known' }, { decision: 'known' }])
  for (const name of ['verifyEnrolled keystrokes', 'verifyEnrolled attempts'])
    t.match(answer(name), { user: 'anna', match: true, quality: [] })
  t.same(answer('importTemplates empty'), { imported: 0, kept: [] })
})

interface Own {
  operationId: string
  parameters: { name: string; example?: string }[]
  requestBody?: Examples
}
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
