// What the image holds beside its base, as CycloneDX: https://cyclonedx.org/docs/1.6/json
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { directDependencies, root } from './packages.mjs'

const SPEC = '1.6'

/**
 * The bill of materials of these packages and of the models. The same gives the same: it has neither time nor serial
 * number, both of which may be left out.
 */
export function billOfMaterials(packages) {
  const { name, version, license, description } = JSON.parse(readFileSync(`${root}/package.json`, 'utf8'))
  const manifest = readFileSync(`${root}/models/manifest.json`)
  const { models, files } = JSON.parse(manifest)
  const own = `pkg:npm/${name}@${version}`
  const refs = new Set(packages.map(({ purl }) => purl))
  return {
    bomFormat: 'CycloneDX',
    specVersion: SPEC,
    version: 1,
    metadata: {
      lifecycles: [{ phase: 'build' }],
      component: {
        'bom-ref': own,
        type: 'application',
        name,
        version,
        description,
        licenses: licenceOf(license),
        purl: own,
      },
    },
    components: [
      ...packages.map(packageComponent),
      {
        'bom-ref': 'models/manifest.json',
        type: 'file',
        name: 'models/manifest.json',
        hashes: [{ alg: 'SHA-256', content: createHash('sha256').update(manifest).digest('hex') }],
      },
      ...models.map((model) => modelComponent(model, files)),
    ],
    dependencies: [
      {
        ref: own,
        dependsOn: [
          ...directDependencies(packages),
          'models/manifest.json',
          ...models.map((model) => modelRef(model.name)),
        ],
      },
      ...packages.map(({ purl, dependencies }) => ({
        ref: purl,
        dependsOn: [...new Set(dependencies)].filter((ref) => refs.has(ref)).sort(),
      })),
      ...models.map(({ name, members = [] }) => ({
        ref: modelRef(name),
        dependsOn: members.map(({ model }) => modelRef(model)),
      })),
    ],
  }
}

/** The packages of a bill of materials as a table. */
export function licenceTable({ components }) {
  const rows = components
    .filter(({ type }) => type === 'library')
    .map(({ group, name, version, licenses: [licence] }) => [
      group === undefined ? name : `${group}/${name}`,
      version,
      licence.expression ?? licence.license.id,
    ])
  return `# Licences

What others made of which the images hold something beside their bases: ${rows.length} packages. \`npm run sbom\` writes this
page; the images have the texts as \`THIRD-PARTY-LICENCES.txt\`, and those of the libraries that ONNX Runtime is built with
as \`onnxruntime-third-party.txt.gz\`. [Supply chain](supply-chain.md) says which licences are let in.

| package | version | licence |
| --- | --- | --- |
${rows.map((row) => `| ${row.join(' | ')} |`).join('\n')}
`
}

function packageComponent({ purl, name, version, licence, integrity }) {
  const [, group, own] = /^(?:(@[^/]+)\/)?(.*)$/.exec(name)
  return {
    'bom-ref': purl,
    type: 'library',
    ...(group && { group }),
    name: own,
    version,
    ...(integrity && { hashes: [sha512(integrity)] }),
    licenses: licenceOf(licence),
    purl,
  }
}

function modelComponent({ name, version, file }, files) {
  return {
    'bom-ref': modelRef(name),
    type: 'machine-learning-model',
    name,
    version,
    // One that is made of others has no file.
    ...(file && {
      hashes: [{ alg: 'SHA-256', content: files[file].sha256 }],
      properties: [{ name: 'file', value: `models/${file}` }],
    }),
  }
}

function modelRef(name) {
  return `models/${name}`
}

/** Of the package as the registry has it, which npm compares when it installs. */
function sha512(integrity) {
  const base64 = /^sha512-(\S+)$/.exec(integrity)[1]
  return { alg: 'SHA-512', content: Buffer.from(base64, 'base64').toString('hex') }
}

function licenceOf(licence) {
  return [licence.includes(' ') ? { expression: licence } : { license: { id: licence } }]
}
