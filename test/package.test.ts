import { readFileSync } from 'node:fs'
import t from 'tap'

interface Package {
  optionalDependencies?: Record<string, string>
  engines?: { node?: string }
}
const lock = JSON.parse(readFileSync(new URL('../package-lock.json', import.meta.url), 'utf8'))
const packages: [string, Package][] = Object.entries(lock.packages)

t.test('the lock holds the packages of every platform, not only of the one it was made on', async (t) => {
  for (const [path, { optionalDependencies = {} }] of packages) {
    for (const name of Object.keys(optionalDependencies)) {
      const found = `node_modules/${name}` in lock.packages || `${path}/node_modules/${name}` in lock.packages
      t.ok(found, `${name} of ${path}`)
    }
  }
})

t.test('no address of a registry is in the lock', async (t) => {
  for (const [path, entry] of packages) t.notOk('resolved' in entry, path)
})
