// Bundles the built service for an image: node deploy/bundle.mjs FOLDER [ARCHITECTURE]
//
//   FOLDER/package.json                      that it is made of modules, and the version
//   FOLDER/dist/{server,lambda}.js, chunks   all code of ours and of libraries
//   FOLDER/dist/static/                      what the page at /docs loads
//   FOLDER/node_modules/onnxruntime-node/    the runtime, of one platform
//   FOLDER/node_modules/@fastify/*-compiler/ needed only where a schema is not one of those made ready here
//
// It knows nothing of models/, which the image adds.
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { StandaloneValidator } from '@fastify/ajv-compiler'
import { StandaloneSerializer } from '@fastify/fast-json-stringify-compiler'
import { build } from 'esbuild'
import { buildApp } from '../dist/app.js'
import { loadConfig } from '../dist/config.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const require = createRequire(import.meta.url)
const [folder, platform = process.arch] = process.argv.slice(2)
// Docker's name for what Node calls x64.
const architecture = platform === 'amd64' ? 'x64' : platform
const COMPILERS = ['@fastify/ajv-compiler', '@fastify/fast-json-stringify-compiler']
const RUNTIME = 'onnxruntime-node'

const common = {
  bundle: true,
  platform: 'node',
  target: 'node20',
  minifySyntax: true, minifyWhitespace: true,
  logLevel: 'warning',
  absWorkingDir: root,
}

/** Imports of Node's own modules read every export of them, and some of those load much more; require does not. */
const requiredBuiltins = {
  name: 'required-builtins',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^node:/ }, ({ path, kind }) =>
      kind === 'import-statement' ? { path, namespace: 'builtin' } : { path, external: true },
    )
    onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path }) => ({
      contents: `module.exports = require('${path}')`,
    }))
  },
}

await build({
  ...common,
  entryPoints: ['dist/server.js', 'dist/lambda.js'],
  outdir: join(folder, 'dist'),
  format: 'esm',
  splitting: true,
  external: [RUNTIME, ...COMPILERS],
  // Libraries in CommonJS expect these.
  banner: {
    js: "import{createRequire}from'node:module';const require=createRequire(import.meta.url),__dirname=import.meta.dirname;",
  },
  plugins: [requiredBuiltins, precompiledSchemas(await compileSchemas())],
})

for (const name of COMPILERS) {
  await build({
    ...common,
    entryPoints: [require.resolve(name)],
    outfile: join(folder, 'node_modules', name, 'index.js'),
  })
}

cpSync(join(dirname(require.resolve('@fastify/swagger-ui')), 'static'), join(folder, 'dist/static'), {
  recursive: true,
})
copyRuntime()
const { name, version, type } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
writeFileSync(join(folder, 'package.json'), `${JSON.stringify({ name, version, type })}\n`)

/** The code of every validator and serializer that the app has Fastify make, with the schema that each is for. */
async function compileSchemas() {
  const made = { shared: '', validators: new Map(), serializers: new Map() }
  // The compilers may add to a schema: its JSON is taken before.
  const record = (codes, Standalone, extra) => (shared, options) => {
    made.shared = JSON.stringify(shared)
    let code
    const compile = Standalone({
      readMode: false,
      storeFunction: (_route, made) => {
        code = made
      },
    })(shared, { ...options, ...extra })
    return (route) => {
      const key = JSON.stringify(route.schema)
      const result = compile(route)
      codes.set(key, code)
      return result
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

/** Puts ready-made validators and serializers in the place of `precompiled.js`. */
function precompiledSchemas({ shared, validators, serializers }) {
  const codes = [...validators.values(), ...serializers.values()]
  const map = (made, first) =>
    `new Map([${[...made.keys()].map((key, i) => `[${JSON.stringify(key)},require('precompiled:${first + i}')]`)}])`
  const contents = `exports.precompiled = { shared: ${JSON.stringify(shared)},
    validators: ${map(validators, 0)}, serializers: ${map(serializers, validators.size)} }`
  return {
    name: 'precompiled-schemas',
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /\/precompiled\.js$/ }, () => ({ path: 'all', namespace: 'precompiled' }))
      onResolve({ filter: /^precompiled:/ }, ({ path }) => ({ path, namespace: 'precompiled' }))
      onLoad({ filter: /.*/, namespace: 'precompiled' }, ({ path }) => ({
        contents: path === 'all' ? contents : codes[Number(path.split(':')[1])],
        resolveDir: root,
      }))
    },
  }
}

function copyRuntime() {
  const from = dirname(require.resolve(`${RUNTIME}/package.json`))
  const to = join(folder, 'node_modules', RUNTIME)
  const binaries = join('bin/napi-v6/linux', architecture)
  cpSync(from, to, {
    recursive: true,
    filter: (path) => !path.includes('/node_modules/onnxruntime-node/bin') && !path.endsWith('.map'),
  })
  mkdirSync(join(to, 'bin/napi-v6/linux'), { recursive: true })
  cpSync(join(from, binaries), join(to, binaries), { recursive: true })
  cpSync(join(root, 'node_modules/onnxruntime-common'), join(folder, 'node_modules/onnxruntime-common'), {
    recursive: true,
  })
}
