import t from 'tap'
import { build, SUMMARY } from '../fixtures/build.js'

const PAGE = 'https://shop.example'
const preflight = {
  method: 'OPTIONS',
  url: '/predict/rf',
  headers: { origin: PAGE, 'access-control-request-method': 'POST' },
} as const
const post = { method: 'POST', url: '/predict/rf', headers: { origin: PAGE }, payload: SUMMARY } as const

t.test('without CORS_ORIGINS no page may ask', async (t) => {
  const app = build(t)
  const asked = await app.inject(preflight)
  t.equal(asked.statusCode, 405)
  t.notHas(asked.headers, { 'access-control-allow-origin': '' })
  t.notHas((await app.inject(post)).headers, { 'access-control-allow-origin': '' })
})

t.test('a page that is named may ask, with a key and without having one to ask whether', async (t) => {
  const app = build(t, { CORS_ORIGINS: `http://localhost:5173,${PAGE}`, API_KEYS: `app:${'0'.repeat(64)}` })
  const asked = await app.inject(preflight)
  t.equal(asked.statusCode, 204)
  t.match(asked.headers, {
    'access-control-allow-origin': PAGE,
    'access-control-allow-methods': 'GET, HEAD, POST, PUT, DELETE',
    'access-control-allow-headers': /x-api-key/,
    'access-control-max-age': '600',
  })
  t.notHas(asked.headers, { 'access-control-allow-credentials': '' })
  const refused = await app.inject(post)
  t.equal(refused.statusCode, 401)
  t.equal(refused.headers['access-control-allow-origin'], PAGE, 'so that the page can read why')
  t.match(refused.headers['access-control-expose-headers'], 'retry-after')
})

t.test('a page may write only what it has seen, do it once, and read what came of it', async (t) => {
  const app = build(t, { CORS_ORIGINS: PAGE })
  const url = '/texts/motto'
  const wanted = 'content-type,idempotency-key,if-match,if-none-match'
  const headers = { ...preflight.headers, 'access-control-request-headers': wanted }
  for (const method of ['PUT', 'DELETE']) {
    const asking = { ...headers, 'access-control-request-method': method }
    const asked = await app.inject({ method: 'OPTIONS', url, headers: asking })
    const allowed = String(asked.headers['access-control-allow-headers']).split(', ')
    for (const header of wanted.split(',')) t.ok(allowed.includes(header), header)
    t.match(asked.headers['access-control-allow-methods'], method)
  }
  const made = await app.inject({ method: 'PUT', url, headers: { origin: PAGE }, payload: { keys: 13 } })
  t.equal(made.statusCode, 201)
  const exposed = String(made.headers['access-control-expose-headers']).split(', ')
  for (const header of ['etag', 'location']) t.ok(exposed.includes(header) && made.headers[header], header)
  t.ok(exposed.includes('idempotency-replayed'))
})

t.test('another page may not', async (t) => {
  const app = build(t, { CORS_ORIGINS: PAGE })
  for (const origin of ['https://shop.example.evil', 'http://shop.example', 'null']) {
    const answer = await app.inject({ ...post, headers: { origin } })
    t.notHas(answer.headers, { 'access-control-allow-origin': '' }, origin)
  }
})

t.test('any page may where that is said', async (t) => {
  const answer = await build(t, { CORS_ORIGINS: '*' }).inject(post)
  t.equal(answer.headers['access-control-allow-origin'], '*')
})

t.test('what is no question of a browser is no question of a browser', async (t) => {
  const answer = await build(t, { CORS_ORIGINS: PAGE }).inject({ method: 'OPTIONS', url: '/predict/rf' })
  t.equal(answer.statusCode, 204)
  t.equal(answer.body, '')
})

t.test('what a page may send without asking first is not taken', async (t) => {
  const payload = JSON.stringify(SUMMARY)
  const types = ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x']
  for (const headers of [{}, ...types.map((type) => ({ 'content-type': type }))]) {
    const answer = await build(t).inject({ method: 'POST', url: '/predict/rf', headers, payload })
    t.equal(answer.statusCode, 415, JSON.stringify(headers))
  }
})
