import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { Config } from '../config.js'
import { coded } from '../errors.js'
import type { Classifier } from '../inference/classifier.js'
import type { ManifestEntry } from '../inference/manifest.js'
import { loadModelSet, loadOtherModelSet, type ModelSet } from '../inference/model-set.js'
import { modelSource } from '../inference/model-source.js'
import type { Recogniser } from '../inference/recogniser.js'
import { featureOrder } from '../keystroke/features.js'
import type { Ranges } from '../keystroke/quality.js'
import type { ModelState } from '../schemas/health.js'
import type { ModelCard } from '../schemas/model.js'
import type { UserId } from '../schemas/recognition.js'
import type { EnrolmentModels } from '../templates/text-model.js'

/** The loaded models, as routes see them; from one turn of the event loop to the next they may be others. */
export interface Models {
  /** How many keys the text has, and so how many keystrokes a typing. */
  keys: number
  /** The times that the models were trained on. */
  ranges: Ranges
  /** Whom they can name, in the order of their scores. */
  users: readonly UserId[]
  /** What is known of each model, in the manifest's order. */
  cards: readonly ModelCard[]
  /** How users of one's own are told apart; undefined where training could not say. */
  enrolment: EnrolmentModels | undefined
  /** @throws KSR_MODEL_NOT_FOUND */
  get(name: string): Classifier | Recogniser
  /** @throws KSR_MODEL_NOT_FOUND */
  card(name: string): ModelCard
  /** How each of them does. One whose last answer failed is asked something that it has answered before. */
  states(): Promise<Record<string, ModelState>>
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
    const options = { source, names, hideScores, showScores, publicKey }
    let current = described(await loadModelSet(options))
    app.decorate('models', {
      get keys() {
        return current.set.manifest.keys
      },
      get ranges() {
        return current.set.manifest.ranges
      },
      get users() {
        return current.set.manifest.classes
      },
      get enrolment() {
        return current.set.enrolment
      },
      get cards() {
        return current.cards
      },
      get: (name) => current.set.models.get(name) ?? notFound(name),
      card: (name) => current.cards.find((card) => card.name === name) ?? notFound(name),
      async states() {
        const states = [...current.set.models].map(async ([name, model]) => [name, await stateOf(model)])
        return Object.fromEntries(await Promise.all(states))
      },
    })
    app.onReload(async () => {
      const { set: old } = current
      const set = await loadOtherModelSet(old, options)
      if (set === undefined) return undefined
      const next = described(set)
      return {
        commit() {
          current = next
          const versions = Object.fromEntries(next.cards.map(({ name, version }) => [name, version]))
          app.log.info({ versions }, 'other models are served')
        },
        release: old.release,
        discard: set.release,
      }
    })
    app.addHook('onClose', () => current.set.release())
  },
  { name: 'models', dependencies: ['reloading'] },
)

async function stateOf(model: Classifier | Recogniser): Promise<ModelState> {
  if (!model.isFailing()) return 'ready'
  return model.check().then(
    () => 'failing',
    () => 'failed',
  )
}

function described(set: ModelSet) {
  const served = set.manifest.models.filter(({ name }) => set.models.has(name))
  return { set, cards: served.map((entry) => describe(entry, set)) }
}

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
