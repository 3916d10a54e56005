import { coded } from '../errors.js'
import { Classifier } from './classifier.js'
import { type Manifest, readManifest, readPinned } from './manifest.js'

/** The models that a process serves, by name, with the manifest that declares them. */
export interface ModelSet {
  manifest: Manifest
  classifiers: ReadonlyMap<string, Classifier>
}

export interface ModelSetOptions {
  dir: string
  /** Which of the manifest's models to load; empty for all. */
  names: readonly string[]
  /** The models whose candidates are answered without scores. */
  hideScores: readonly string[]
}

/**
 * Loads every model wanted from a folder that training wrote, or none.
 * @throws KSR_MANIFEST, KSR_MODEL_FILE, or KSR_CONFIG for a name that the manifest doesn't have
 */
export async function loadModelSet({ dir, names, hideScores }: ModelSetOptions): Promise<ModelSet> {
  const manifest = await readManifest(dir)
  const known = manifest.models.map((entry) => entry.name)
  checkNames('MODELS', names, known)
  checkNames('HIDE_SCORES', hideScores, known)
  const wanted = manifest.models.filter((entry) => names.length === 0 || names.includes(entry.name))
  const opened = await Promise.all(
    wanted.map(async (entry) => {
      const bytes = await readPinned(dir, entry.file, manifest)
      const options = { classes: manifest.classes, hideScores: hideScores.includes(entry.name) }
      return [entry.name, await Classifier.open(entry, bytes, options)] as const
    }),
  )
  return { manifest, classifiers: new Map(opened) }
}

function checkNames(setting: string, names: readonly string[], known: readonly string[]): void {
  const unknown = names.find((name) => !known.includes(name))
  if (unknown !== undefined) {
    throw coded('KSR_CONFIG', [`${setting} names "${unknown}", the manifest has ${known.join(', ')}`])
  }
}
