import t from 'tap'
import { build } from '../fixtures/build.js'

t.test('a service whose models are loaded is well', async (t) => {
  const app = build(t)
  for (const url of ['/health', '/health/ready']) {
    const answer = await app.inject(url)
    t.equal(answer.statusCode, 200)
    const { uptime, ...rest } = answer.json()
    t.ok(uptime > 0)
    const version = /^\d+\.\d+\.\d+$/
    t.match(rest, {
      status: 'ok',
      version,
      models: { svm: 'ready', rf: 'ready', xgb: 'ready', best: 'ready' },
    })
  }
  t.same((await app.inject('/health/live')).json(), { status: 'ok' })
})

t.test('a service that is closing says so, and still answers what reaches it', async (t) => {
  const app = build(t)
  let url = ''
  const seen: [string, number][] = []
  app.register(async () => {
    app.addHook('preClose', async () => {
      for (const path of ['/health', '/health/ready', '/health/live', '/models']) {
        const answer = await fetch(url + path)
        t.equal(answer.headers.get('retry-after'), answer.status === 503 ? '1' : null)
        seen.push([path, answer.status])
        if (path === '/health') t.match(await answer.json(), { status: 'draining' })
      }
    })
  })
  url = await app.listen({ port: 0 })
  await app.close()
  t.same(seen, [
    ['/health', 503],
    ['/health/ready', 503],
    ['/health/live', 200],
    ['/models', 200],
  ])
})
