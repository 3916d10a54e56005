import { once } from 'node:events'
import t from 'tap'
import { build } from '../fixtures/build.js'
import { parseScrape, values } from '../fixtures/scrape.js'
import { logLines, start } from '../fixtures/server.js'

t.test('metrics are told in the format of Prometheus, whatever its scraper accepts', async (t) => {
  const app = build(t)
  const accept = 'application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1'
  const { statusCode, headers, body } = await app.inject({ url: '/metrics', headers: { accept } })
  t.equal(statusCode, 200)
  t.equal(headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8')
  t.match(body, /^# HELP keystroke_http_requests_total /)
})

t.test(
  'switched off, or on Lambda, where each process would speak for itself, there is no such route',
  async (t) => {
    for (const settings of [
      { METRICS: 'off' },
      { METRICS: 'on', AWS_LAMBDA_FUNCTION_NAME: 'recognition' },
      { AWS_LAMBDA_FUNCTION_NAME: 'recognition' },
    ]) {
      const app = build(t, settings)
      const answer = await app.inject('/metrics')
      t.match([answer.statusCode, answer.json().code], [404, 'KSR_ROUTE_NOT_FOUND'])
      app.metrics.refused('overload')
      t.equal(await app.metrics.scrape(), '')
    }
  },
)

t.test('whichever worker is asked for metrics has those of all of them', async (t) => {
  const server = start({ WORKERS: '2' })
  t.teardown(() => server.kill('SIGKILL'))
  const exited = once(server, 'exit')
  const lines = logLines(server)
  const [first] = [await lines(/Server listening/), await lines(/Server listening/)]
  const url = /http:\S+\d/.exec(first.msg)?.[0] as string
  const ask = (path: string) => fetch(url + path, { headers: { connection: 'close' } })
  for (let i = 0; i < 6; i++) await ask('/models')
  const counts = async () =>
    values(parseScrape(await (await ask('/metrics')).text()), 'keystroke_http_requests_total', {
      route: '/models',
    }).sort()
  t.same(await counts(), [3, 3])
  t.same(await counts(), [3, 3], 'the other one')
  const text = await (await ask('/metrics')).text()
  t.match(
    text,
    /^process_resident_memory_bytes\{worker="1"\} \d+\nprocess_resident_memory_bytes\{worker="2"\} \d/m,
  )
  const many = await Promise.all(Array.from({ length: 20 }, async () => (await ask('/metrics')).status))
  t.same(new Set(many), new Set([200]))

  // One that stands still: half of the numbers would look as if the others had begun anew.
  process.kill(first.pid, 'SIGSTOP')
  const stuck = await Promise.any([1, 2, 3].map(() => ask('/metrics')))
  process.kill(first.pid, 'SIGCONT')
  t.equal(stuck.status, 500)
  t.match((await lines(/request failed/)).err, { message: 'Only 1 of the workers answered' })
  for (const { status } of [await ask('/metrics'), await ask('/metrics')]) t.equal(status, 200)
  server.kill('SIGTERM')
  t.same(await exited, [0, null])
})
