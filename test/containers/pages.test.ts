import { execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { cpSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { parse } from 'yaml'
import { DOCKER, pathWith, ROOT } from '../fixtures/commands.js'
import {
  buildImages,
  compose,
  docker,
  eventually,
  IMAGES,
  inspect,
  newName,
  untilHealth,
} from '../fixtures/docker.js'
import { blockThat } from '../fixtures/document.js'
import { TYPISTS } from '../fixtures/models.js'

const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')
const readme = read('README.md')
const deploying = read('docs/deploying.md')

t.before(buildImages)

/** What a block writes that is typed in that folder by a shell that stops at the first command that fails. */
async function type(block: string, env: NodeJS.ProcessEnv, cwd = ROOT): Promise<string> {
  const { stdout } = await promisify(execFile)('bash', ['-euo', 'pipefail', '-c', block], { cwd, env })
  return stdout
}

/** A curl for which what is at that port of localhost is at another place, which a command tells. */
const curlTo = (port: number, command: string) =>
  `exec curl --connect-to "localhost:${port}:$(${command})" "$@"`

t.test('docker compose up serves, as the README says', async (t) => {
  const { env, command, id } = compose()
  const up = spawn('bash', ['-euc', blockThat(readme, 'docker compose up').text], {
    cwd: ROOT,
    env,
    stdio: 'ignore',
    detached: true,
  })
  t.teardown(() => command('down'))
  const exited = once(up, 'exit')
  const container = await eventually(
    () => id('server'),
    (found) => found !== '',
  )
  t.equal(await untilHealth(container, 'healthy'), 'healthy')
  const PATH = pathWith(t, { curl: curlTo(3000, 'docker compose port server 3000') })
  const { text, prints } = blockThat(readme, 'curl')
  t.equal(`${await type(text, { ...env, PATH })}\n`, prints)
  // Control-C goes to all that the shell has started.
  process.kill(-(up.pid as number), 'SIGINT')
  await exited
  t.equal(await command('ps', '--quiet'), '')
})

t.test('a file of keys is handed on as the page says', async (t) => {
  const { text } = blockThat(deploying, 'services:')
  const [mount] = parse(text).services.server.volumes
  t.equal(mount.split(':')[1], parse(text).services.server.environment.API_KEYS_FILE)
  const keys = `app:${createHash('sha256').update('secret').digest('hex')}\n`
  const folder = t.testdir({
    'docker-compose.yml': read('docker-compose.yml'),
    'docker-compose.override.yml': text,
    'keys.txt': keys,
  })
  const { env, command, url } = compose()
  t.teardown(() => command('down'))
  await type('docker compose up --detach --wait --no-build', env, folder)
  const models = `${await url('server', 3000)}/models`
  t.equal((await fetch(models)).status, 401)
  t.equal((await fetch(models, { headers: { 'x-api-key': 'secret' } })).status, 200)
})

t.test('the image serves models of one’s own', async (t) => {
  const folder = t.testdir()
  cpSync(TYPISTS, join(folder, 'my-models'), { recursive: true })
  const name = newName()
  // With a name, to find it by, on a port that is free.
  const PATH = pathWith(t, {
    docker: `exec docker $(echo "$@" | sed 's/^run /run --name ${name} /; s/:3000:3000/::3000/')`,
  })
  const block = blockThat(deploying, 'docker run').text
  const running = type(block, { ...process.env, PATH }, folder)
  const named = () => docker('ps', '--quiet', '--filter', `name=${name}`)
  const container = (await eventually(named, (found) => found !== '')).trim()
  t.equal(await untilHealth(container, 'healthy'), 'healthy')
  const at = (await docker('port', name, '3000')).trim()
  t.match(await (await fetch(`http://${at}/models/best`)).json(), { keys: 5, users: 3 })
  await docker('stop', name)
  await running
})

t.test('the bill of materials is in the image, as the page says', async (t) => {
  const { text } = blockThat(read('docs/supply-chain.md'), 'docker run')
  const printed = JSON.parse(await type(text, process.env))
  const names = ({ components }: { components: { 'bom-ref': string }[] }) =>
    components.map((component) => component['bom-ref']).sort()
  t.same(names(printed), names(JSON.parse(read('docs/sbom.cdx.json'))))
})

t.test('Lambda on this machine, from its start to its end', async (t) => {
  const { env, command } = compose()
  t.teardown(() => command('down'))
  const PATH = pathWith(t, { curl: curlTo(9000, 'docker compose --profile lambda port lambda 8080') })
  for (const begins of ['docker compose up --detach', 'curl -s localhost:9000']) {
    const { text, prints } = blockThat(deploying, begins)
    t.equal((await type(text, { ...env, PATH })).trimEnd(), prints.trimEnd(), begins)
  }
  t.not(await command('ps', '--quiet'), '')
  await type(blockThat(deploying, 'docker compose --profile').text, env)
  t.equal(await command('ps', '--all', '--quiet'), '')
})

t.test('one command builds the image of the function', async (t) => {
  const before = await inspect(IMAGES.lambda.name)
  await type(blockThat(deploying, 'docker build').text, {
    ...process.env,
    PATH: pathWith(t, { docker: DOCKER }),
  })
  const after = await inspect(IMAGES.lambda.name)
  // Compose puts labels of its own on what it builds.
  const made = ({ Config: { Labels, ...config }, Architecture }: typeof after) => ({ config, Architecture })
  t.same(made(after), made(before))
})
