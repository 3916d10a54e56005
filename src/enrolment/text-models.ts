import { coded } from '../errors.js'
import type { Template } from '../templates/template.js'
import { type EnrolmentModels, FEWEST_SAMPLES, TextModel } from '../templates/text-model.js'
import type { Text } from './texts.js'
import type { KeptTemplate, Sample, UserRecord } from './user-record.js'

/** How many texts' models are held. */
const MOST_HELD = 1000

/** How the users of each text are told apart: by what training declares now, and what the text has learned. */
export class TextModels {
  readonly #current: () => EnrolmentModels
  readonly #held = new Map<string, { version: string; models: EnrolmentModels; model: TextModel }>()

  /** @param current what training declares now: models may be exchanged */
  constructor(current: () => EnrolmentModels) {
    this.#current = current
  }

  current(): EnrolmentModels {
    return this.#current()
  }

  /** @throws KSR_NO_PRIOR where models that were exchanged are of a text of another length */
  of(text: Text): TextModel {
    const models = this.current()
    if (!this.#hasPrior(text)) throw coded('KSR_NO_PRIOR', [models.artefact.keys])
    // Of the shipped prior there is one, whatever texts there are.
    const key = text.prior === 'shipped' ? 'shipped' : text.id
    const version = text.prior === 'shipped' ? '' : text.version
    const held = this.#held.get(key)
    if (held?.version === version && held.models === models) return held.model
    const model = new TextModel(models, text.keys, text.prior, text.experience?.users)
    this.#held.delete(key)
    this.#held.set(key, { version, models, model })
    if (this.#held.size > MOST_HELD) this.#held.delete(this.#held.keys().next().value as string)
    return model
  }

  /**
   * The template of these samples for their record; undefined where there are too few. Of a text of the general prior none is
   * kept: it learns from others, of whom there would be something in it after they are deleted.
   */
  kept(text: Text, samples: readonly Sample[]): KeptTemplate | undefined {
    if (samples.length < FEWEST_SAMPLES || text.prior === 'general' || !this.#hasPrior(text)) return undefined
    const model = this.of(text)
    return { basis: model.basis, ...model.template(samples.map(({ row }) => row)) }
  }

  drop({ id }: Text): void {
    this.#held.delete(id)
  }

  #hasPrior({ prior, keys }: Text): boolean {
    return prior === 'general' || keys === this.current().artefact.keys
  }
}

/** The template of a user: as it was kept, unless it is made otherwise by now. */
export function currentTemplate(model: TextModel, { samples, template }: UserRecord): Template {
  return template?.basis === model.basis ? template : model.template(samples.map(({ row }) => row))
}
