import { randomUUID } from 'node:crypto'
import { coded } from '../errors.js'
import type { Store } from '../stores/store.js'
import { floats } from '../templates/artefact.js'
import type { Experience, Prior } from '../templates/text-model.js'
import { jsonCodec, SealedRecords } from './sealed-records.js'
import { tenantOf } from './tenant.js'
import type { Vault } from './vault.js'

/** A text whose typists are told apart, as routes see it. */
export interface Text {
  /** Whose it is: the caller's, who alone sees it. */
  tenant: string
  name: string
  /** Another one once it was deleted and made again. */
  id: string
  keys: number
  prior: Prior
  /** ISO 8601. */
  created: string
  version: string
  /** What is known of it from those who type it, and from whom: the ids of their records. */
  experience?: { users: Experience; from: string[] } | undefined
}

interface TextRecord {
  id: string
  keys: number
  prior: Prior
  created: string
  experience?: { users: number; median: string; deviation: string; from: string[] } | undefined
}

/** How long a text that was read is taken for what it is, ms: others see what was changed within a second. */
export const FRESH_MS = 250
/** Texts that are remembered. */
const MOST_REMEMBERED = 10_000

/** The texts in a store. */
export class Texts {
  readonly #store: Store
  readonly #records: SealedRecords<TextRecord>
  readonly #now: () => number
  readonly #read = new Map<string, { text: Text; at: number }>()

  constructor(store: Store, vault: Vault, now: () => number) {
    this.#store = store
    this.#records = new SealedRecords(store, vault, jsonCodec())
    this.#now = now
  }

  /** @throws KSR_TEXT_NOT_FOUND, of other callers' texts, too */
  async get(tenant: string, name: string): Promise<Text> {
    const key = JSON.stringify([tenant, name])
    const read = this.#read.get(key)
    if (read !== undefined && this.#now() - read.at < FRESH_MS) return read.text
    const text = await this.find(tenant, name)
    this.#read.delete(key)
    if (text === undefined) throw coded('KSR_TEXT_NOT_FOUND', [name])
    this.#read.set(key, { text, at: this.#now() })
    if (this.#read.size > MOST_REMEMBERED) this.#read.delete(this.#read.keys().next().value as string)
    return text
  }

  /** As it is now. */
  async find(tenant: string, name: string): Promise<Text | undefined> {
    const record = await this.#records.get(partitionOf(tenant), name)
    return record && textOf(tenant, name, record.value, record.version)
  }

  /** In the order of their names. */
  async page(tenant: string, after: string, limit: number): Promise<Text[]> {
    const records = await this.#records.page(partitionOf(tenant), after, limit)
    return records.map(({ key, value, version }) => textOf(tenant, key, value, version))
  }

  count(tenant: string): Promise<number> {
    return this.#store.count(partitionOf(tenant))
  }

  /** Makes a text; undefined where there is one of that name by now. */
  create(tenant: string, name: string, keys: number, prior: Prior): Promise<Text | undefined> {
    const created = new Date(this.#now()).toISOString()
    return this.#put({ tenant, name, id: randomUUID(), keys, prior, created }, undefined)
  }

  /** Notes what is known of a text; undefined where somebody else has changed it. */
  learn(text: Text, experience: Text['experience']): Promise<Text | undefined> {
    return this.#put({ ...text, experience }, text.version)
  }

  async delete({ tenant, name }: Text): Promise<void> {
    await this.#store.delete(partitionOf(tenant), name)
    this.#read.delete(JSON.stringify([tenant, name]))
  }

  async #put(text: Omit<Text, 'version'>, expected: string | undefined): Promise<Text | undefined> {
    const { tenant, name, id, keys, prior, created, experience } = text
    const record: TextRecord = {
      ...{ id, keys, prior, created },
      experience: experience && {
        users: experience.users.users,
        median: packed(experience.users.median),
        deviation: packed(experience.users.deviation),
        from: experience.from,
      },
    }
    const version = await this.#records.put(partitionOf(tenant), name, record, { expected })
    this.#read.delete(JSON.stringify([tenant, name]))
    // As it will be read: what was narrowed makes the same templates here as elsewhere.
    return version === undefined ? undefined : textOf(tenant, name, record, version)
  }
}

function textOf(tenant: string, name: string, { experience, ...record }: TextRecord, version: string): Text {
  return {
    ...record,
    ...{ tenant, name, version },
    experience: experience && {
      users: {
        users: experience.users,
        median: Float64Array.from(floats(experience.median)),
        deviation: Float64Array.from(floats(experience.deviation)),
      },
      from: experience.from,
    },
  }
}

function partitionOf(tenant: string): string {
  return `texts/${tenantOf(tenant)}`
}

function packed(numbers: Float64Array): string {
  const bytes = Buffer.alloc(4 * numbers.length)
  for (const [i, number] of numbers.entries()) bytes.writeFloatLE(number, 4 * i)
  return bytes.toString('base64')
}
