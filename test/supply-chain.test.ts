import { execFileSync } from 'node:child_process'
import { cpSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { build } from './fixtures/build.js'
import { commandBlocks } from './fixtures/document.js'
import { MODELS } from './fixtures/models.js'
import { openReader } from './fixtures/reader.js'

const page = readFileSync(fileURLToPath(new URL('../docs/supply-chain.md', import.meta.url)), 'utf8')

/** What a script writes, run in that folder by a shell that stops at the first command that fails. */
function typeIn(cwd: string, script: string): string {
  return execFileSync('bash', ['-euo', 'pipefail', '-c', script], {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
}

t.test('the commands of the page make a key and a signature that the service asks for', async (t) => {
  const blocks = commandBlocks(page).filter(({ heading }) => heading === 'Models signed')
  const [start, ...typed] = blocks.map(({ command }) => command).reverse()
  t.equal(start, 'MODEL_DIR=my-models npm start\n')
  t.equal(typed.length, 3)
  const dir = t.testdir()
  cpSync(MODELS, join(dir, 'my-models'), { recursive: true })
  const { type } = openReader(t, dir)
  for (const block of typed.reverse()) await type(block)
  await type(start as string)
  t.match(JSON.parse(await type('curl -s localhost:3000/health')), { status: 'ok' })
  const key = await type('printf %s "$MODEL_PUBLIC_KEY"')
  const settings = { MODEL_DIR: join(dir, 'my-models'), MODEL_PUBLIC_KEY: key, MODELS: 'rf' }
  await build(t, settings).ready()
  rmSync(join(dir, 'my-models/manifest.json.sig'))
  await t.rejects(async () => build(t, settings).ready(), { code: 'KSR_MANIFEST' })
})

t.test('openssl signs with the other kind of key as the page says', async (t) => {
  t.match(page, '`openssl dgst -sha256 -sign`')
  const dir = t.testdir()
  cpSync(MODELS, join(dir, 'my-models'), { recursive: true })
  const script = `
    openssl ecparam -name prime256v1 -genkey -noout -out key.pem
    openssl dgst -sha256 -sign key.pem my-models/manifest.json | openssl base64 > my-models/manifest.json.sig
    openssl pkey -in key.pem -pubout -outform DER | openssl base64 -A`
  const key = typeIn(dir, script)
  await build(t, { MODEL_DIR: join(dir, 'my-models'), MODEL_PUBLIC_KEY: key, MODELS: 'rf' }).ready()
})

t.test('every command that the page names is one', async (t) => {
  const { scripts } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
  const named = [...page.matchAll(/npm run ([\w:-]+)/g)].map(([, name]) => name as string)
  t.same([...new Set(named)].sort(), ['audit', 'sbom'])
  for (const name of named) t.ok(name in scripts, name)
})
