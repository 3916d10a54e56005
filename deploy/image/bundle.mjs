// Makes of the built service what an image holds: node deploy/image/bundle.mjs FOLDER [ARCHITECTURE [METAFILES]]
//
//   dist/server.js, dist/lambda.js   the entries, as modules
//   dist/service.cjs                 all other code, ours and that of libraries, run by dist/load.cjs
//   dist/demo/, dist/client/         the page at /demo, and the one script that it has of the client's
//   dist/tracing.cjs                 what sends traces, for a service that is told to
//   dist/warm.mjs                    keeps what V8 compiled of it, for the next start
//   node_modules/onnxruntime-node/   the runtime, for one platform
//   node_modules/@fastify/…          the schema compilers, for schemas that were not compiled here; the page at /docs
//   node_modules/@aws-sdk/client-s3/ what reads models from S3, for a service that is told to
//   package.json                     the version
//   sbom.cdx.json                    what of others is in all that, and the models
//   THIRD-PARTY-LICENCES.txt         their terms; those of what the runtime is built with in onnxruntime-third-party.txt.gz
//
// The models are the image's to add. METAFILES is where to write what esbuild says of what it bundled.
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { StandaloneValidator } from '@fastify/ajv-compiler'
import { StandaloneSerializer } from '@fastify/fast-json-stringify-compiler'
import { build as runEsbuild } from 'esbuild'
import { buildApp } from '../../dist/app.js'
import { loadConfig } from '../../dist/config.js'
import { licenceTexts, runtimeNotices } from './licences.mjs'
import { bundledPackages, refusedLicences, root } from './packages.mjs'
import { billOfMaterials } from './sbom.mjs'

const [folder, platform = process.arch, metafilesPath] = process.argv.slice(2)
// Docker's name for it is another than Node's.
const architecture = platform.replace('amd64', 'x64')

const require = createRequire(import.meta.url)
const dist = join(folder, 'dist')
const RUNTIME = 'onnxruntime-node'
const COMPILERS = ['@fastify/ajv-compiler', '@fastify/fast-json-stringify-compiler']
const PAGE = ['@fastify/swagger-ui', '@fastify/swagger']
const S3 = '@aws-sdk/client-s3'
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
    contents: `module.exports = { ${[...imports].sort().map((path) => `get ${JSON.stringify(path)}() { return require(${JSON.stringify(path)}) }`)} }`,
    resolveDir: join(root, 'dist'),
  },
  outfile: join(dist, 'service.cjs'),
  format: 'cjs',
  external: [RUNTIME, S3, ...COMPILERS, ...PAGE],
  define: { 'import.meta.url': 'moduleUrl' },
  banner: { js: "const moduleUrl = require('node:url').pathToFileURL(__filename).href;" },
  plugins: [asImported(), apart('telemetry/tracing'), precompiledSchemas(await compileSchemas())],
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
await bundlePackage(S3, { minifyIdentifiers: true, only: ['GetObjectCommand', 'S3Client'] })
await bundlePackage(RUNTIME, {
  define: { 'process.platform': '"linux"', 'process.arch': JSON.stringify(architecture) },
  external: ['*.node'],
})
copy(
  join(require.resolve(`${RUNTIME}/package.json`), '..', 'bin/napi-v6/linux', architecture),
  join(folder, 'node_modules', RUNTIME, 'bin/napi-v6/linux', architecture),
)
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

const packages = bundledPackages(metafiles)
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

/** Puts a package into the image as one file: all of it, or what it takes to export only these names. */
async function bundlePackage(name, { only, ...options } = {}) {
  const outfile = join(folder, 'node_modules', name, 'dist/index.js')
  const input = only
    ? {
        stdin: { contents: `export { ${only} } from '${name}'`, resolveDir: root },
        // What nothing needs can be left out of modules only.
        mainFields: ['module', 'main'],
      }
    : { entryPoints: [require.resolve(name)] }
  await build({ ...common, ...input, outfile, ...options })
  describePackage(name)
}

/** Puts packages that share code into the image as one file, which is the first one's: the others say where it is. */
async function bundleTogether(names, options) {
  const [first] = names
  const contents = names.map(
    (name) => `get ${JSON.stringify(name)}() { return require(${JSON.stringify(name)}) }`,
  )
  const outfile = join(folder, 'node_modules', first, 'dist/all.js')
  const stdin = { contents: `module.exports = { ${contents} }`, resolveDir: root }
  await build({ ...common, stdin, outfile, ...options })
  for (const name of names) {
    describePackage(name)
    const index = join(folder, 'node_modules', name, 'dist/index.js')
    mkdirSync(join(index, '..'), { recursive: true })
    writeFileSync(
      index,
      `module.exports = require('../../../${first}/dist/all.js')[${JSON.stringify(name)}]\n`,
    )
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
      code = text
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
