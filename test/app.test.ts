import t from 'tap'
import { build, SUMMARY } from './fixtures/build.js'
import { pathsOn } from './fixtures/page.js'

t.test('BASE_PATH is taken off the requests that have it', async (t) => {
  const app = build(t, { BASE_PATH: '/api/v1' })
  for (const [url, status] of [
    ['/api/v1', 200],
    ['/api/v1/', 200],
    ['/api/v1?', 200],
    ['/api/v1/health', 200],
    ['/health', 200],
    ['/api/v1health', 404],
    ['/api/v2/health', 404],
  ] as const) {
    t.equal((await app.inject(url)).statusCode, status, url)
  }
  const answer = await app.inject({ method: 'POST', url: '/api/v1/predict/rf?top=1', payload: SUMMARY })
  t.match(answer.json(), { user: 84, candidates: [{ user: 84 }] })
})

t.test('links, and what the documentation loads, have BASE_PATH', async (t) => {
  const app = build(t, { BASE_PATH: '/api/v1' })
  const { links } = (await app.inject('/api/v1')).json()
  const { models } = (await app.inject('/api/v1/models')).json()
  const page = (await app.inject('/api/v1/docs')).body
  const assets = pathsOn(page, '/api/v1/docs')
  t.ok(assets.length > 3)
  const hrefs = models.map(({ href }: { href: string }) => href)
  for (const url of [...Object.values<string>(links), ...hrefs, ...assets]) {
    t.match(url, /^\/api\/v1\//)
    t.equal((await app.inject(url)).statusCode, 200, url)
  }
})

t.test('the documentation names the path under which the service is reached', async (t) => {
  const servers = async (settings: NodeJS.ProcessEnv) =>
    (await build(t, settings).inject('/docs/json')).json().servers
  t.same(await servers({}), [{ url: '/' }])
  t.same(await servers({ BASE_PATH: '/api/v1' }), [{ url: '/api/v1' }])
})

t.test('it is not ready where its models can not be served', async (t) => {
  const app = build(t, { MODEL_DIR: '/nowhere' })
  const reason = { code: 'KSR_MANIFEST', message: /\/nowhere\/manifest\.json/ }
  await t.rejects(async () => {
    await app.ready()
  }, reason)
})
