import { setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import { exposition, Metrics } from '../../src/telemetry/metrics.js'
import { parseScrape, values } from '../fixtures/scrape.js'

const SOURCES = { version: '1.2.3', models: () => [], inFlight: () => 3, rowsWaiting: () => 5 }

const scraped = (metrics: Metrics, labels = {}) =>
  parseScrape(exposition([{ labels, families: metrics.collect() }]))

t.test('a histogram counts each number once, in every bucket that is as large', async (t) => {
  const metrics = new Metrics(SOURCES)
  for (const ms of [0.25, 0.26, 5000, 5001]) metrics.completed('GET', '/', 200, ms)
  const seconds = (le: string) =>
    values(scraped(metrics), 'keystroke_http_request_duration_seconds_bucket', { le })
  t.same(seconds('0.00025'), [1])
  t.same(seconds('0.0005'), [2])
  t.same(seconds('2.5'), [2])
  t.same(seconds('5'), [3])
  t.same(seconds('+Inf'), [4])
  const [sum] = values(scraped(metrics), 'keystroke_http_request_duration_seconds_sum')
  t.ok(Math.abs((sum as number) - 10.00151) < 1e-9)
  t.same(values(scraped(metrics), 'keystroke_http_request_duration_seconds_count'), [4])
})

t.test('requests are counted apart by route, method and status', async (t) => {
  const metrics = new Metrics(SOURCES)
  metrics.completed('GET', '/', 200, 1)
  metrics.completed('POST', '/', 200, 1)
  metrics.completed('POST', '/', 200, 1)
  metrics.completed('POST', '/', 404, 1)
  metrics.completed('POST', '/verify/:model', 404, 1)
  const count = (labels: Record<string, string>) =>
    values(scraped(metrics), 'keystroke_http_requests_total', labels)
  t.same(count({ method: 'GET', route: '/', status: '200' }), [1])
  t.same(count({ method: 'POST', route: '/', status: '200' }), [2])
  t.same(count({ method: 'POST', route: '/', status: '404' }), [1])
  t.same(count({ method: 'POST', route: '/verify/:model', status: '404' }), [1])
})

t.test('runs are counted by model: how many rows they had, and how long they took', async (t) => {
  const metrics = new Metrics(SOURCES)
  metrics.ran({ model: 'rf', rows: 3, ms: 2 })
  metrics.ran({ model: 'rf', rows: 32, ms: 200 })
  metrics.ran({ model: 'svm', rows: 1, ms: 0.01 })
  const found = scraped(metrics)
  t.same(values(found, 'keystroke_batch_rows_sum'), [35, 1])
  t.same(values(found, 'keystroke_batch_rows_bucket', { model: 'rf', le: '4' }), [1])
  t.same(values(found, 'keystroke_batch_rows_bucket', { model: 'rf', le: '32' }), [2])
  t.same(values(found, 'keystroke_inference_duration_seconds_bucket', { model: 'rf', le: '0.1' }), [1])
  t.same(values(found, 'keystroke_inference_duration_seconds_bucket', { model: 'rf', le: '+Inf' }), [2])
})

t.test('a method that is none of the usual is one label with all others of its kind', async (t) => {
  const metrics = new Metrics(SOURCES)
  for (let i = 0; i < 100; i++) metrics.completed(`CANARY${i}`, undefined, 404, 1)
  t.same(scraped(metrics).get('keystroke_http_requests_total')?.samples, [
    {
      name: 'keystroke_http_requests_total',
      labels: { method: 'other', route: 'unknown', status: '404' },
      value: 100,
    },
  ])
})

t.test(
  'every reason to refuse is there from the beginning, so that a first refusal is an increase',
  async (t) => {
    const metrics = new Metrics(SOURCES)
    t.same(values(scraped(metrics), 'keystroke_requests_refused_total'), [0, 0, 0, 0, 0])
    metrics.refused('overload')
    t.same(values(scraped(metrics), 'keystroke_requests_refused_total', { reason: 'overload' }), [1])
  },
)

t.test('an event loop that stands still is seen once, by the next who asks', async (t) => {
  const metrics = new Metrics(SOURCES)
  metrics.open()
  t.teardown(() => metrics.close())
  const longest = () =>
    values(scraped(metrics), 'keystroke_event_loop_delay_seconds', { quantile: '1' })[0] as number
  await wait(50)
  const until = performance.now() + 200
  while (performance.now() < until);
  await wait(50)
  const seen = longest()
  t.ok(seen > 0.15 && seen < 2, `${seen} s`)
  t.equal(longest(), 0)
})

t.test('CPU time, memory and age are those of this process', async (t) => {
  const found = scraped(new Metrics(SOURCES))
  const value = (name: string) => values(found, name)[0] as number
  t.ok(value('process_cpu_seconds_total') > 0.01)
  const { rss } = process.memoryUsage()
  t.ok(Math.abs(value('process_resident_memory_bytes') / rss - 1) < 0.5)
  t.ok(value('nodejs_heap_size_used_bytes') < rss)
  t.ok(value('nodejs_external_memory_bytes') < rss)
  const age = Date.now() / 1000 - value('process_start_time_seconds')
  t.ok(Math.abs(age - process.uptime()) < 5)
  t.same(values(found, 'keystroke_http_requests_in_flight'), [3])
  t.same(values(found, 'keystroke_rows_waiting'), [5])
  t.same(values(found, 'keystroke_build_info', { version: '1.2.3', node: process.version }), [1])
})

t.test('labels say what they hold, whatever that is', async (t) => {
  const name = 'back\\slash "quoted"\nnext line'
  const models = () => [{ name, version: 'v' }]
  const metrics = new Metrics({ ...SOURCES, models })
  t.same(values(scraped(metrics), 'keystroke_model_info', { model: name, version: 'v', sha256: '' }), [1])
})

t.test('numbers of several processes stand side by side under one name', async (t) => {
  const [one, two] = [new Metrics(SOURCES), new Metrics(SOURCES)]
  one.completed('GET', '/', 200, 1)
  two.completed('GET', '/', 200, 1)
  two.completed('GET', '/', 200, 1)
  const found = parseScrape(
    exposition([
      { labels: { worker: '1' }, families: one.collect() },
      { labels: { worker: '2' }, families: two.collect() },
    ]),
  )
  t.same(values(found, 'keystroke_http_requests_total', { worker: '1' }), [1])
  t.same(values(found, 'keystroke_http_requests_total', { worker: '2' }), [2])
})
