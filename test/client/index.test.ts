import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { promisify } from 'node:util'
import t from 'tap'
import { createClient, type Problem, type Recognition } from '../../src/client/index.js'
import { build, SUMMARY } from '../fixtures/build.js'
import { NOT_COVERED as env } from '../fixtures/commands.js'
import { Issuer } from '../fixtures/issuer.js'

const file = (path: string) => new URL(`../../${path}`, import.meta.url)
const text = (path: string) => readFileSync(file(path), 'utf8')
const json = (path: string) => JSON.parse(text(path))
const rf = { params: { path: { model: 'rf' } } }

t.test('the client asks the service, and its answer has the documented type', async (t) => {
  const baseUrl = await build(t).listen({ port: 0 })
  const { data } = await createClient({ baseUrl }).POST('/predict/{model}', {
    params: { path: { model: 'rf' }, query: { top: 2 } },
    body: SUMMARY,
  })
  const answer: Recognition | undefined = data
  t.same([answer?.user, answer?.candidates?.length], [84, 2])
})

t.test('a problem is told, not thrown', async (t) => {
  const baseUrl = await build(t).listen({ port: 0 })
  const { data, error, response } = await createClient({ baseUrl }).POST('/predict/{model}', {
    params: { path: { model: 'nobody' } },
    body: SUMMARY,
  })
  const problem: Problem | undefined = error
  t.same([data, response.status, problem?.code], [undefined, 404, 'KSR_MODEL_NOT_FOUND'])
})

t.test('a guarded service lets the client in with a key, or with a token', async (t) => {
  const issuer = await Issuer.start(t)
  const API_KEYS = `me:${createHash('sha256').update('secret').digest('hex')}`
  const baseUrl = await build(t, { ...issuer.settings(), API_KEYS }).listen({ port: 0 })
  const ask = async (who: { apiKey?: string; token?: string }) =>
    (await createClient({ baseUrl, ...who }).POST('/predict/{model}', { ...rf, body: SUMMARY })).response
      .status
  t.equal(await ask({}), 401)
  t.equal(await ask({ apiKey: 'secret' }), 200)
  t.equal(await ask({ token: await issuer.token() }), 200)
})

t.test('a fetch of its own is what sends the requests, also under a prefix', async (t) => {
  const app = build(t, { BASE_PATH: '/api' })
  const sent: string[] = []
  const client = createClient({
    baseUrl: `${await app.listen({ port: 0 })}/api`,
    fetch(request) {
      sent.push(new URL(request.url).pathname)
      return fetch(request)
    },
  })
  t.equal((await client.GET('/models')).data?.models.length, 7)
  t.same(sent, ['/api/models'])
})

t.test('the types of the client are what `npm run client` makes of openapi.yaml', async (t) => {
  const require = createRequire(import.meta.url)
  const cli = require.resolve('openapi-typescript').replace(/dist\/.*/, 'bin/cli.js')
  const { stdout } = await promisify(execFile)(process.execPath, [cli, 'openapi.yaml'], {
    cwd: file(''),
    env,
    maxBuffer: 2 ** 24,
  })
  t.equal(stdout.trim(), text('src/client/schema.ts').trim())
  t.match(json('package.json').scripts.client, 'openapi-typescript openapi.yaml ')
})

t.test('the package needs what it was tested with', async (t) => {
  const root = json('package.json')
  const client = json('src/client/package.json')
  t.same([client.engines, client.license], [root.engines, root.license])
  for (const [name, range] of Object.entries(client.dependencies)) t.equal(root.devDependencies[name], range)
})
