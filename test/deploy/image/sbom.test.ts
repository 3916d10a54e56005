import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Static, Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import t from 'tap'
import { NOT_COVERED as env } from '../../fixtures/commands.js'
import { blockThat } from '../../fixtures/document.js'

// A bundle is made, which takes a busy machine its time.
t.setTimeout(300_000)

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const text = (path: string) => readFileSync(join(ROOT, path), 'utf8')
const read = (path: string) => JSON.parse(text(path))

const closed = { additionalProperties: false }
const Hash = Type.Union([
  Type.Object({ alg: Type.Literal('SHA-256'), content: Type.String({ pattern: '^[0-9a-f]{64}$' }) }, closed),
  Type.Object({ alg: Type.Literal('SHA-512'), content: Type.String({ pattern: '^[0-9a-f]{128}$' }) }, closed),
])
const Licence = Type.Union([
  Type.Object({ license: Type.Object({ id: Type.String() }, closed) }, closed),
  Type.Object({ expression: Type.String() }, closed),
])
const Component = Type.Object(
  {
    'bom-ref': Type.String({ minLength: 1 }),
    type: Type.Union(
      ['application', 'library', 'file', 'machine-learning-model'].map((type) => Type.Literal(type)),
    ),
    group: Type.Optional(Type.String()),
    name: Type.String({ minLength: 1 }),
    version: Type.Optional(Type.String({ minLength: 1 })),
    description: Type.Optional(Type.String()),
    hashes: Type.Optional(Type.Array(Hash, { minItems: 1 })),
    licenses: Type.Optional(Type.Array(Licence, { minItems: 1, maxItems: 1 })),
    purl: Type.Optional(
      Type.String({ pattern: '^pkg:npm/(%40[a-z0-9._~-]+/)?[A-Za-z0-9._~-]+@[0-9][^/@]*$' }),
    ),
    properties: Type.Optional(Type.Array(Type.Object({ name: Type.String(), value: Type.String() }, closed))),
  },
  closed,
)
/** The part of CycloneDX 1.6 that is used, as its schema has it. */
const Bill = Type.Object(
  {
    bomFormat: Type.Literal('CycloneDX'),
    specVersion: Type.Literal('1.6'),
    version: Type.Integer({ minimum: 1 }),
    metadata: Type.Object(
      {
        lifecycles: Type.Array(Type.Object({ phase: Type.Literal('build') }, closed)),
        component: Component,
      },
      closed,
    ),
    components: Type.Array(Component, { uniqueItems: true }),
    dependencies: Type.Array(
      Type.Object(
        { ref: Type.String(), dependsOn: Type.Array(Type.String(), { uniqueItems: true }) },
        closed,
      ),
    ),
  },
  closed,
)

const bill: Static<typeof Bill> = read('docs/sbom.cdx.json')
const libraries = bill.components.filter(({ type }) => type === 'library')

t.test('the bill of materials has the form of CycloneDX', async (t) => {
  t.same([...Value.Errors(Bill, bill)], [])
  const refs = [bill.metadata.component, ...bill.components].map((component) => component['bom-ref'])
  t.equal(new Set(refs).size, refs.length, 'every reference once')
  for (const { ref, dependsOn } of bill.dependencies) {
    for (const name of [ref, ...dependsOn]) t.ok(refs.includes(name), name)
  }
  const needed = new Set(bill.dependencies.flatMap(({ dependsOn }) => dependsOn))
  t.same(
    refs.filter((ref) => !needed.has(ref)),
    [bill.metadata.component.purl],
    'nothing is there that nothing needs',
  )
})

t.test('what it says of a package is what the lock says', async (t) => {
  type Entry = Record<'version' | 'integrity' | 'license', string> & { dev?: boolean }
  const lock = Object.entries<Entry>(read('package-lock.json').packages)
  for (const { group, name, version, hashes, licenses, purl } of libraries) {
    const path = `node_modules/${group ? `${group}/` : ''}${name}`
    t.equal(purl, `pkg:npm/${group ? `${group.replace('@', '%40')}/` : ''}${name}@${version}`)
    if (name === 'swagger-ui-dist') continue
    const locked = lock.find(([at, entry]) => `/${at}`.endsWith(`/${path}`) && entry.version === version)?.[1]
    const sha512 = Buffer.from(hashes?.[0]?.content as string, 'hex').toString('base64')
    t.equal(`sha512-${sha512}`, locked?.integrity, name)
    t.notOk(locked?.dev, `${name} is not there only for development`)
    const [licence] = licenses as Static<typeof Licence>[]
    t.equal(licence && 'expression' in licence ? licence.expression : licence?.license.id, locked?.license)
  }
})

t.test('the models are those of the manifest, each with its hash', async (t) => {
  const { models } = read('models/manifest.json')
  const known = bill.components.filter(({ type }) => type === 'machine-learning-model')
  t.same(
    known.map(({ name, version }) => ({ name, version })),
    models.map(({ name, version }: { name: string; version: string }) => ({ name, version })),
  )
  const sha256 = (path: string) =>
    createHash('sha256')
      .update(readFileSync(join(ROOT, path)))
      .digest('hex')
  for (const { name, properties, hashes } of known) {
    const { file } = models.find((model: { name: string }) => model.name === name)
    t.equal(properties?.[0]?.value, file && `models/${file}`)
    if (file) t.same(hashes, [{ alg: 'SHA-256', content: sha256(`models/${file}`) }], name)
  }
  const manifest = bill.components.find(({ name }) => name === 'models/manifest.json')
  t.equal(manifest?.hashes?.[0]?.content, sha256('models/manifest.json'))
})

t.test('the page of the licences is made of it', async (t) => {
  t.equal(text('docs/licences.md'), evaluate("(await import('./sbom.mjs')).licenceTable(given)", bill))
})

t.test('only licences that are let in are in what the service needs', async (t) => {
  interface Locked {
    version: string
    license?: string
    dev?: boolean
    devOptional?: boolean
  }
  const lock = Object.entries<Locked>(read('package-lock.json').packages)
  const needed = lock.filter(([path, { dev, devOptional }]) => path !== '' && !dev && !devOptional)
  t.ok(needed.length > 100)
  const refused = (packages: { name: string; version: string; licence: string | undefined }[]) =>
    evaluate("(await import('./packages.mjs')).refusedLicences(given)", packages)
  const asked = needed.map(([name, { version, license: licence }]) => ({ name, version, licence }))
  t.same(refused(asked), [])

  const named = (licence: string | undefined, i: number) => ({ name: `p${i}`, version: '1.0.0', licence })
  const others = [
    'MIT',
    'GPL-3.0-only',
    '(MIT OR GPL-3.0-only)',
    'MIT AND GPL-3.0-only',
    '(MIT AND ISC)',
    undefined,
  ]
  t.same(refused([...others, 'SEE LICENSE IN LICENSE', ''].map(named)), [
    'p1 1.0.0: GPL-3.0-only',
    'p3 1.0.0: MIT AND GPL-3.0-only',
    'p5 1.0.0: no licence',
    'p6 1.0.0: SEE LICENSE IN LICENSE',
    'p7 1.0.0: ',
  ])
})

t.test('without the terms of the very version that is bundled, no bundle is made', async (t) => {
  const terms = (name: string, path: string | undefined, licence: string) =>
    evaluate("(await import('./licences.mjs')).licenceTexts(given)", [
      { name, path, version: '99.0.0', licence },
    ])
  t.throws(() => terms('onnxruntime-node', 'node_modules/onnxruntime-node', 'MIT'), {
    message: /deploy\/image\/notices has no onnxruntime-99\.0\.0\.txt/,
  })
  t.throws(() => terms('swagger-ui-dist', undefined, 'Apache-2.0'), {
    message: /deploy\/image\/notices has no swagger-ui-dist-99\.0\.0\.txt/,
  })
  // One that brings none, and is nothing special, has those that its licence always has.
  t.match(
    terms('abstract-logging', 'node_modules/abstract-logging', 'MIT'),
    /abstract-logging 99\.0\.0 \(MIT\), James Sumners.*\n\nPermission is hereby granted, free of charge/,
  )
})

/** What an expression of JavaScript, seen from deploy/image, makes of what is given to it. */
function evaluate(expression: string, given: unknown) {
  const script = `
    const given = JSON.parse(require('node:fs').readFileSync(0, 'utf8'))
    ;(async () => console.log(JSON.stringify(${expression.replace("import('.", `import('${join(ROOT, 'deploy/image')}`)})))()
  `
  const options = { env, input: JSON.stringify(given), encoding: 'utf8' } as const
  return JSON.parse(execFileSync(process.execPath, ['--eval', script], options))
}

t.test('npm run sbom writes what is committed', async (t) => {
  const { text: command } = blockThat(text('docs/supply-chain.md'), 'npm run sbom')
  const folder = t.testdir({ docs: {} })
  for (const name of [
    'package.json',
    'package-lock.json',
    'tsconfig.json',
    '.npmrc',
    'LICENSE',
    'src',
    'models',
    'deploy',
  ])
    cpSync(join(ROOT, name), join(folder, name), { recursive: true })
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  execFileSync('bash', ['-euc', command], { cwd: folder, env, stdio: 'pipe' })
  for (const name of ['docs/sbom.cdx.json', 'docs/licences.md'])
    t.equal(readFileSync(join(folder, name), 'utf8'), text(name), name)
})
