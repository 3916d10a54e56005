import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { parse } from 'yaml'
import { build } from '../fixtures/build.js'
import { Connection } from '../fixtures/connection.js'
import { copyModels, editManifest, TYPISTS } from '../fixtures/models.js'
import { pathsOn } from '../fixtures/page.js'

t.test('the page and all that it loads are there, by GET and by HEAD', async (t) => {
  const app = build(t)
  const page = await app.inject('/docs')
  t.match(page.headers['content-type'], /text\/html/)
  const assets = pathsOn(page.body, '/docs')
  t.ok(assets.length > 3)
  for (const url of assets) {
    const asset = await app.inject(url)
    t.equal(asset.statusCode, 200, url)
    const head = await app.inject({ method: 'HEAD', url })
    t.equal(head.headers['content-length'], String(asset.rawPayload.length))
    t.equal(head.body, '')
  }
})

t.test('a browser that has a file already is not sent it again', async (t) => {
  const app = build(t)
  const url = '/docs/static/swagger-ui.css'
  const { etag } = (await app.inject(url)).headers
  const answer = await app.inject({ url, headers: { 'if-none-match': etag } })
  t.equal(answer.statusCode, 304)
  t.equal(answer.body, '')
})

t.test('what is not there is a problem document, with the id of the request', async (t) => {
  const app = build(t, {}, { requestId: () => 'this-one' })
  const answer = await app.inject('/docs/static/nothing.js')
  t.match(answer.json(), { status: 404, code: 'KSR_ROUTE_NOT_FOUND', instance: 'this-one' })
})

t.test('no path leads out of it to the routes that it describes', async (t) => {
  const app = build(t)
  await app.listen({ port: 0 })
  const { port } = app.server.address() as AddressInfo
  for (const path of [
    '/docs/../models',
    '/docs/%2e%2e/health',
    '/docs/../',
    '/docs/..',
    '/docs/static/%00',
  ]) {
    const connection = await Connection.open(`http://127.0.0.1:${port}`)
    connection.write(`GET ${path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n`)
    const answer = await connection.answer()
    t.equal(answer?.status, 404, path)
    t.match(JSON.parse(answer?.body ?? '{}'), { code: 'KSR_ROUTE_NOT_FOUND' })
  }
})

t.test('the contract is there as JSON and as YAML', async (t) => {
  const app = build(t, { MAX_CANDIDATES: '7' })
  const { paths } = (await app.inject('/docs/json')).json()
  t.equal(
    paths['/predict/{model}'].post.parameters.find(({ name }: { name: string }) => name === 'top').schema
      .maximum,
    7,
  )
  t.match((await app.inject('/docs/yaml')).body, /^openapi: 3\.1\.1$/m)
})

interface Content {
  examples: Record<string, { summary: string; value: Body }>
}
interface Examples {
  content: Record<string, Content>
}
interface Body {
  Model?: string
  user?: unknown
  version?: string
  keystrokes?: object[]
  attempts?: { keystrokes: object[] }[]
}
interface Post {
  parameters: { name: string; example?: string }[]
  requestBody: Examples
  responses: { 200: Examples }
}

/** What the page shows of a request: what is sent, the model it goes to, and what is answered. */
async function examplesOf(app: ReturnType<typeof build>) {
  const { paths } = (await app.inject('/docs/json')).json()
  return Object.entries<{ post?: Post }>(paths).flatMap(([path, { post }]) => {
    // Users of one's own: another test sends these.
    if (post === undefined || path.startsWith('/texts')) return []
    const [[type, { examples }]] = Object.entries(post.requestBody.content) as [[string, Content]]
    const [{ examples: answers }] = Object.values(post.responses[200].content) as [Content]
    return Object.entries(examples).map(([name, { summary, value }]) => {
      const model = / to (\w+)$/.exec(summary)?.[1] as string
      return {
        path,
        name,
        headers: { 'content-type': type, 'x-request-id': 'example' },
        body: value,
        url: path.replace('{model}', model).replace('{version}', app.models.card(model).version),
        answer: answers[name]?.value,
        model: post.parameters.find(({ name }) => name === 'model')?.example,
      }
    })
  })
}

t.test('the page has the examples of openapi.yaml, and what is answered to them', async (t) => {
  const committed = readFileSync(new URL('../../openapi.yaml', import.meta.url), 'utf8')
  t.same((await build(t).inject('/docs/json')).json(), parse(committed))
})

for (const [models, settings, most] of [
  ['of a text of five keys', { MODEL_DIR: TYPISTS }, 18],
  ['that take the eight numbers only', { MODELS: 'svm' }, 10],
  ['that take raw keystrokes only', { MODELS: 'templates' }, 12],
] as const) {
  t.test(`with models ${models} every example is answered as the page says`, async (t) => {
    const app = build(t, settings)
    const examples = await examplesOf(app)
    t.equal(examples.length, most)
    const named = (await app.inject('/models')).json().models.map(({ name }: { name: string }) => name)
    for (const { path, name, url, headers, body, answer, model } of examples) {
      const payload = typeof body === 'string' ? body : JSON.stringify(body)
      const asked = await app.inject({ method: 'POST', url, headers, payload })
      t.equal(asked.statusCode, 200, `${path} ${name}`)
      t.same(typeof answer === 'string' ? asked.body : asked.json(), answer, `${path} ${name}`)
      if (path.includes('{model}')) t.ok(named.includes(model), model ?? 'no model')
    }
  })
}

t.test('after a reload the examples are answered by the other models', async (t) => {
  const MODEL_DIR = copyModels(t)
  const app = build(t, { MODEL_DIR, MODELS: 'rf' })
  const version = async () => (await examplesOf(app))[0]?.answer?.version
  const before = await version()
  t.equal(await version(), before)
  editManifest(MODEL_DIR, (manifest) => {
    for (const model of manifest.models) model.version = 'another'
  })
  await app.reload()
  t.equal(await version(), 'another')
})

t.test('the examples are nobody’s requests: they need no key, and none is counted', async (t) => {
  const hash = createHash('sha256').update('secret').digest('hex')
  const app = build(t, {
    API_KEYS: `app:${hash}`,
    PUBLIC_ROUTES: 'docs,metrics',
    VERIFY_FAILURES: '1',
    RATE_LIMIT: '9',
  })
  const examples = await examplesOf(app)
  const { url, body } = examples.find(({ path }) => path.startsWith('/verify')) ?? {}
  const headers = { 'x-api-key': 'secret' }
  const claim = await app.inject({ method: 'POST', url: url as string, payload: body as object, headers })
  t.equal(claim.statusCode, 200)
  t.equal(claim.headers['ratelimit-remaining'], '8')
  const counted = (await app.inject('/metrics')).body.match(
    /^keystroke_http_requests_total.*route="\/verify.*$/gm,
  )
  t.same(
    counted?.map((line) => line.replace(/^.* /, '')),
    ['1'],
  )
})

t.test('what is said of texts and users is the same whatever models there are', async (t) => {
  const own = async (settings: NodeJS.ProcessEnv) => {
    const { paths } = (await build(t, settings).inject('/docs/json')).json()
    return Object.fromEntries(Object.entries(paths).filter(([path]) => path.startsWith('/texts')))
  }
  const shipped = await own({})
  t.equal(Object.keys(shipped).length, 10)
  t.match(shipped['/texts/{text}'], {
    put: {
      parameters: [
        { name: 'text', example: 'motto' },
        { in: 'header', name: 'Idempotency-Key', required: false },
        { in: 'header', name: 'If-Match', required: false },
        { in: 'header', name: 'If-None-Match', required: false },
      ],
    },
  })
  t.same(await own({ MODEL_DIR: TYPISTS }), shipped)
})

t.test('what a model knows and does not tell is on no page', async (t) => {
  t.notMatch((await build(t).inject('/docs/json')).body, '"check"')
})
