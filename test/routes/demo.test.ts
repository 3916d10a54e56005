import { readFileSync } from 'node:fs'
import t from 'tap'
import { build } from '../fixtures/build.js'
import { pathsOn } from '../fixtures/page.js'

const source = (path: string) => readFileSync(new URL(`../../src/${path}`, import.meta.url), 'utf8')

/** What a script imports, as a browser resolves it. */
function importsOf(script: string, at: string): string[] {
  return [...script.matchAll(/^import .* from '(.*)'$/gm)].map(
    ([, path]) => new URL(path as string, `http://x${at}`).pathname,
  )
}

t.test('the page is there with all that it loads, under BASE_PATH too', async (t) => {
  for (const base of ['', '/api/v1']) {
    const app = build(t, { BASE_PATH: base })
    const page = await app.inject(`${base}/demo`)
    t.equal(page.statusCode, 200)
    t.equal(page.headers['content-type'], 'text/html; charset=utf-8')
    t.equal(page.body, source('demo/index.html'))
    const linked = pathsOn(page.body, `${base}/demo`)
    t.ok(linked.length >= 3)
    for (const url of linked) t.equal((await app.inject(url)).statusCode, 200, url)
    const script = linked.find((url) => url.endsWith('.js')) as string
    const imported = importsOf((await app.inject(script)).body, script)
    for (const url of imported) {
      const { statusCode, headers, body } = await app.inject(url)
      t.equal(statusCode, 200, url)
      t.equal(headers['content-type'], 'text/javascript; charset=utf-8', url)
      // What these import in turn is looked at behind them.
      imported.push(...importsOf(body, url).filter((other) => !imported.includes(other)))
    }
    t.ok(imported.includes(`${base}/demo/recorder.js`))
  }
})

t.test('the browser gets exactly the scripts and styles that one reads', async (t) => {
  const app = build(t)
  for (const [url, path, type] of [
    ['/demo/recorder.js', 'client/recorder.js', 'text/javascript; charset=utf-8'],
    ['/demo/demo.js', 'demo/demo.js', 'text/javascript; charset=utf-8'],
    ['/demo/demo.css', 'demo/demo.css', 'text/css; charset=utf-8'],
    ['/demo/icon.svg', 'demo/icon.svg', 'image/svg+xml; charset=utf-8'],
  ] as const) {
    const { body, headers } = await app.inject(url)
    t.equal(body, source(path), url)
    t.equal(headers['content-type'], type, url)
  }
})

t.test('nothing but these files is served', async (t) => {
  const app = build(t)
  for (const url of [
    '/demo/',
    '/demo/index.html',
    '/demo/nothing.js',
    '/demo/../config.ts',
    '/demo/%2e%2e/app.ts',
  ])
    t.equal((await app.inject(url)).statusCode, 404, url)
})

t.test('the page may load, run and ask what is here, and nothing else', async (t) => {
  const app = build(t)
  for (const url of ['/demo', '/demo/demo.js']) {
    const { headers } = await app.inject(url)
    t.equal(
      headers['content-security-policy'],
      "default-src 'none';script-src 'self';style-src 'self';img-src 'self';connect-src 'self';" +
        "object-src 'none';base-uri 'none';form-action 'none';frame-ancestors 'none'",
    )
    t.equal(headers['x-content-type-options'], 'nosniff')
    t.equal(headers['cache-control'], 'no-store')
  }
  const page = source('demo/index.html')
  t.notMatch(page, /<script>|<style|\sstyle=|\son\w+=|https?:/, 'nothing that the policy would stop')
})

t.test('without its files the service does not start', async (t) => {
  const { buildApp } = await import('../../src/app.js')
  const { loadConfig } = await import('../../src/config.js')
  const app = buildApp({ ...loadConfig({ LOG_LEVEL: 'silent' }), codeDir: '/nowhere' })
  t.teardown(() => app.close())
  await t.rejects(
    async () => {
      await app.ready()
    },
    { code: 'ENOENT', path: /index\.html$/ },
  )
})
