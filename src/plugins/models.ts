import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { Config } from '../config.js'
import { coded } from '../errors.js'
import type { Classifier } from '../inference/classifier.js'
import type { ManifestEntry } from '../inference/manifest.js'
import { loadModelSet, type ModelSet } from '../inference/model-set.js'
import { modelSource } from '../inference/model-source.js'
import type { Recogniser } from '../inference/recogniser.js'
import { featureOrder } from '../keystroke/features.js'
import type { Ranges } from '../keystroke/quality.js'
import type { ModelCard } from '../schemas/model.js'

/** The loaded models, as routes see them. */
export interface Models {
  /** How many keys the text has, and so how many keystrokes a typing. */
  keys: number
  /** The times that the models were trained on. */
  ranges: Ranges
  /** What is known of each model, in the manifest's order. */
  cards: readonly ModelCard[]
  /** @throws KSR_MODEL_NOT_FOUND */
  get(name: string): Classifier | Recogniser
  /** @throws KSR_MODEL_NOT_FOUND */
  card(name: string): ModelCard
}

declare module 'fastify' {
  interface FastifyInstance {
    models: Models
  }
}

/** Loads the models before the first request, and frees them after the last. */
export const models = fp(
  async (app: FastifyInstance, { config }: { config: Config }) => {
    const { models: names, hideScores, showScores, modelPublicKey: publicKey } = config
    const source = await modelSource(config)
    const set = await loadModelSet({ source, names, hideScores, showScores, publicKey })
    const { keys, ranges } = set.manifest
    const cards = set.manifest.models
      .filter(({ name }) => set.models.has(name))
      .map((entry) => describe(entry, set))
    app.decorate('models', {
      keys,
      ranges,
      cards,
      get: (name) => set.models.get(name) ?? notFound(name),
      card: (name) => cards.find((card) => card.name === name) ?? notFound(name),
    })
    app.addHook('onClose', set.release)
  },
  { name: 'models' },
)

function describe(entry: ManifestEntry, { manifest, hidesScores }: ModelSet): ModelCard {
  const { keys, classes, ranges, files } = manifest
  return {
    ...entry,
    ...('file' in entry && (files[entry.file] as { bytes: number; sha256: string })),
    hideScores: hidesScores(entry),
    keys,
    users: classes.length,
    accepts: entry.features === 'summary' ? ['summary', 'keystrokes'] : ['keystrokes', 'attempts'],
    features: [...featureOrder(entry.features, keys)],
    ranges,
  }
}

function notFound(name: string): never {
  throw coded('KSR_MODEL_NOT_FOUND', [name])
}
