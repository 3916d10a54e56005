import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Static, type TSchema, Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { coded } from '../errors.js'
import { FEATURE_ORDER } from '../keystroke/features.js'
import { modelEntry } from '../schemas/model.js'

const UserId = Type.Union([Type.Integer(), Type.String()])

const ManifestEntry = Type.Object({
  ...modelEntry,
  file: Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._-]*$' }),
  check: Type.Object(
    { row: Type.Array(Type.Number()), user: UserId, score: Type.Number() },
    { description: 'One row with the answer that training had for it.' },
  ),
})
export type ManifestEntry = Static<typeof ManifestEntry>

const Manifest = Type.Object({
  format: Type.Literal(1),
  keys: Type.Integer({ minimum: 2 }),
  classes: Type.Union([
    Type.Array(Type.Integer(), { minItems: 2, uniqueItems: true }),
    Type.Array(Type.String(), { minItems: 2, uniqueItems: true }),
  ]),
  features: Type.Object({
    order: Type.Array(Type.String()),
    unit: Type.Literal('ms'),
    std: Type.Literal('population'),
  }),
  models: Type.Array(ManifestEntry, { minItems: 1 }),
  files: Type.Record(Type.String(), Type.Object({ bytes: Type.Integer(), sha256: Type.String() })),
})

/** What training declares of the models in a folder: `manifest.json`. */
export type Manifest = Static<typeof Manifest>

/**
 * The manifest of a folder of models.
 * @throws KSR_MANIFEST with the file and the reason when it is missing, has another form, or was made for
 *   other features than this service computes
 */
export async function readManifest(dir: string): Promise<Manifest> {
  const path = join(dir, 'manifest.json')
  const refuse = (reason: string) => coded('KSR_MANIFEST', [path, reason])
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw refuse(`it can not be read (${error.code})`)
  })
  const manifest = parse(text, refuse)
  checkForm(Manifest, manifest, refuse)
  if (manifest.features.order.join() !== FEATURE_ORDER.join()) {
    throw refuse(`the features are ${manifest.features.order}, this service computes ${FEATURE_ORDER}`)
  }
  const names = manifest.models.map(({ name }) => name)
  if (new Set(names).size < names.length) throw refuse(`it lists a model twice: ${names}`)
  return manifest
}

/**
 * The bytes of a file that the manifest pins.
 * @throws KSR_MODEL_FILE with the file and the reason when it is missing or is not the one that was written
 */
export async function readPinned(dir: string, name: string, manifest: Manifest): Promise<Buffer> {
  const path = join(dir, name)
  const pin = manifest.files[name]
  if (pin === undefined) throw coded('KSR_MODEL_FILE', [path, 'the manifest does not pin it'])
  const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    throw coded('KSR_MODEL_FILE', [path, `it can not be read (${error.code})`])
  })
  if (bytes.length !== pin.bytes) {
    throw coded('KSR_MODEL_FILE', [path, `it has ${bytes.length} bytes, the manifest says ${pin.bytes}`])
  }
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  if (sha256 !== pin.sha256) {
    throw coded('KSR_MODEL_FILE', [path, `its SHA-256 is ${sha256}, the manifest says ${pin.sha256}`])
  }
  return bytes
}

function parse(text: string, refuse: (reason: string) => Error): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw refuse('it is not JSON')
  }
}

function checkForm<T extends TSchema>(
  schema: T,
  value: unknown,
  refuse: (reason: string) => Error,
): asserts value is Static<T> {
  const fault = Value.Errors(schema, value).First()
  if (fault !== undefined) throw refuse(`${fault.path || '/'}: ${fault.message}`)
}
