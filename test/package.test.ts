import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { NOT_COVERED as env } from './fixtures/commands.js'
import { address, output } from './fixtures/server.js'

interface Package {
  optionalDependencies?: Record<string, string>
  hasInstallScript?: boolean
}
const ROOT = fileURLToPath(new URL('..', import.meta.url))
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')
const lock = JSON.parse(read('package-lock.json'))
const packages: [string, Package][] = Object.entries(lock.packages)
const { scripts, allowScripts } = JSON.parse(read('package.json'))

t.test('the lock holds the packages of every platform, not only of the one it was made on', async (t) => {
  for (const [path, { optionalDependencies = {} }] of packages) {
    for (const name of Object.keys(optionalDependencies)) {
      const found = `node_modules/${name}` in lock.packages || `${path}/node_modules/${name}` in lock.packages
      t.ok(found, `${name} of ${path}`)
    }
  }
})

t.test('every package that has a script for its installation is named, and refused it', async (t) => {
  const withScript = packages.filter(([, { hasInstallScript }]) => hasInstallScript)
  const names = withScript.map(([path]) => path.replace(/^.*node_modules\//, ''))
  const refused = Object.fromEntries([...new Set(names)].map((name) => [name, false]))
  t.same(allowScripts, refused)
})

t.test('a package that runs code when it is installed does not get to', async (t) => {
  const touch = "node -e \"require('node:fs').writeFileSync(process.env.MARK, '')\""
  const mark = { ...env, MARK: join(t.testdirName, 'ran') }
  const dir = t.testdir({
    project: { '.npmrc': '', 'package.json': JSON.stringify({ dependencies: { eager: 'file:../eager' } }) },
    eager: {
      'package.json': JSON.stringify({ name: 'eager', version: '1.0.0', scripts: { postinstall: touch } }),
    },
  })
  const install = () =>
    promisify(execFile)('npm', ['install', '--offline', '--install-links', '--no-audit'], {
      cwd: join(dir, 'project'),
      env: mark,
    })
  cpSync(join(ROOT, '.npmrc'), join(dir, 'project/.npmrc'))
  const { stderr } = await install()
  t.ok(existsSync(join(dir, 'project/node_modules/eager/package.json')))
  t.notOk(existsSync(mark.MARK))
  t.equal(stderr, '', 'npm has nothing to say about the settings')
})

t.test('no script of ours is one that npm then skips', async (t) => {
  const skipped = Object.keys(scripts).filter(
    (name) => /^(pre|post)/.test(name) && name.replace(/^(pre|post)/, '') in scripts,
  )
  t.same(skipped, [])
})

t.test('npm start builds the service and runs it, and a signal to npm is heard by it', async (t) => {
  const dir = t.testdir()
  for (const name of ['package.json', 'tsconfig.json', '.npmrc', 'src', 'models'])
    cpSync(join(ROOT, name), join(dir, name), { recursive: true })
  symlinkSync(join(ROOT, 'node_modules'), join(dir, 'node_modules'))
  const npm = spawn('npm', ['start'], {
    cwd: dir,
    env: { ...env, PORT: '0', MODELS: 'rf' },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  t.teardown(() => {
    try {
      process.kill(-(npm.pid as number), 'SIGKILL')
    } catch {
      // There is nobody left, as it should be.
    }
  })
  const exited = once(npm, 'exit')
  const url = await address(npm)
  t.match(await (await fetch(`${url}/health`)).json(), { status: 'ok' })
  const closing = output(npm.stdout, /"signal":"SIGTERM","msg":"closing"/)
  npm.kill('SIGTERM')
  t.match(await closing, /closing/)
  t.same(await exited, [0, null])
  await t.rejects(fetch(`${url}/health`))
})
