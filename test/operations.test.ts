import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import t from 'tap'
import { PAUSE_MS } from '../src/access/claims.js'
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
