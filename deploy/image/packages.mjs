// The npm packages of which code or pages are in the image, and under which licences they may be.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../..', import.meta.url))
const read = (path) => JSON.parse(readFileSync(`${root}/${path}`, 'utf8'))

/** The licences that ask for no more than their text beside the code, which bundle.mjs puts there. */
const ALLOWED = [
  '0BSD',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'CC0-1.0',
  'ISC',
  'MIT',
  'Python-2.0',
  'Unlicense',
  'Zlib',
]

/** Swagger UI stands inside another package, which says only as what it develops with from which version it came. */
const PAGE = { holder: 'node_modules/@fastify/swagger-ui', name: 'swagger-ui-dist', licence: 'Apache-2.0' }

/**
 * The packages of which esbuild took anything at all, in the order of their names, as the lock has them.
 * @param metafiles what esbuild says of each bundle
 * @param bindings the packages that are there as they are; their terms stand in notices/
 */
export function bundledPackages(metafiles, bindings) {
  const inputs = metafiles.flatMap(({ outputs }) => Object.values(outputs)).map(({ inputs }) => inputs)
  const taken = inputs.flatMap(Object.entries).filter(([, { bytesInOutput }]) => bytesInOutput > 0)
  const paths = new Set(taken.flatMap(([path]) => packagePath(path) ?? []))
  const lock = read('package-lock.json').packages
  const packages = [...paths].map((path) => fromLock(path, lock))
  packages.push(...bindings.map((name) => ({ ...lockedPackage(name), path: undefined })))
  if (paths.has(PAGE.holder)) {
    const version = read(`${PAGE.holder}/package.json`).devDependencies[PAGE.name]
    packages.push({ ...PAGE, version, dependencies: [] })
    packages.find(({ path }) => path === PAGE.holder).dependencies.push(purl(PAGE.name, version))
  }
  const byPurl = new Map(packages.map((found) => [purl(found.name, found.version), found]))
  return [...byPurl]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([purl, found]) => ({ purl, ...found }))
}

/** What the service itself imports, of these packages. */
export function directDependencies(packages) {
  const lock = read('package-lock.json').packages
  const direct = dependenciesOf('', lock)
  return packages.map(({ purl }) => purl).filter((purl) => direct.includes(purl))
}

/** The packages whose licence is not one of those that are allowed, each with the licence. */
export function refusedLicences(packages) {
  return packages
    .filter(({ licence }) => !isAllowed(licence))
    .map(({ name, version, licence }) => `${name} ${version}: ${licence ?? 'no licence'}`)
}

/** Of an expression of SPDX: any of what OR joins, all of what AND joins. */
function isAllowed(expression = '') {
  const alternatives = expression.replace(/^\((.*)\)$/, '$1').split(' OR ')
  return alternatives.some((all) => all.split(' AND ').every((licence) => ALLOWED.includes(licence)))
}

/** Where the package of a file is, in the lock's words: from the first node_modules on to the last one's package. */
function packagePath(file) {
  return /(?:^|\/)(node_modules\/(?:.*\/node_modules\/)?(?:@[^/]+\/)?[^/]+)/.exec(file)?.[1]
}

/** What the lock says of a package at its top. */
export function lockedPackage(name) {
  return fromLock(`node_modules/${name}`, read('package-lock.json').packages)
}

function fromLock(path, lock) {
  const { version, license: licence, integrity } = lock[path]
  return { path, name: nameOf(path), version, licence, integrity, dependencies: dependenciesOf(path, lock) }
}

/** What Node would find from there, of all that a package says to need. */
function dependenciesOf(path, lock) {
  const { dependencies, optionalDependencies, peerDependencies } = lock[path]
  const names = Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies })
  return names.flatMap((name) => {
    for (let from = path; ; from = from.replace(/(^|\/)node_modules\/(@[^/]+\/)?[^/]+$/, '')) {
      const at = `${from && `${from}/`}node_modules/${name}`
      if (at in lock) return purl(name, lock[at].version)
      // A peer that nobody wants need not be there.
      if (from === '') return []
    }
  })
}

function nameOf(path) {
  return path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)
}

/** https://github.com/package-url: the @ of a scope is escaped. */
function purl(name, version) {
  return `pkg:npm/${name.replace('@', '%40')}@${version}`
}
