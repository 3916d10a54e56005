import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const text = (path: string) => readFileSync(join(ROOT, path), 'utf8')
/** The files of the repository, as paths in it; not what is installed or made. */
function files(folder = ''): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isFile()) return [path]
    const own =
      !/^(node_modules|dist|__pycache__)$/.test(entry.name) &&
      (!/^\./.test(entry.name) || entry.name === '.ci')
    return entry.isDirectory() && own ? files(path) : []
  })
}
const all = files()

t.test('every package of npm is locked by its hash, and by no address', async (t) => {
  const locks = all.filter((path) => /(^|\/)(package-lock|npm-shrinkwrap)\.json$|\.lock$/.test(path))
  t.same(
    locks.filter((path) => path.endsWith('.json')),
    ['package-lock.json', 'test/clients/package-lock.json'],
  )
  for (const path of locks.filter((path) => path.endsWith('.json'))) checkLock(t, path)
})

/** That a lock has what its package asks for, each by its hash alone. */
function checkLock(t: Test, path: string) {
  const packages = JSON.parse(text(path)).packages
  const { '': root, ...others } = packages
  t.ok(Object.keys(others).length > 400)
  for (const [path, entry] of Object.entries<{ integrity?: string }>(others)) {
    t.match(entry.integrity, /^sha512-[A-Za-z0-9+/]{86}==$/, path)
    t.notOk('resolved' in entry, `${path} says from where`)
    t.notOk('link' in entry, `${path} is no folder`)
  }
  const { dependencies, devDependencies } = JSON.parse(text(join(path, '../package.json')))
  t.same([root.dependencies, root.devDependencies], [dependencies, devDependencies], 'npm install')
}

t.test('every package of Python is locked by its version and hashes, and by no address', async (t) => {
  const locks = all.filter((path) => /\.lock$/.test(path))
  t.ok(locks.length >= 6, locks.join())
  const asked = all.filter((path) => /requirements[\w-]*\.in$|pyproject\.toml$/.test(path))
  t.same(
    locks.sort(),
    asked.map((path) => path.replace(/pyproject\.toml$/, 'requirements.in').replace(/in$/, 'lock')).sort(),
    'what is asked for is locked',
  )
  for (const path of locks) {
    const lock = text(path)
    // A requirement goes on where its line ends with a backslash.
    const requirements = lock
      .replaceAll('\\\n', ' ')
      .split('\n')
      .map((line) => line.replace(/(^|\s)#.*/, '').trim())
      .filter((line) => line !== '')
    t.ok(requirements.length > 0, path)
    for (const requirement of requirements)
      t.match(
        requirement,
        /^[A-Za-z0-9._-]+(\[[\w,-]+\])?==[^\s;@]+(\s*;[^-]+?)?(\s+--hash=sha256:[0-9a-f]{64})+$/,
        path,
      )
    t.notMatch(lock.replace(/^\s*#.*$/gm, ''), /:\/\//, `${path} names a host`)
  }
})

t.test('where the packages of Python are installed, their hashes are asked for', async (t) => {
  const installs = all
    .filter((path) => !/^test\/.*\.ts$|\.md$/.test(path))
    .flatMap(
      (path) =>
        text(path)
          .match(/^.*\bpip install\b.*$/gm)
          ?.map((line) => `${path}: ${line.trim()}`) ?? [],
    )
  t.ok(installs.length >= 3)
  for (const line of installs) t.match(line, /--require-hashes/)
})
