// What an image adds to its base, and what that is made of.
import { call, docker, inspectImage } from './engine.mjs'

const KINDS = [
  ['onnxruntime, library', /^node_modules\/onnxruntime-node\/bin\//],
  ['onnxruntime, JavaScript', /^node_modules\/onnxruntime-/],
  ['models', /^models\//],
  ['page at /docs', /^(dist\/)?static\//],
  ['compiled code of V8', /\.cache$/],
  ['schema compilers', /^node_modules\/@fastify\/[\w-]+-compiler\//],
  ['our code and libraries, bundled', /^(dist\/|package\.json$)/],
]
const OTHER = 'anything else'
export const KIND_NAMES = [...KINDS.map(([name]) => name), OTHER]

// The images need no tools but Node for it.
const LIST = `
const fs = require('node:fs'), path = require('node:path')
const files = fs.readdirSync('.', { recursive: true }).map((name) => [name, fs.lstatSync(name)])
console.log(JSON.stringify({
  node: process.version,
  files: files.filter(([, stat]) => stat.isFile()).map(([name, stat]) => [name, stat.size]),
}))`

/**
 * @returns `added` bytes of the layers on top of the base image, bytes of the files by `kinds`, and the version of
 * `node` in it
 */
export async function sizes(image, baseReference) {
  const base = await inspectImage(baseReference)
  const shared = base.RootFS.Layers.every((layer, i) => layer === image.RootFS.Layers[i])
  if (!shared)
    throw new Error(`${image.RepoTags} is not made from the ${baseReference} that is here: build it again`)
  const history = await call('GET', `/images/${image.Id}/history`)
  const { length } = await call('GET', `/images/${base.Id}/history`)
  const added = history.slice(0, -length).reduce((sum, { Size }) => sum + Size, 0)

  const run = ['run', '--rm', '--network', 'none', '--entrypoint', 'node', image.Id, '-e', LIST]
  const { node, files } = JSON.parse(await docker(...run))
  const kinds = Object.fromEntries(KIND_NAMES.map((name) => [name, 0]))
  for (const [name, size] of files) {
    kinds[KINDS.find(([, pattern]) => pattern.test(name))?.[0] ?? OTHER] += size
  }
  return { added, kinds, node }
}
