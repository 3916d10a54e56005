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
    t.match(rest, { status: 'ok', version, models: { svm: 'ready', rf: 'ready', xgb: 'ready' } })
  }
  t.same((await app.inject('/health/live')).json(), { status: 'ok' })
})

t.test('a service that is closing says so, and still finishes what it is asked', async (t) => {
  const app = build(t)
  let seen: number[] = []
  app.addHook('preClose', async () => {
    const statuses = ['/health', '/health/ready', '/health/live', '/models'].map((url) => app.inject(url))
    seen = (await Promise.all(statuses)).map(({ statusCode }) => statusCode)
    t.equal((await app.inject('/health')).json().status, 'draining')
  })
  await app.ready()
  await app.close()
  t.same(seen, [503, 503, 200, 200])
})
