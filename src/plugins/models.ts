import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { Config } from '../config.js'
import { coded } from '../errors.js'
import type { Classifier } from '../inference/classifier.js'
import { loadModelSet, type ModelSet } from '../inference/model-set.js'
import type { ModelCard } from '../schemas/model.js'

/** The loaded models, as routes see them. */
export interface Models {
  /** How many keys the text has, and so how many keystrokes a typing. */
  keys: number
  /** What is known of each model, in the manifest's order. */
  cards: readonly ModelCard[]
  /** @throws KSR_MODEL_NOT_FOUND */
  get(name: string): Classifier
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
    const { modelDir, models: names, hideScores } = config
    const set = await loadModelSet({ dir: modelDir, names, hideScores })
    const cards = describe(set)
    app.decorate('models', {
      keys: set.manifest.keys,
      cards,
      get: (name) => set.classifiers.get(name) ?? notFound(name),
      card: (name) => cards.find((card) => card.name === name) ?? notFound(name),
    })
    app.addHook('onClose', async () => {
      await Promise.all([...set.classifiers.values()].map((classifier) => classifier.release()))
    })
  },
  { name: 'models' },
)

function describe({ manifest, classifiers }: ModelSet): ModelCard[] {
  const { keys, classes, features, files } = manifest
  return manifest.models
    .filter((entry) => classifiers.has(entry.name))
    .map((entry) => ({
      ...entry,
      keys,
      users: classes.length,
      features: features.order,
      ...(files[entry.file] as { bytes: number; sha256: string }),
    }))
}

function notFound(name: string): never {
  throw coded('KSR_MODEL_NOT_FOUND', [name])
}
