// The texts that the licences want beside the code. Packages bring their own; notices/ has those of what doesn't.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './packages.mjs'

const NOTICES = join(root, 'deploy/image/notices')
const LINE = '='.repeat(80)

/** What is given away under the name of another package. */
const PART_OF = {
  'onnxruntime-node': 'onnxruntime',
  'onnxruntime-common': 'onnxruntime',
  '@libsql/linux-x64-gnu': 'libsql',
  '@libsql/linux-arm64-gnu': 'libsql',
}

/** Whose it is; the terms begin with it, or end. */
const COPYRIGHT = /^[ \t]*(Copyright [(©\dA-Z[{]|\([cC]\) \d).*$/gm

/** How to apply the Apache licence to work of one's own, which is filled in or not. */
const APPENDIX = /\s*APPENDIX: How to apply[\s\S]*?limitations under the License\./

/** The terms of all packages, each once, under the packages that they are for, with whose these are. */
export function licenceTexts(packages) {
  const terms = new Map()
  for (const found of packages) {
    for (const text of textsOf(found)) {
      const owners = (text.match(COPYRIGHT) ?? []).filter(isFilledIn).map((line) => `    ${line.trim()}`)
      const rest = clean(text.replace(COPYRIGHT, '').replace(APPENDIX, ''))
      // Some lay out the same words in another way.
      const key = rest.replace(/\s+/g, ' ')
      const known = terms.get(key)?.holders ?? []
      terms.set(key, { text: rest, holders: [...known, [describe(found), ...owners].join('\n')] })
    }
  }
  const parts = [...terms.values()].map(({ text, holders }) => `${holders.join('\n')}\n\n${text}\n`)
  return [
    'Parts of this image were made by others, who give them away under the terms below.\n',
    ...parts,
  ].join(`\n${LINE}\n\n`)
}

/** What ONNX Runtime says of the libraries that it is built with. */
export function runtimeNotices(packages) {
  const { version } = packages.find(({ name }) => name === 'onnxruntime-node')
  return notice(`onnxruntime-${version}-third-party`)
}

function textsOf({ path, name, version, licence }) {
  const own = path === undefined ? [] : readdirSync(join(root, path)).sort().filter(isTerms)
  if (own.some((file) => /^(licen|copying)/i.test(file)))
    return own.map((file) => clean(readFileSync(join(root, path, file), 'utf8')))
  const kept = `${PART_OF[name] ?? name}-${version}`
  if (existsSync(join(NOTICES, `${kept}.txt`))) {
    // A notice need not hold the licence that it belongs to.
    return licence === 'MIT' ? [notice(kept)] : [notice(kept), notice(licence)]
  }
  if (name in PART_OF || path === undefined) throw new Error(`deploy/image/notices has no ${kept}.txt`)
  return [notice(licence)]
}

function isTerms(file) {
  return /^(licen[cs]e|copying|notice)([-._].*)?$/i.test(file) && !/\.[cm]?[jt]s$/.test(file)
}

function isFilledIn(line) {
  return !/[[{]yyyy[\]}]/.test(line)
}

function notice(name) {
  return clean(readFileSync(join(NOTICES, `${name}.txt`), 'utf8'))
}

function clean(text) {
  return text
    .replaceAll('\r', '')
    .replace(/[ \t]+$/gm, '')
    .replace(/^\n+|\n+$/g, '')
}

function describe({ name, version, licence, path }) {
  const { author } =
    path === undefined ? {} : JSON.parse(readFileSync(join(root, path, 'package.json'), 'utf8'))
  const by = typeof author === 'object' ? author.name : author
  return `${name} ${version} (${licence})${by ? `, ${by}` : ''}`
}
