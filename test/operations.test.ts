import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import t from 'tap'
import { PAUSE_MS } from '../src/access/claims.js'
import { loadConfig } from '../src/config.js'
import { SERVER, TIMEOUTS } from '../src/plugins/connections.js'
import { ANSWER_WITHIN_MS } from '../src/plugins/deadline.js'
import { build } from './fixtures/build.js'
import { commandBlocks } from './fixtures/document.js'

const page = readFileSync(new URL('../docs/operations.md', import.meta.url), 'utf8')
const blocks = commandBlocks(page)

t.test('the commands that make a key make one that opens', async (t) => {
  const { command } = blocks.find(({ command }) => command.includes('openssl rand')) ?? { command: '' }
  const printed = execFileSync('bash', ['-euc', command], { encoding: 'utf8' })
  const [, key = '', API_KEYS] = /^the caller's: (\S+)\nAPI_KEYS=(\S+)\n$/.exec(printed) ?? []
  t.equal(Buffer.from(key, 'hex').length, 32)
  const app = build(t, { API_KEYS })
  t.equal((await app.inject({ url: '/models', headers: { 'x-api-key': key } })).statusCode, 200)
  t.equal((await app.inject('/models')).statusCode, 401)
})

t.test('the page names the pause that there is', async (t) => {
  t.match(page, `hears the next one of that caller\nafter ${PAUSE_MS / 1000} s`)
})

t.test('the page names the limits that there are', async (t) => {
  const limit = (of: string) =>
    new RegExp(`^\\| ${of} \\| ([\\d,]+)`, 'm').exec(page)?.[1]?.replaceAll(',', '')
  const config = loadConfig({})
  t.equal(limit('body'), String(config.bodyLimit))
  t.equal(limit('body of many samples'), String(config.batchBodyLimit))
  t.equal(limit('connections at once'), String(config.maxConnections))
  t.equal(limit('headers'), String(SERVER.maxHeaderSize / 1024))
  t.equal(limit('the headers arrive within'), String(SERVER.headersTimeout / 1000))
  t.equal(limit('the whole request'), String(TIMEOUTS.requestTimeout / 1000))
  t.equal(limit('a connection on which .*'), String(TIMEOUTS.connectionTimeout / 1000))
  t.equal(limit('a connection between .*'), String(TIMEOUTS.keepAliveTimeout / 1000))
  t.equal(limit('the answer'), String(ANSWER_WITHIN_MS / 1000))
})
