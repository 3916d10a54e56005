import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import helmet from 'helmet'
import t from 'tap'
import { build, SUMMARY } from '../fixtures/build.js'

/** The names of the headers that Helmet sets where nothing is said. */
function helmetNames(): string[] {
  const answer = new ServerResponse(new IncomingMessage(new Socket()))
  helmet()({} as never, answer, () => {})
  return answer.getHeaderNames()
}

t.test('every answer has the headers of Helmet, allows a browser nothing, and is not kept', async (t) => {
  const app = build(t)
  const names = helmetNames()
  t.ok(names.length >= 11)
  for (const [method, url, status] of [
    ['GET', '/', 200],
    ['GET', '/health', 200],
    ['GET', '/models/rf', 200],
    ['POST', '/predict/rf', 200],
    ['POST', '/predict/none', 404],
    ['GET', '/predict/rf', 405],
    ['GET', '/nowhere', 404],
    ['GET', '/%', 400],
    ['GET', `/models/${'x'.repeat(101)}`, 414],
  ] as const) {
    const answer = await app.inject({ method, url, ...(method === 'POST' && { payload: SUMMARY }) })
    t.equal(answer.statusCode, status, `${method} ${url}`)
    for (const name of names) t.ok(answer.headers[name], `${url}: ${name}`)
    t.match(answer.headers, {
      'content-security-policy':
        "default-src 'none';object-src 'none';base-uri 'none';form-action 'none';frame-ancestors 'none'",
      'strict-transport-security': 'max-age=31536000; includeSubDomains',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'cache-control': 'no-store',
    })
  }
})

t.test('the page at /docs may run its own scripts, and no others', async (t) => {
  const answer = await build(t).inject('/docs')
  const policy = String(answer.headers['content-security-policy'])
  const directives = new Map(
    policy.split(/; */).map((directive) => directive.split(/ (.*)/) as [string, string]),
  )
  t.equal(directives.get('script-src') ?? directives.get('default-src'), "'self'")
  t.equal(directives.get('style-src') ?? directives.get('default-src'), "'self'")
  for (const name of ['base-uri', 'form-action', 'frame-ancestors', 'object-src'])
    t.equal(directives.get(name), "'none'", name)
  t.equal(answer.headers['x-content-type-options'], 'nosniff')
})

t.test('nothing tells what the server is made of, and there are no cookies', async (t) => {
  const app = build(t)
  for (const url of ['/', '/nowhere', '/docs']) {
    const { headers } = await app.inject(url)
    t.notHas(headers, { server: '' })
    t.notHas(headers, { 'x-powered-by': '' })
    t.notHas(headers, { 'set-cookie': '' })
  }
})

t.test('TRACE does not send back what came', async (t) => {
  const headers = { 'x-api-key': 'secret' }
  const answer = await build(t).inject({ method: 'TRACE' as 'GET', url: '/', headers })
  t.equal(answer.statusCode, 405)
  t.notMatch(JSON.stringify(answer.headers) + answer.body, /secret/)
})

t.test('what a caller wrote comes back as text within JSON, whatever it is', async (t) => {
  const written = '<script>alert(1)</script>\r\nX: y"%s%d{{1}}'
  const answer = await build(t).inject(`/models/${encodeURIComponent(written)}`)
  t.equal(answer.statusCode, 404)
  t.equal(answer.headers['content-type'], 'application/problem+json; charset=utf-8')
  t.equal(answer.json().detail, `There is no model "${written}". GET /models lists those there are.`)
  t.notHas(answer.headers, { x: '' })
})
