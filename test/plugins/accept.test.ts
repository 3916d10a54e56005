import t from 'tap'
import { build } from '../fixtures/build.js'

t.test('callers that take JSON are served', async (t) => {
  const app = build(t)
  for (const accept of [
    'application/json',
    'application/problem+json',
    '*/*',
    '',
    'application/*',
    'text/html, */*;q=0.1',
    'text/html,application/json;q=0.5',
  ]) {
    t.equal((await app.inject({ url: '/models', headers: { accept } })).statusCode, 200, accept)
  }
})

t.test('callers that do not are told 406, as a problem document', async (t) => {
  const answer = await build(t).inject({ url: '/models', headers: { accept: 'text/html' } })
  t.match(answer.json(), { status: 406, code: 'KSR_NOT_ACCEPTABLE' })
})

t.test('the documentation is a page', async (t) => {
  const answer = await build(t).inject({ url: '/docs', headers: { accept: 'text/html' } })
  t.equal(answer.statusCode, 200)
  t.match(answer.headers['content-type'], /text\/html/)
})

t.test('probes are answered whatever they accept', async (t) => {
  t.equal(
    (await build(t).inject({ url: '/health/ready', headers: { accept: 'text/plain' } })).statusCode,
    200,
  )
})
