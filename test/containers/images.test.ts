import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ROOT } from '../fixtures/commands.js'
import { buildImages, copyOut, docker, IMAGES, inspect, listFiles, newName } from '../fixtures/docker.js'

type Target = keyof typeof IMAGES

const TARGETS = Object.keys(IMAGES) as Target[]
/** The server has 10 MB more, which keep records in a file. */
const LARGEST = { server: 75e6, lambda: 60e6 }
const BASE = { server: argument('NODE_IMAGE'), lambda: argument('LAMBDA_IMAGE') }
const BASE_ARGUMENT = { server: 'NODE_BASE', lambda: 'LAMBDA_BASE' }

/** Nothing but what the recipe asks of a base: the real ones of another architecture may not be at hand. */
const STAND_IN = 'FROM scratch\nENV LAMBDA_TASK_ROOT=/var/task\nCOPY Dockerfile /\n'
const ELF = Buffer.from('\x7fELF')
const AARCH64 = 183

/** All that an image may hold beside its base, and the server's, which keeps records in a file. */
const DATABASE = [
  /^node_modules\/libsql\/(package\.json|dist\/index\.js)$/,
  /^node_modules\/@libsql\/linux-(x64|arm64)-gnu\/(package\.json|index\.node)$/,
]
const WANTED = [
  /^package\.json$/,
  /^models\/((manifest|enrolment)\.json|manifest\.json\.sig|(rf|svm|xgb|summary|templates|trees|gallery)\.onnx)$/,
  /^dist\/((server|lambda)\.js|service\.c(js|ache)|(load|tracing)\.cjs|warm\.mjs)$/,
  /^dist\/(demo\/[\w-]+\.(html|css|js|svg)|client\/recorder\.js)$/,
  /^(sbom\.cdx\.json|THIRD-PARTY-LICENCES\.txt|onnxruntime-third-party\.txt\.gz)$/,
  /^node_modules\/@fastify\/swagger-ui\/(static\/[\w.-]+\.(html|js|css|json|png|svg)|dist\/static\/logo\.svg)$/,
  /^node_modules\/(@fastify\/(ajv-compiler|swagger-ui)|@aws-sdk\/client-s3)\/dist\/all\.js$/,
  /^node_modules\/(@fastify\/((ajv|fast-json-stringify)-compiler|swagger|swagger-ui)|@aws-sdk\/client-(s3|dynamodb)|onnxruntime-node)\/(package\.json|dist\/index\.js)$/,
  /^node_modules\/onnxruntime-node\/bin\/napi-v6\/linux\/(x64|arm64)\/(libonnxruntime\.so\.1|onnxruntime_binding\.node)$/,
]

t.test('docker compose makes both images from its file as it is', async (t) => {
  await buildImages()
  for (const target of TARGETS) t.match(await inspect(IMAGES[target].name), { Os: 'linux' }, target)
})

for (const target of TARGETS) {
  t.test(`${target} holds what it runs on and nothing else, and is small`, async (t) => {
    const { name, folder } = IMAGES[target]
    const wanted = target === 'server' ? [...WANTED, ...DATABASE] : WANTED
    const base = await listFiles(BASE[target])
    const added = [...(await listFiles(name))].filter(([path, size]) => base.get(path) !== size)
    t.same(
      added.map(([path]) => path).filter((path) => !path.startsWith(`${folder}/`)),
      [],
      'nothing is added or changed elsewhere',
    )
    const files = added.map(([path]) => path.slice(folder.length + 1))
    t.same(
      files.filter((path) => !wanted.some((form) => form.test(path))),
      [],
      'nothing is there that is not needed',
    )
    const bindings = files.filter((path) => path.endsWith('.node'))
    t.equal(bindings.length, target === 'server' ? 2 : 1, 'one binding, and one of the database')
    t.equal(files.filter((path) => /libonnxruntime\.so/.test(path)).length, 1, 'one runtime')
    const size = added.reduce((sum, [, size]) => sum + size, 0)
    t.comment(`${target}: ${files.length} files, ${(size / 1e6).toFixed(1)} MB beside the base`)
    t.ok(size <= LARGEST[target], `${size} bytes`)
  })
}

for (const target of TARGETS) {
  t.test(`${target} is made for arm64 by the same recipe`, async (t) => {
    const { name, folder } = IMAGES[target]
    const work = t.testdir({ base: { Dockerfile: STAND_IN }, arm64: {}, own: {} })
    const standIn = await build(join(work, 'base'))
    const image = await build(
      ROOT,
      `--target=${target}`,
      `--network=${process.env.BUILD_NETWORK ?? 'default'}`,
      `--build-arg=${BASE_ARGUMENT[target]}=${standIn}`,
    )
    t.match(await inspect(image), { Os: 'linux', Architecture: 'arm64' })
    await copyOut(image, folder, join(work, 'arm64'))
    await copyOut(name, folder, join(work, 'own'))
    const [foreign, own] = [filesIn(join(work, 'arm64')), filesIn(join(work, 'own'))]

    const binaries = [...foreign].filter(([, bytes]) => bytes.subarray(0, 4).equals(ELF))
    t.equal(binaries.length, target === 'server' ? 3 : 2)
    for (const [path, bytes] of binaries) t.equal(bytes.readUInt16LE(18), AARCH64, path)
    const others = (files: Map<string, Buffer>) =>
      [...files]
        .filter(([path]) => !/^\/node_modules\/(onnxruntime-node|@libsql)\/|\.cache$/.test(path))
        // Which name the binary.
        .filter(([path]) => !/^\/(sbom\.cdx\.json|THIRD-PARTY-LICENCES\.txt)$/.test(path))
        .map(([path, bytes]) => [path, createHash('sha256').update(bytes).digest('hex')])
    t.same(others(foreign), others(own), 'all but what is of one architecture is the same')
  })
}

/** The default of an argument of the Dockerfile. */
function argument(name: string): string {
  const dockerfile = readFileSync(join(ROOT, 'Dockerfile'), 'utf8')
  return new RegExp(`^ARG ${name}=(.*)$`, 'm').exec(dockerfile)?.[1] as string
}

/** Makes an image for arm64. */
async function build(context: string, ...options: string[]): Promise<string> {
  const tag = newName()
  await docker('buildx', 'build', '--load', '--platform=linux/arm64', `--tag=${tag}`, ...options, context)
  return tag
}

/** The files under a folder, by path, and what is in them. */
function filesIn(folder: string): Map<string, Buffer> {
  const paths = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
  return new Map(paths.sort().map((path) => [path.slice(folder.length), readFileSync(path)]))
}
