import { setImmediate as turn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { build, postTo } from '../fixtures/build.js'
import { faultyModels } from '../fixtures/faulty.js'

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
  const url = await app.listen({ port: 0 })
  const closed = app.close()
  while (!app.isDraining()) await turn()
  for (const [path, status] of [
    ['/health', 503],
    ['/health/ready', 503],
    ['/health/live', 200],
    ['/models', 200],
  ] as const) {
    const answer = await fetch(url + path)
    t.equal(answer.status, status, path)
    t.equal(answer.headers.get('retry-after'), status === 503 ? '1' : null)
    if (path === '/health') t.match(await answer.json(), { status: 'draining' })
  }
  await closed
})

/** Two keystrokes: the first one held for so long, and the second pressed so long after it was released. */
const typing = (hold: number, between: number) => ({
  keystrokes: [
    { press: 0, release: hold },
    { press: hold + between, release: hold + between + 3 },
  ],
})
const FINE = typing(4, 5)
const LONG = typing(60_000, 5)
const OVERLAPPING = typing(4, -2)

/** A service with models that fail, and what it says of them. */
function faulty(t: Test) {
  const app = build(t, { MODEL_DIR: faultyModels(t) })
  const ask = postTo(app)
  return {
    predict: async (model: string, typing: object) => (await ask(`/predict/${model}`, typing)).statusCode,
    async health(url = '/health') {
      const answer = await app.inject(url)
      const { status, models } = answer.json()
      t.equal(answer.headers['retry-after'], answer.statusCode === 503 ? '1' : undefined)
      t.equal((await app.inject('/health/live')).statusCode, 200)
      return { code: answer.statusCode, status, models }
    },
  }
}

t.test('a model that throws, or answers garbage, fails one request alone, and shows in health', async (t) => {
  const { predict, health } = faulty(t)
  const statuses = (model: string, bad: object) =>
    Promise.all([FINE, bad, FINE, FINE].map((typing) => predict(model, typing)))
  t.same(await statuses('throwing', LONG), [200, 500, 200, 200])
  t.same(await statuses('root', OVERLAPPING), [200, 500, 200, 200])
  t.match(await health(), { code: 200, status: 'ok', models: { throwing: 'ready', root: 'ready' } })

  t.equal(await predict('throwing', LONG), 500)
  t.match(await health(), { code: 200, status: 'ok', models: { throwing: 'failing', plain: 'ready' } })
  t.match(await health(), { models: { throwing: 'failing' } }, 'to be asked after it mends nothing')
  t.equal(await predict('throwing', FINE), 200)
  t.match(await health(), { models: { throwing: 'ready' } })

  t.equal(await predict('composed', OVERLAPPING), 500)
  t.match(await health(), { code: 200, models: { root: 'failing', composed: 'failing', both: 'ready' } })
  t.equal(await predict('root', FINE), 200)
  t.match(await health(), { models: { root: 'ready', composed: 'ready' } })
})

t.test(
  'a model that does not even answer what it has answered before has failed until it does',
  async (t) => {
    const { predict, health } = faulty(t)
    while ((await predict('moody', FINE)) === 200);
    const seen = new Set<string>()
    for (let i = 0; i < 50; i++) {
      const { code, status, models } = await health(i % 2 ? '/health' : '/health/ready')
      const failed = models.moody === 'failed'
      t.same({ code, status }, failed ? { code: 503, status: 'failed' } : { code: 200, status: 'ok' })
      seen.add(models.moody)
    }
    t.same([...seen].sort(), ['failed', 'failing'])
    while ((await predict('moody', FINE)) === 500);
    t.match(await health(), { code: 200, status: 'ok', models: { moody: 'ready' } })
  },
)
