import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { NOT_COVERED as env } from '../fixtures/commands.js'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

const advisory = (severity: string) => ({
  ...{ id: 1, url: 'https://example.org/1', title: 'It lets everybody in', severity },
  ...{ vulnerable_versions: '*', cwe: [], cvss: { score: 0 } },
})
const CANARY = { handlebars: [advisory('critical')] }

/** What `npm run audit` writes and ends with, where a registry answers like that. */
async function auditWith(t: Tap, answer: object | ((response: ServerResponse) => unknown)) {
  const server = createServer((request: IncomingMessage, response) => {
    request.resume()
    if (request.method === 'POST' && typeof answer === 'function') return answer(response)
    if (request.method === 'POST') return response.end(JSON.stringify(answer))
    // npm looks which versions there are.
    return response.writeHead(404).end('{}')
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  const { port } = server.address() as AddressInfo
  return audit(t, `http://127.0.0.1:${port}/`)
}

function audit(t: Tap, registry: string) {
  const settings = {
    npm_config_registry: registry,
    npm_config_cache: t.testdir(),
    npm_config_fetch_retries: '0',
  }
  const options = { cwd: ROOT, env: { ...env, ...settings } }
  return new Promise<{ code: unknown; stdout: string; stderr: string }>((resolve) => {
    execFile('npm', ['run', '--silent', 'audit'], options, (error, stdout, stderr) =>
      resolve({ code: error?.code ?? 0, stdout, stderr }),
    )
  })
}

interface Tap {
  teardown(close: () => unknown): void
  testdir(): string
}

t.test('where nothing is known against the packages, the audit passes', async (t) => {
  t.match(await auditWith(t, CANARY), {
    code: 0,
    stdout: /^what the service runs with: 0 vulnerable, .*\nall packages: 0 vulnerable, /,
    stderr: '',
  })
})

t.test('what the service runs with may have nothing that is high', async (t) => {
  const { code, stdout } = await auditWith(t, { ...CANARY, fastify: [advisory('high')] })
  t.equal(code, 1)
  t.match(stdout, /runs with: \d+ vulnerable, [1-9]\d* of them high or critical\n/)
  t.match(stdout, '  high: fastify: It lets everybody in https://example.org/1')
})

t.test('what it is made and tested with may have nothing that is critical', async (t) => {
  const known = { ...CANARY, 'fast-check': [advisory('critical')] }
  t.match(await auditWith(t, known), { code: 1, stdout: /runs with: 0 vulnerable.*critical: fast-check/s })
})

t.test('what is less than that is told, and passes', async (t) => {
  const known = { ...CANARY, jose: [advisory('moderate')], 'fast-check': [advisory('high')] }
  t.match(await auditWith(t, known), {
    code: 0,
    stdout:
      /runs with: 1 vulnerable, 0 of.*moderate: jose.*all packages: 2 vulnerable, 0 of.*high: fast-check/s,
  })
})

t.test('a registry that does not say is not taken for one that knows of nothing', async (t) => {
  const refuse = (status: number) => (response: ServerResponse) => response.writeHead(status).end('{}')
  const silent = { code: 2, stdout: '' }
  t.match(await auditWith(t, refuse(405)), { ...silent, stderr: /^Not audited: 405 Method Not Allowed/ })
  t.match(await auditWith(t, {}), { ...silent, stderr: 'Not audited: the registry has no advisories.\n' })
  t.match(await auditWith(t, (response) => response.end('<h1>Welcome</h1>')), {
    ...silent,
    stderr: /^Not audited: /,
  })
})
