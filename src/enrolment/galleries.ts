import type { FeatureRow } from '../keystroke/times.js'
import type { Gallery } from '../templates/gallery.js'
import type { Template } from '../templates/template.js'
import { FEWEST_SAMPLES, type TextModel } from '../templates/text-model.js'
import { currentTemplate, type TextModels } from './text-models.js'
import { FRESH_MS, type Text } from './texts.js'
import type { User, Users } from './users.js'

/** A user who can be recognised. */
export interface Ready {
  /** Unix ms. */
  expires: number
  template: Template
  /** The typings that the template is made of: who sends one of them again is not the user. */
  rows: readonly FeatureRow[]
  /** Of their record. */
  id: string
  /** The member of the cohort that the user is, once somebody has asked. */
  same?: number
}

/** All users of a text who can be recognised, as this process knows them. */
export interface Known {
  model: TextModel
  gallery: Gallery
  ready: Map<string, Ready>
  /** The ids of their records. */
  ids: Set<string>
}

interface Held extends Known {
  text: Text
  /** Up to where changes were read, and when. */
  cursor: string
  checked: number
  /** When changes were last told. */
  synced: number
  loading: Promise<void>
  syncing: Promise<void> | undefined
}

/** Read at once: others get in between. */
const PAGE = 500
/** How many users' templates are held, of all texts; those are forgotten first that were asked for longest ago. */
const MOST_HELD = 100_000
/** Stores tell of deletions for an hour: a function that was frozen for longer begins anew. */
const MOST_ASLEEP_MS = 30 * 60_000

/**
 * The galleries of the texts that are asked for, brought up to what is stored before they answer: what another process
 * has changed is seen after FRESH_MS at the latest.
 */
export class Galleries {
  readonly #users: Users
  readonly #models: TextModels
  readonly #now: () => number
  readonly #held = new Map<string, Held>()

  constructor(users: Users, models: TextModels, now: () => number) {
    this.#users = users
    this.#models = models
    this.#now = now
  }

  /** Those of a text who can be recognised now. */
  async of(text: Text): Promise<Known> {
    const models = this.#models.current()
    const model = this.#models.of(text)
    let held = this.#held.get(text.id)
    const asleep = held !== undefined && this.#now() - held.synced > MOST_ASLEEP_MS
    if (held?.model !== model || asleep) held = this.#load(text, model)
    this.#held.delete(text.id)
    this.#held.set(text.id, held)
    await held.loading
    await this.#sync(held)
    this.#forget()
    // Models that were exchanged meanwhile are gone before they could be asked.
    return this.#models.current() === models ? held : this.of(text)
  }

  /** Has the next question see what was just changed. */
  stale({ id }: Text): void {
    const held = this.#held.get(id)
    if (held !== undefined) held.checked = Number.NEGATIVE_INFINITY
  }

  drop({ id }: Text): void {
    this.#held.delete(id)
  }

  /** Has nothing in memory of whom other processes have deleted, of texts that nobody asks for, too. */
  async refresh(): Promise<void> {
    for (const [id, held] of this.#held) {
      if (this.#now() - held.synced > MOST_ASLEEP_MS) this.#held.delete(id)
      else {
        await held.loading
        await this.#sync(held)
      }
    }
  }

  #load(text: Text, model: TextModel): Held {
    const held: Held = {
      ...{
        text,
        model,
        gallery: model.gallery(),
        ready: new Map(),
        ids: new Set(),
        cursor: '',
        checked: this.#now(),
        synced: this.#now(),
      },
      ...{ loading: Promise.resolve(), syncing: undefined },
    }
    held.loading = this.#read(held).catch((error) => {
      if (this.#held.get(text.id) === held) this.#held.delete(text.id)
      throw error
    })
    return held
  }

  async #read(held: Held): Promise<void> {
    const { text } = held
    // Before what is read: what changes meanwhile comes once more.
    held.cursor = (await this.#users.changes(text, '')).cursor
    for (let after = '', more = true; more; ) {
      const page = await this.#users.page(text, after, PAGE)
      for (const user of page) put(held, user.key, user)
      more = page.length === PAGE
      after = page.at(-1)?.key ?? ''
      await new Promise(setImmediate)
    }
  }

  /** One for all who ask at the same time. */
  async #sync(held: Held): Promise<void> {
    // One that has begun may have been before what was changed here since.
    await held.syncing
    if (this.#now() - held.checked < FRESH_MS) return
    held.syncing ??= this.#update(held).finally(() => {
      held.syncing = undefined
    })
    await held.syncing
  }

  async #update(held: Held): Promise<void> {
    const now = this.#now()
    // First: what is changed while changes are read has to be read again.
    held.checked = now
    try {
      const { changes, cursor } = await this.#users.changes(held.text, held.cursor)
      for (const { user, read } of changes) put(held, user, read)
      held.cursor = cursor
      held.synced = now
    } catch (error) {
      held.checked = Number.NEGATIVE_INFINITY
      throw error
    }
    for (const [user, { expires }] of held.ready) if (expires <= now) put(held, user, undefined)
  }

  #forget(): void {
    let users = 0
    for (const { ready } of this.#held.values()) users += ready.size
    for (const [id, { ready }] of this.#held) {
      if (users <= MOST_HELD || this.#held.size === 1) continue
      users -= ready.size
      this.#held.delete(id)
    }
  }
}

function put({ model, gallery, ready, ids }: Held, user: string, read: User | undefined): void {
  ids.delete(ready.get(user)?.id ?? '')
  const samples = read?.value.samples ?? []
  if (samples.length < FEWEST_SAMPLES) {
    gallery.delete(user)
    ready.delete(user)
    return
  }
  const { value } = read as User
  ids.add(value.id)
  const template = currentTemplate(model, value)
  gallery.set(user, template)
  const expires = read?.expires === undefined ? Number.POSITIVE_INFINITY : read.expires * 1000
  ready.set(user, { id: value.id, template, expires, rows: samples.map(({ row }) => row) })
}
