import t from 'tap'
import { build } from '../fixtures/build.js'

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
