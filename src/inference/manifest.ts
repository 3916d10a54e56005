import { createHash, type KeyObject } from 'node:crypto'
import { type Static, type TSchema, Type } from '@sinclair/typebox'
import { Errors } from '@sinclair/typebox/errors'
import { coded } from '../errors.js'
import { featureOrder } from '../keystroke/features.js'
import { Decision, Member, modelEntry, Ranges, Tensor } from '../schemas/model.js'
import { DEFAULT_FMR, DEFAULT_FPIR } from '../schemas/recognition.js'
import type { ModelSource } from './model-source.js'
import { isSigned } from './signature.js'

const MANIFEST = 'manifest.json'

/** Beside it, where a key is set. */
const SIGNATURE = `${MANIFEST}.sig`

const FORMAT = 2

const UserId = Type.Union([Type.Integer(), Type.String()])

const common = {
  ...modelEntry,
  check: Type.Object(
    { row: Type.Array(Type.Number()), user: UserId, score: Type.Number() },
    { description: 'One row with the answer that training had for it.' },
  ),
}
const file = {
  file: Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._-]*$' }),
  input: Tensor,
  outputs: Type.Array(Tensor),
}
const absent = Type.Optional(Type.Never())

const SummaryEntry = Type.Object({
  ...common,
  ...file,
  features: Type.Literal('summary'),
  decision: absent,
})
const TimingsEntry = Type.Object({
  ...common,
  ...file,
  features: Type.Literal('timings'),
  decision: Decision,
})
const ComposedEntry = Type.Object({
  ...common,
  features: Type.Literal('timings'),
  decision: Decision,
  members: Type.Array(Member, { minItems: 1 }),
  file: absent,
  input: absent,
  outputs: absent,
})

/** A model of the eight numbers. */
export type SummaryEntry = Static<typeof SummaryEntry>
/** A model of raw keystrokes. */
export type TimingsEntry = Static<typeof TimingsEntry>
/** A model of raw keystrokes that has no file: its evidence is a weighted sum of its members'. */
export type ComposedEntry = Static<typeof ComposedEntry>
export type FileEntry = SummaryEntry | TimingsEntry
export type ManifestEntry = FileEntry | ComposedEntry

const Manifest = Type.Object({
  keys: Type.Integer({ minimum: 2 }),
  classes: Type.Union([
    Type.Array(Type.Integer(), { minItems: 2, uniqueItems: true }),
    Type.Array(Type.String(), { minItems: 2, uniqueItems: true }),
  ]),
  features: Type.Object({
    summary: Type.Array(Type.String()),
    timings: Type.Array(Type.String()),
    unit: Type.Literal('ms'),
    std: Type.Literal('population'),
  }),
  ranges: Ranges,
  models: Type.Array(Type.Object({ features: Type.String(), members: Type.Optional(Type.Unknown()) }), {
    minItems: 1,
  }),
  enrolment: Type.Optional(Type.Object({ file: file.file, graph: file.file, version: Type.String() })),
  files: Type.Record(Type.String(), Type.Object({ bytes: Type.Integer(), sha256: Type.String() })),
})

/** What training declares of the models that it wrote: `manifest.json`. */
export type Manifest = Omit<Static<typeof Manifest>, 'models'> & {
  models: ManifestEntry[]
  /** The SHA-256 of its file, which pins all the others. */
  sha256: string
}

type Refuse = (reason: string) => Error

/**
 * The manifest of the models there.
 * @param key whose signature of it has to be there, too; none is asked for without
 * @throws KSR_MANIFEST with the file and the reason when it is missing, is not signed, has another form, contradicts
 *   itself, or was made for other features than this service computes
 */
export async function readManifest(source: ModelSource, key?: KeyObject): Promise<Manifest> {
  const refuse = (reason: string) => coded('KSR_MANIFEST', [source.locate(MANIFEST), reason])
  const bytes = await readSigned(source, key)
  const manifest = parse(bytes.toString(), refuse)
  const { format } = Object(manifest)
  if (format !== FORMAT) {
    throw refuse(
      `its format is ${format}, this service reads ${FORMAT}: train again with the trainer of this version`,
    )
  }
  checkForm(Manifest, manifest, refuse)
  const { keys, features } = manifest
  for (const kind of ['summary', 'timings'] as const) {
    const computed = featureOrder(kind, keys)
    if (features[kind].join() !== computed.join()) {
      throw refuse(`the ${kind} features are ${features[kind]}, this service computes ${computed}`)
    }
  }
  const models = manifest.models.map((entry, i) => checkEntry(entry, `/models/${i}`, refuse))
  checkNames(models, refuse)
  return { ...manifest, models, sha256: sha256Of(bytes) }
}

/** The bytes of the manifest, of which nothing is believed before the signature is checked. */
async function readSigned(source: ModelSource, key: KeyObject | undefined): Promise<Buffer> {
  const read = (name: string) =>
    source.read(name).catch(({ message }: Error) => {
      throw coded('KSR_MANIFEST', [source.locate(name), message])
    })
  if (key === undefined) return read(MANIFEST)
  const [bytes, signature] = await Promise.all([read(MANIFEST), read(SIGNATURE)])
  if (!isSigned(bytes, signature, key)) {
    const reason = `it is no signature of ${MANIFEST} by the key in MODEL_PUBLIC_KEY`
    throw coded('KSR_MANIFEST', [source.locate(SIGNATURE), reason])
  }
  return bytes
}

function checkEntry(
  entry: Static<typeof Manifest>['models'][number],
  at: string,
  refuse: Refuse,
): ManifestEntry {
  if (entry.members !== undefined) checkForm(ComposedEntry, entry, refuse, at)
  else if (entry.features === 'timings') checkForm(TimingsEntry, entry, refuse, at)
  else {
    checkForm(SummaryEntry, entry, refuse, at)
    return entry
  }
  const { identification, verification } = entry.decision
  checkPoints('fpir', DEFAULT_FPIR, identification.points)
  checkPoints('fmr', DEFAULT_FMR, verification.points)
  return entry

  /** A request that names no operating point must have one, whatever attempts it sends of those that are taken. */
  function checkPoints<Rate extends string>(
    rate: Rate,
    value: number,
    points: readonly ({ attempts: number } & Record<Rate, number>)[],
  ): void {
    const most = Math.max(...points.map(({ attempts }) => attempts))
    for (let attempts = 1; attempts <= most; attempts++) {
      const found = points.some((point) => point.attempts === attempts && point[rate] === value)
      if (!found)
        throw refuse(`${at}/decision: there is no point at ${rate} ${value} for ${attempts} attempts`)
    }
  }
}

function checkNames(models: readonly ManifestEntry[], refuse: Refuse): void {
  const names = models.map(({ name }) => name)
  if (new Set(names).size < names.length) throw refuse(`it lists a model twice: ${names}`)
  for (const entry of models) {
    for (const { model } of 'members' in entry ? entry.members : []) {
      const member = models.find(({ name }) => name === model)
      if (member === undefined || member.features === 'summary' || 'members' in member) {
        throw refuse(
          `${entry.name} is made of "${model}", which is no model of timings with a file of its own`,
        )
      }
    }
  }
}

/**
 * The bytes of a file that the manifest pins.
 * @throws KSR_MODEL_FILE with the file and the reason when it is missing or is not the one that was written
 */
export async function readPinned(source: ModelSource, name: string, manifest: Manifest): Promise<Buffer> {
  const refuse = (reason: string) => coded('KSR_MODEL_FILE', [source.locate(name), reason])
  const pin = manifest.files[name]
  if (pin === undefined) throw refuse('the manifest does not pin it')
  const bytes = await source.read(name, pin.bytes).catch(({ message }: Error) => {
    throw refuse(message)
  })
  const sha256 = sha256Of(bytes)
  if (sha256 !== pin.sha256) throw refuse(`its SHA-256 is ${sha256}, the manifest says ${pin.sha256}`)
  return bytes
}

function sha256Of(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function parse(text: string, refuse: Refuse): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw refuse('it is not JSON')
  }
}

function checkForm<T extends TSchema>(
  schema: T,
  value: unknown,
  refuse: Refuse,
  at = '',
): asserts value is Static<T> {
  const fault = Errors(schema, value).First()
  if (fault !== undefined) throw refuse(`${at}${fault.path}: ${fault.message}`)
}
