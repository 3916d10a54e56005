import { coded } from '../errors.js'
import { featureOrder } from '../keystroke/features.js'
import { readArtefact } from '../templates/artefact.js'
import { type EnrolmentModels, type Rival, TextModel } from '../templates/text-model.js'
import { Classifier } from './classifier.js'
import { openComparer } from './comparer.js'
import {
  type ComposedEntry,
  type FileEntry,
  type Manifest,
  type ManifestEntry,
  readManifest,
  readPinned,
} from './manifest.js'
import type { ModelSource } from './model-source.js'
import { Recogniser } from './recogniser.js'
import { releasedUnless } from './session.js'
import { signingKey } from './signature.js'

/** How far what is compared may be from what it was in training, which wrote six digits of it. */
const CHECK_TOLERANCE = 1e-3

/** The models that a process serves, by name, with the manifest that declares them. */
export interface ModelSet {
  manifest: Manifest
  models: ReadonlyMap<string, Classifier | Recogniser>
  /** How users of one's own are told apart; undefined where training could not say. */
  enrolment: EnrolmentModels | undefined
  /** Whether a model's candidates come without scores. */
  hidesScores(entry: ManifestEntry): boolean
  /** Frees all that is native of them. */
  release(): Promise<void>
}

export interface ModelSetOptions {
  source: ModelSource
  /** Which of the manifest's models to load; empty for all. */
  names: readonly string[]
  /** The models whose candidates are answered without scores, beside those that the manifest says. */
  hideScores: readonly string[]
  /** The models whose candidates are answered with scores, whatever the manifest says. */
  showScores: readonly string[]
  /** Whose signature the manifest has to have: SPKI in DER as base64; '' asks for none. */
  publicKey: string
}

/** As `loadModelSet`, or undefined where the manifest there is the one of a set that is loaded. */
export async function loadOtherModelSet(
  loaded: ModelSet,
  options: ModelSetOptions,
): Promise<ModelSet | undefined> {
  const manifest = await read(options)
  return manifest.sha256 === loaded.manifest.sha256 ? undefined : open(manifest, options)
}

/**
 * Loads every model wanted of those that training wrote there, or none.
 * @throws KSR_MANIFEST, KSR_MODEL_FILE, or KSR_CONFIG for a name that the manifest doesn't have or a key that is none
 */
export async function loadModelSet(options: ModelSetOptions): Promise<ModelSet> {
  return open(await read(options), options)
}

function read({ source, publicKey }: ModelSetOptions): Promise<Manifest> {
  return readManifest(source, signingKey(publicKey))
}

async function open(manifest: Manifest, options: ModelSetOptions): Promise<ModelSet> {
  const { source, names, hideScores, showScores } = options
  const known = manifest.models.map((entry) => entry.name)
  checkNames('MODELS', names, known)
  checkNames('HIDE_SCORES', hideScores, known)
  checkNames('SHOW_SCORES', showScores, known)
  const hidesScores = ({ name, hideScores: byDefault }: ManifestEntry) =>
    hideScores.includes(name) || (byDefault && !showScores.includes(name))

  const wanted = manifest.models.filter((entry) => names.length === 0 || names.includes(entry.name))
  const composed = wanted.filter(isComposed)
  const members = new Set(composed.flatMap((entry) => entry.members.map(({ model }) => model)))
  const files = manifest.models.filter(
    (entry): entry is FileEntry => !isComposed(entry) && (wanted.includes(entry) || members.has(entry.name)),
  )

  const optionsOf = (entry: ManifestEntry) => ({
    classes: manifest.classes,
    width: featureOrder(entry.features, manifest.keys).length,
    hideScores: hidesScores(entry),
  })
  // Read at once, and opened one after the other: the event loop stands still for each, and a service that reloads
  // answers in between.
  let before: Promise<unknown> = Promise.resolve()
  const openings = files.map((entry) => {
    const ready = Promise.all([readPinned(source, entry.file, manifest), before])
    const opening = ready.then<Classifier | Recogniser>(([bytes]) =>
      entry.features === 'summary'
        ? Classifier.open(entry, bytes, optionsOf(entry))
        : Recogniser.open(entry, bytes, optionsOf(entry)),
    )
    before = opening
    return opening
  })
  const opening = openEnrolment(manifest, source)
  const release = async () => {
    await opening.then(
      (opened) => opened?.release(),
      () => {},
    )
    const settled = await Promise.allSettled(openings)
    await Promise.all(settled.map((one) => one.status === 'fulfilled' && one.value.release()))
  }
  try {
    const [enrolment, ...opened] = await Promise.all([opening, ...openings])
    const byName = new Map(files.map((entry, i) => [entry.name, opened[i] as Classifier | Recogniser]))
    for (const entry of composed) {
      // The manifest was read with members that are recognisers.
      const recognisers = byName as ReadonlyMap<string, Recogniser>
      byName.set(entry.name, await Recogniser.compose(entry, recognisers, optionsOf(entry)))
    }
    const models = new Map(wanted.map(({ name }) => [name, byName.get(name) as Classifier | Recogniser]))
    return { manifest, models, enrolment: enrolment?.models, hidesScores, release }
  } catch (error) {
    // A service that goes on with the models it has would keep these for ever.
    await release()
    throw error
  }
}

/**
 * What users of one's own are told apart with, where training could say it.
 * @throws KSR_MODEL_FILE where it is not what this service reads, or does not compare as training did
 */
async function openEnrolment({ enrolment, ...manifest }: Manifest, source: ModelSource) {
  if (enrolment === undefined) return undefined
  const { file, graph } = enrolment
  const [bytes, graphBytes] = await Promise.all([
    readPinned(source, file, manifest),
    readPinned(source, graph, manifest),
  ])
  const refuse = (reason: string) => coded('KSR_MODEL_FILE', [source.locate(file), reason])
  const artefact = readArtefact(bytes, refuse)
  const { compare, release } = await openComparer(graph, graphBytes)
  const models: EnrolmentModels = { artefact, compare }
  return releasedUnless({ models, release }, async () => {
    const { evidence, statistic } = artefact.check
    const answer = await checkedBy(models).catch((cause: Error) => {
      throw coded('KSR_MODEL_FILE', [graph, `it does not compare: ${cause.message}`], { cause })
    })
    const isNear = (one: number, other: number) => Math.abs(one - other) < CHECK_TOLERANCE
    if (!isNear(answer.evidence, evidence) || !isNear(answer.statistic, statistic)) {
      throw refuse('its typings do not compare as they did in training')
    }
  })
}

/** What the typings that training enrolled and compared are answered here. */
async function checkedBy(models: EnrolmentModels): Promise<{ evidence: number; statistic: number }> {
  const { keys, check } = models.artefact
  const text = new TextModel(models, keys, 'shipped')
  const row = Float32Array.from(check.row)
  const template = text.template(check.rows.map((row) => Float32Array.from(row)))
  const gallery = text.gallery()
  gallery.set('', template)
  const { rivals } = await text.identify(gallery, [row], 1)
  const [{ evidence }] = rivals as [Rival]
  const same = await text.sameUser(template)
  return { evidence, statistic: await text.compare({ template, same }, [row]) }
}

function isComposed(entry: ManifestEntry): entry is ComposedEntry {
  return 'members' in entry
}

function checkNames(setting: string, names: readonly string[], known: readonly string[]): void {
  const unknown = names.find((name) => !known.includes(name))
  if (unknown !== undefined) {
    throw coded('KSR_CONFIG', [`${setting} names "${unknown}", the manifest has ${known.join(', ')}`])
  }
}
