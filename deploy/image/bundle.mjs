// Makes of the built service what an image holds: node deploy/image/bundle.mjs FOLDER [ARCHITECTURE [METAFILES]]
//
//   dist/server.js, dist/lambda.js   the entries, as modules
//   dist/service.cjs                 all other code, ours and that of libraries, run by dist/load.cjs
//   dist/demo/, dist/client/         the page at /demo, and the one script that it has of the client's
//   dist/tracing.cjs                 what sends traces, for a service that is told to
//   dist/warm.mjs                    keeps what V8 compiled of it, for the next start
//   node_modules/onnxruntime-node/   the runtime, for one platform
//   node_modules/@fastify/…          the schema compilers, for schemas that were not compiled here; the page at /docs
//   node_modules/@aws-sdk/…          what reads models from S3, and keeps records in DynamoDB, for a service that is told to
//   node_modules/libsql/             what keeps records in a file, for one platform
//   package.json                     the version
//   sbom.cdx.json                    what of others is in all that, and the models
//   THIRD-PARTY-LICENCES.txt         their terms; those of what the runtime is built with in onnxruntime-third-party.txt.gz
//
// The models are the image's to add. METAFILES is where to write what esbuild says of what it bundled.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { StandaloneValidator } from '@fastify/ajv-compiler'
import { StandaloneSerializer } from '@fastify/fast-json-stringify-compiler'
import { build as runEsbuild, transformSync } from 'esbuild'
import { buildApp } from '../../dist/app.js'
import { loadConfig } from '../../dist/config.js'
import { licenceTexts, runtimeNotices } from './licences.mjs'
import { bundledPackages, lockedPackage, refusedLicences, root } from './packages.mjs'
import { billOfMaterials } from './sbom.mjs'

const [folder, platform = process.arch, metafilesPath] = process.argv.slice(2)
// Docker's name for it is another than Node's.
const architecture = platform.replace('amd64', 'x64')

const require = createRequire(import.meta.url)
const dist = join(folder, 'dist')
const RUNTIME = 'onnxruntime-node'
const COMPILERS = ['@fastify/ajv-compiler', '@fastify/fast-json-stringify-compiler']
const PAGE = ['@fastify/swagger-ui', '@fastify/swagger']
/** Of each what is used; what all of them are made of is in the image once. */
const AWS = {
  '@aws-sdk/client-s3': ['GetObjectCommand', 'S3Client'],
  '@aws-sdk/client-dynamodb': [
    'BatchWriteItemCommand',
    'DynamoDBClient',
    'GetItemCommand',
    'PutItemCommand',
    'QueryCommand',
  ],
}
const DATABASE = 'libsql'
const ENTRIES = ['server', 'lambda'].map((name) => join(root, 'dist', `${name}.js`))

// Names stay as they are, so that a stack trace can be read.
const common = {
  charset: 'ascii',
  // load.cjs could not run one, which would be noticed only when it is reached: they become calls of require.
  supported: { 'dynamic-import': false },
  bundle: true,
  platform: 'node',
  target: 'node20',
  minifySyntax: true,
  minifyWhitespace: true,
  logLevel: 'warning',
}

/** What esbuild says of each bundle. */
const metafiles = []

rmSync(dist, { recursive: true, force: true })
const imports = new Set()
await build({
  ...common,
  entryPoints: ENTRIES,
  outdir: dist,
  format: 'esm',
  external: ['./load.cjs'],
  banner: {
    js: "import { createRequire } from 'node:module';const require = createRequire(import.meta.url);",
  },
  plugins: [entryImports(imports)],
})
// Sorted: the entries are read in no particular order, and the same source is to give the same bytes.
await build({
  ...common,
  stdin: {
    contents: serviceOf([...imports].sort()),
    resolveDir: join(root, 'dist'),
  },
  outfile: join(dist, 'service.cjs'),
  format: 'cjs',
  external: [RUNTIME, DATABASE, ...Object.keys(AWS), ...COMPILERS, ...PAGE],
  define: { 'import.meta.url': 'moduleUrl' },
  banner: { js: "const moduleUrl = require('node:url').pathToFileURL(__filename).href;" },
  plugins: [
    asImported(),
    shortened(),
    apart('telemetry/tracing'),
    precompiledSchemas(await compileSchemas()),
  ],
})
// What few load, and nobody debugs: names are not worth their place.
await bundleTogether(COMPILERS, { minifyIdentifiers: true })
await bundleTogether(PAGE, { minifyIdentifiers: true, plugins: [without('glob')] })
await build({
  ...common,
  entryPoints: [join(root, 'dist/telemetry/tracing.js')],
  outfile: join(dist, 'tracing.cjs'),
  format: 'cjs',
  // Matches patterns of paths, of which there are none here.
  external: ['minimatch'],
  mainFields: ['module', 'main'],
  minifyIdentifiers: true,
})
await bundleTogether(Object.keys(AWS), { minifyIdentifiers: true, only: AWS })
await bundlePackage(RUNTIME, {
  define: { 'process.platform': '"linux"', 'process.arch': JSON.stringify(architecture) },
  external: ['*.node'],
})
copy(
  join(require.resolve(`${RUNTIME}/package.json`), '..', 'bin/napi-v6/linux', architecture),
  join(folder, 'node_modules', RUNTIME, 'bin/napi-v6/linux', architecture),
)
await bundlePackage(DATABASE, { minifyIdentifiers: true })
const BINDING = `@libsql/linux-${architecture}-gnu`
for (const name of ['package.json', 'index.node'])
  copy(join(installed(BINDING), name), join(folder, 'node_modules', BINDING, name))
const [pageName] = PAGE
const page = join(require.resolve(pageName), '../static')
const pageTo = join(folder, 'node_modules', pageName)
// swagger-ui.js is the page's code once more, for other bundlers.
copy(page, join(pageTo, 'static'), (path) => !path.endsWith('/swagger-ui.js'))
// Seen from a file of its own in the library's folder this one lies elsewhere; here all code is one file.
copy(join(page, 'logo.svg'), join(pageTo, 'dist/static/logo.svg'))
for (const name of ['load.cjs', 'warm.mjs'])
  copy(fileURLToPath(new URL(name, import.meta.url)), join(dist, name))
for (const name of ['demo', 'client/recorder.js']) copy(join(root, 'dist', name), join(dist, name))
const { name, version, type } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
writeFileSync(join(folder, 'package.json'), `${JSON.stringify({ name, version, type })}\n`)

const packages = bundledPackages(metafiles, [BINDING])
const refused = refusedLicences(packages)
if (refused.length > 0) throw new Error(`No licence that is let in: ${refused.join(', ')}`)
writeFileSync(join(folder, 'sbom.cdx.json'), `${JSON.stringify(billOfMaterials(packages))}\n`)
writeFileSync(join(folder, 'THIRD-PARTY-LICENCES.txt'), licenceTexts(packages))
// A third of a megabyte that few read, and that repeats itself.
writeFileSync(
  join(folder, 'onnxruntime-third-party.txt.gz'),
  gzipSync(runtimeNotices(packages), { level: 9 }),
)
if (metafilesPath) writeFileSync(metafilesPath, JSON.stringify(metafiles))

async function build(options) {
  const plugins = [without('supports-color'), ...(options.plugins ?? [])]
  const { metafile } = await runEsbuild({ ...options, plugins, metafile: true })
  metafiles.push(metafile)
}

function copy(from, to, filter) {
  cpSync(from, to, { recursive: true, filter })
}

/** Where a package is, which npm has not installed if it is another architecture's: then it is fetched, as the lock has it. */
function installed(name) {
  const path = join(root, 'node_modules', name)
  if (existsSync(path)) return path
  const { version, integrity } = lockedPackage(name)
  const work = mkdtempSync(join(tmpdir(), 'package-'))
  process.on('exit', () => rmSync(work, { recursive: true }))
  const words = ['pack', `${name}@${version}`, '--json', '--pack-destination', work]
  const [{ filename }] = JSON.parse(execFileSync('npm', words, { encoding: 'utf8' }))
  const file = join(work, filename)
  const found = `sha512-${createHash('sha512').update(readFileSync(file)).digest('base64')}`
  if (found !== integrity) throw new Error(`${name} is not what the lock has`)
  execFileSync('tar', ['-xzf', file, '-C', work])
  return join(work, 'package')
}

/** Puts a package into the image as one file. */
async function bundlePackage(name, options) {
  const outfile = join(folder, 'node_modules', name, 'dist/index.js')
  await build({ ...common, entryPoints: [require.resolve(name)], outfile, ...options })
  describePackage(name)
}

/**
 * Puts packages that share code into the image as one file, which is the first one's: the others say where it is. All of
 * them, or what it takes to export only some names.
 */
async function bundleTogether(names, { only, ...options }) {
  const [first] = names
  const named = names.map(
    (name) => `get ${JSON.stringify(name)}() { return require(${JSON.stringify(name)}) }`,
  )
  const contents = only
    ? names.map((name) => `export { ${only[name]} } from '${name}'`).join('\n')
    : `module.exports = { ${named} }`
  // What nothing needs can be left out of modules only.
  const modules = only && { mainFields: ['module', 'main'] }
  const outfile = join(folder, 'node_modules', first, 'dist/all.js')
  await build({ ...common, stdin: { contents, resolveDir: root }, outfile, ...modules, ...options })
  for (const name of names) {
    describePackage(name)
    const index = join(folder, 'node_modules', name, 'dist/index.js')
    const all = `require('../../../${first}/dist/all.js')`
    mkdirSync(join(index, '..'), { recursive: true })
    writeFileSync(index, `module.exports = ${only ? all : `${all}[${JSON.stringify(name)}]`}\n`)
  }
}

function describePackage(name) {
  const file = join(folder, 'node_modules', name, 'package.json')
  mkdirSync(join(file, '..'), { recursive: true })
  writeFileSync(file, `${JSON.stringify({ name, main: 'dist/index.js' })}\n`)
}

/** Has the entries take what they import from the loaded service, and notes what that is. */
function entryImports(imports) {
  return {
    name: 'entry-imports',
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /./, namespace: 'file' }, ({ path, kind }) => {
        if (kind === 'entry-point' || path.startsWith('node:')) return undefined
        imports.add(path)
        return { path, namespace: 'service' }
      })
      onLoad({ filter: /.*/, namespace: 'service' }, ({ path }) => ({
        contents: `module.exports = require('./load.cjs').service[${JSON.stringify(path)}]`,
      }))
    },
  }
}

/** What the entries import: of the libraries that our modules import what is needed, which a call of `require` would not tell. */
function serviceOf(paths) {
  const ours = paths.filter((path) => path.startsWith('.'))
  const modules = ours.map((path, i) => `import * as module${i} from ${JSON.stringify(path)};`)
  const entries = paths.map((path) => {
    const name = JSON.stringify(path)
    return path.startsWith('.')
      ? `${name}: module${ours.indexOf(path)}`
      : `get ${name}() { return require(${name}) }`
  })
  return `${modules.join('')} export const service = { ${entries} }`
}

/** Shortens the names inside the functions of libraries: those of the functions stay, by which a stack trace is read. */
function shortened() {
  return {
    name: 'shortened',
    setup({ onLoad }) {
      onLoad({ filter: /\/node_modules\/.*\.[cm]?js$/ }, ({ path }) => ({
        contents: transformSync(readFileSync(path, 'utf8'), { minifyIdentifiers: true }).code,
        loader: 'js',
      }))
    },
  }
}

/** Leaves a module of ours to a file of its own beside this one. */
function apart(module) {
  return {
    name: 'apart',
    setup({ onResolve }) {
      onResolve({ filter: new RegExp(`/${module}\\.js$`) }, () => ({
        path: `./${basename(module)}.cjs`,
        external: true,
      }))
    },
  }
}

/** Finds what the entries import as `import` finds it: a package may hold its code once more, for `require`. */
function asImported() {
  return {
    name: 'as-imported',
    setup({ onResolve, resolve }) {
      onResolve({ filter: /./ }, ({ path, kind, importer, resolveDir }) =>
        importer === '<stdin>' && kind === 'require-call'
          ? resolve(path, { kind: 'import-statement', resolveDir })
          : undefined,
      )
    },
  }
}

/**
 * Leaves out a package of which nothing is ever called: the page's files are found by their paths, not by a pattern; and
 * some try whether what tells the colours of a terminal is there, which only our own tools bring.
 */
function without(name) {
  return {
    name: `without-${name}`,
    setup({ onResolve, onLoad }) {
      onResolve({ filter: new RegExp(`^${name}$`) }, ({ path }) => ({
        path,
        namespace: name,
      }))
      onLoad({ filter: /./, namespace: name }, () => ({ contents: 'module.exports = {}' }))
    },
  }
}

/** The code of every validator and serializer that the app makes, by the JSON of the schema that it is for. */
async function compileSchemas() {
  const made = { shared: '', validators: new Map(), serializers: new Map() }
  const record = (codes, Standalone, extra) => (shared, options) => {
    made.shared = JSON.stringify(shared)
    let code
    const storeFunction = (_route, text) => {
      // Nobody reads what was generated.
      code = transformSync(text, { minify: true }).code
    }
    const compile = Standalone({ readMode: false, storeFunction })(shared, { ...options, ...extra })
    return (route) => {
      // Before the compiler sees the schema: it may add to it.
      const key = JSON.stringify(route.schema)
      const compiled = compile(route)
      codes.set(key, code)
      return compiled
    }
  }
  const app = buildApp(loadConfig({ LOG_LEVEL: 'silent' }), {
    compilersFactory: {
      buildValidator: record(made.validators, StandaloneValidator),
      buildSerializer: record(made.serializers, StandaloneSerializer, { inlineValidators: true }),
    },
  })
  await app.ready()
  await app.close()
  return made
}

/** Puts the validators and serializers in the place of src/plugins/precompiled.ts. */
function precompiledSchemas({ shared, validators, serializers }) {
  const codes = [...validators.values(), ...serializers.values()]
  const map = (made, first) =>
    `new Map([${[...made.keys()].map((key, i) => `[${JSON.stringify(key)}, require('precompiled:${first + i}')]`)}])`
  const all = `exports.precompiled = {
    shared: ${JSON.stringify(shared)},
    validators: ${map(validators, 0)},
    serializers: ${map(serializers, validators.size)},
  }`
  return {
    name: 'precompiled-schemas',
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^\.\/precompiled\.js$/ }, () => ({ path: 'all', namespace: 'precompiled' }))
      onResolve({ filter: /^precompiled:/ }, ({ path }) => ({ path, namespace: 'precompiled' }))
      onLoad({ filter: /.*/, namespace: 'precompiled' }, ({ path }) => ({
        contents: path === 'all' ? all : codes[Number(path.split(':')[1])],
        resolveDir: root,
      }))
    },
  }
}
