import { tracingChannel } from 'node:diagnostics_channel'
import { PassThrough } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import { coded } from '../../src/errors.js'
import { ROW_CHANNEL } from '../../src/inference/batch.js'
import { build, SUMMARY } from '../fixtures/build.js'
import { Connection } from '../fixtures/connection.js'
import { readGolden } from '../fixtures/models.js'
import { parseScrape, values } from '../fixtures/scrape.js'

const KEYSTROKES = readGolden().keystrokes[0]?.keystrokes

async function scrape(app: ReturnType<typeof build>) {
  return parseScrape((await app.inject('/metrics')).body)
}

t.test('what was answered is counted by route, method and status, and how long it took', async (t) => {
  const app = build(t)
  for (let i = 0; i < 3; i++)
    await app.inject({ method: 'POST', url: `/predict/rf?top=${i + 1}`, payload: SUMMARY })
  await app.inject({ method: 'POST', url: '/predict/knn', payload: SUMMARY })
  await app.inject('/models/rf')
  const found = await scrape(app)
  for (const name of ['keystroke_http_requests_total', 'keystroke_http_request_duration_seconds_count']) {
    t.same(values(found, name, { route: '/predict/:model', method: 'POST', status: '200' }), [3])
    t.same(values(found, name, { route: '/predict/:model', method: 'POST', status: '404' }), [1])
    t.same(values(found, name, { route: '/models/:model', method: 'GET', status: '200' }), [1])
  }
  const [sum] = values(found, 'keystroke_http_request_duration_seconds_sum', { status: '404' })
  t.ok((sum as number) > 0 && (sum as number) < 1)
})

t.test('the runs of models are counted, those that they are tried with at the start left out', async (t) => {
  const app = build(t)
  t.same(values(await scrape(app), 'keystroke_batch_rows_count'), [])
  const ask = (url: string, payload: object) => app.inject({ method: 'POST', url, payload })
  await Promise.all([ask('/predict/rf', SUMMARY), ask('/predict/rf', SUMMARY), ask('/predict/rf', SUMMARY)])
  await ask('/predict/best', { keystrokes: KEYSTROKES })
  const found = await scrape(app)
  t.same(values(found, 'keystroke_batch_rows_sum', { model: 'rf' }), [3])
  t.same(values(found, 'keystroke_batch_rows_count', { model: 'rf' }), [1])
  const seconds = values(found, 'keystroke_inference_duration_seconds_sum')
  t.equal(seconds.length, 3, 'best is its members')
  for (const sum of seconds) t.ok(sum > 1e-6 && sum < 1, `${sum}`)
  t.same(values(found, 'keystroke_rows_waiting'), [0])
})

t.test('rows that wait and requests in flight are counted as long as they do', async (t) => {
  const app = build(t)
  await app.ready()
  let begun = 0
  let scraped: Promise<string> | undefined
  // The fifth row has not joined the other four yet.
  const note = () => {
    if (++begun === 5) scraped = app.metrics.scrape()
  }
  const { start } = tracingChannel(ROW_CHANNEL)
  start.subscribe(note)
  t.teardown(() => start.unsubscribe(note))
  const ask = () => app.inject({ method: 'POST', url: '/predict/svm', payload: SUMMARY })
  await Promise.all(Array.from({ length: 5 }, ask))
  const meanwhile = parseScrape((await scraped) as string)
  t.same(values(meanwhile, 'keystroke_rows_waiting'), [4])
  t.same(values(meanwhile, 'keystroke_http_requests_in_flight'), [5])
  const found = await scrape(app)
  t.same(values(found, 'keystroke_rows_waiting'), [0])
  t.same(values(found, 'keystroke_http_requests_in_flight'), [1], 'the scrape itself')
})

t.test(
  'who hangs up before the answer is counted and logged as one who did, and waits no longer',
  async (t) => {
    const logTo = new PassThrough()
    const app = build(t, { LOG_LEVEL: 'info' }, { logTo })
    let answer = () => {}
    let came = () => {}
    const arrived = new Promise<void>((resolve) => {
      came = resolve
    })
    app.get('/slow', () => {
      came()
      return new Promise((resolve) => {
        answer = () => resolve({ a: 1 })
      })
    })
    const connection = await Connection.open(await app.listen({ port: 0 }))
    connection.write('GET /slow?canary HTTP/1.1\r\nhost: test\r\n\r\n')
    await arrived
    connection.destroy()
    for (let found = [0]; found[0] === 0; ) {
      await wait(10)
      found = values(await scrape(app), 'keystroke_http_requests_aborted_total')
    }
    answer()
    await wait(50)
    const found = await scrape(app)
    t.same(values(found, 'keystroke_http_requests_aborted_total'), [1])
    t.same(values(found, 'keystroke_http_requests_total', { route: '/slow' }), [])
    t.same(values(found, 'keystroke_http_requests_in_flight'), [1], 'the scrape itself')
    const lines = logTo.read().toString()
    t.match(lines, /"level":30.*"method":"GET","route":"\/slow","msg":"request given up"/)
    t.notMatch(lines, /canary/)
  },
)

t.test('what is refused although nothing is wrong with it is counted by its reason', async (t) => {
  const app = build(t)
  app.register(async (app) => {
    app.get('/refused/:code', ({ params }) => {
      throw coded((params as { code: 'KSR_TIMEOUT' }).code, [1])
    })
  })
  for (const code of ['UNAUTHORIZED', 'TOO_MANY_REQUESTS', 'CLAIMS_PAUSED', 'TIMEOUT', 'INVALID_JSON'])
    await app.inject(`/refused/KSR_${code}`)
  app.metrics.refused('overload')
  const found = await scrape(app)
  const reasons = found.get('keystroke_requests_refused_total')?.samples
  t.same(Object.fromEntries((reasons ?? []).map(({ labels, value }) => [labels.reason, value])), {
    overload: 1,
    timeout: 1,
    'rate-limit': 1,
    'claims-paused': 1,
    unauthorized: 1,
  })
})

t.test('the models are those that are served when somebody asks', async (t) => {
  const app = build(t, { MODELS: 'rf,best' })
  const models = async () =>
    (await scrape(app)).get('keystroke_model_info')?.samples.map(({ labels }) => labels)
  const [rf, best] = app.models?.cards ?? []
  t.notOk(rf ?? best, 'not before they are loaded')
  const found = await models()
  t.same(
    found,
    app.models.cards.map(({ name, version, sha256 = '' }) => ({ model: name, version, sha256 })),
  )
  t.match(found, [
    { model: 'rf', sha256: /^[0-9a-f]{64}$/ },
    { model: 'best', sha256: '' },
  ])
  Object.defineProperty(app.models, 'cards', { value: app.models.cards.slice(1) })
  t.match(await models(), [{ model: 'best' }])
})

t.test('nothing that a caller chose is in a scrape', async (t) => {
  const app = build(t)
  const canary = '271828'
  const headers = { 'x-request-id': canary, 'user-agent': canary, 'content-type': 'application/json' }
  for (const [method, url, payload] of [
    ['GET', `/${canary}`],
    ['GET', `/models/${canary}`],
    ['GET', `/%${canary}zz`],
    ['GET', `/docs/${canary}`],
    ['PROPFIND', `/${canary}`],
    ['POST', `/predict/rf?top=${canary}`, SUMMARY],
    ['POST', '/predict', { Model: canary, ...SUMMARY }],
    ['POST', '/verify/best', { user: Number(canary), keystrokes: KEYSTROKES }],
    ['POST', '/predict/rf', { ...SUMMARY, HT: { Mean: Number(canary), STD: 1 } }],
  ] as const) {
    await app.inject({ method: method as 'GET', url, headers, ...(payload && { payload }) })
  }
  const { body } = await app.inject('/metrics')
  t.match(body, /route="unknown"/)
  t.match(body, /method="other"/)
  t.notMatch(body, new RegExp(canary))
})

t.test('two services in one process count apart, and neither after it is closed', async (t) => {
  const [one, two] = [build(t), build(t)]
  await one.inject('/')
  t.same(values(await scrape(two), 'keystroke_http_requests_total'), [])
  await one.close()
  const runs = async () => values(parseScrape(await one.metrics.scrape()), 'keystroke_batch_rows_count')
  const before = await runs()
  await two.inject({ method: 'POST', url: '/predict/rf', payload: SUMMARY })
  t.same(await runs(), before)
})
