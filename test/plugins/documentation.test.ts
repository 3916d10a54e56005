import type { AddressInfo } from 'node:net'
import t from 'tap'
import { build } from '../fixtures/build.js'
import { Connection } from '../fixtures/connection.js'
import { pathsOn } from '../fixtures/page.js'

t.test('the page and all that it loads are there, by GET and by HEAD', async (t) => {
  const app = build(t)
  const page = await app.inject('/docs')
  t.match(page.headers['content-type'], /text\/html/)
  const assets = pathsOn(page.body, '/docs')
  t.ok(assets.length > 3)
  for (const url of assets) {
    const asset = await app.inject(url)
    t.equal(asset.statusCode, 200, url)
    const head = await app.inject({ method: 'HEAD', url })
    t.equal(head.headers['content-length'], String(asset.rawPayload.length))
    t.equal(head.body, '')
  }
})

t.test('a browser that has a file already is not sent it again', async (t) => {
  const app = build(t)
  const url = '/docs/static/swagger-ui.css'
  const { etag } = (await app.inject(url)).headers
  const answer = await app.inject({ url, headers: { 'if-none-match': etag } })
  t.equal(answer.statusCode, 304)
  t.equal(answer.body, '')
})

t.test('what is not there is a problem document, with the id of the request', async (t) => {
  const app = build(t, {}, { requestId: () => 'this-one' })
  const answer = await app.inject('/docs/static/nothing.js')
  t.match(answer.json(), { status: 404, code: 'KSR_ROUTE_NOT_FOUND', instance: 'this-one' })
})

t.test('no path leads out of it to the routes that it describes', async (t) => {
  const app = build(t)
  await app.listen({ port: 0 })
  const { port } = app.server.address() as AddressInfo
  for (const path of [
    '/docs/../models',
    '/docs/%2e%2e/health',
    '/docs/../',
    '/docs/..',
    '/docs/static/%00',
  ]) {
    const connection = await Connection.open(`http://127.0.0.1:${port}`)
    connection.write(`GET ${path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n`)
    const answer = await connection.answer()
    t.equal(answer?.status, 404, path)
    t.match(JSON.parse(answer?.body ?? '{}'), { code: 'KSR_ROUTE_NOT_FOUND' })
  }
})

t.test('the contract is there as JSON and as YAML', async (t) => {
  const app = build(t, { MAX_CANDIDATES: '7' })
  const { paths } = (await app.inject('/docs/json')).json()
  t.equal(
    paths['/predict/{model}'].post.parameters.find(({ name }: { name: string }) => name === 'top').schema
      .maximum,
    7,
  )
  t.match((await app.inject('/docs/yaml')).body, /^openapi: 3\.1\.1$/m)
})
