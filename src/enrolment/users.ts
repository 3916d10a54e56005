import { randomUUID } from 'node:crypto'
import { coded } from '../errors.js'
import type { Change, Store } from '../stores/store.js'
import { type Read, SealedRecords } from './sealed-records.js'
import type { Text } from './texts.js'
import { decodeUser, encodeUser, type KeptTemplate, type Sample, type UserRecord } from './user-record.js'
import type { Vault } from './vault.js'

/** How often a change is tried again that somebody else was faster with. */
const MOST_TRIES = 50

/** A user as they were read. */
export type User = Read<UserRecord>

/** The users of texts in a store. */
export class Users {
  readonly #store: Store
  readonly #records: SealedRecords<UserRecord>
  readonly #now: () => number
  readonly #retentionMs: number
  readonly #template: (text: Text, samples: readonly Sample[]) => KeptTemplate | undefined

  /**
   * @param template what is kept as the template of samples
   * @param retentionMs after which a user is deleted, unless changed before; 0 for never
   */
  constructor(
    store: Store,
    vault: Vault,
    template: (text: Text, samples: readonly Sample[]) => KeptTemplate | undefined,
    now: () => number,
    retentionMs: number,
  ) {
    this.#store = store
    this.#template = template
    this.#records = new SealedRecords(store, vault, { encode: encodeUser, decode: decodeUser })
    this.#now = now
    this.#retentionMs = retentionMs
  }

  find(text: Text, user: string): Promise<User | undefined> {
    return this.#records.get(partitionOf(text), user)
  }

  /** @throws KSR_NOT_ENROLLED */
  async get(text: Text, user: string): Promise<User> {
    const found = await this.find(text, user)
    if (found === undefined) throw coded('KSR_NOT_ENROLLED', [text.name, user])
    return found
  }

  /** In the order of their ids. */
  page(text: Text, after: string, limit: number): Promise<User[]> {
    return this.#records.page(partitionOf(text), after, limit)
  }

  count(text: Text): Promise<number> {
    return this.#store.count(partitionOf(text))
  }

  /** What has changed of the text's users since a cursor; undefined for those who are gone. */
  async changes(
    text: Text,
    cursor: string,
  ): Promise<{ changes: { user: string; read: User | undefined }[]; cursor: string }> {
    const partition = partitionOf(text)
    const { changes, cursor: next } = await this.#store.changes(partition, cursor)
    const opened = ({ key, bytes, version, expires }: Change) =>
      bytes && { key, value: this.#records.open(partition, key, bytes), version, expires }
    return { changes: changes.map((change) => ({ user: change.key, read: opened(change) })), cursor: next }
  }

  /**
   * Changes a user, or makes one, and again where somebody else was faster.
   * @param change what the record becomes; given what is there, or undefined; undefined leaves it
   * @throws KSR_CONFLICT where others are always faster
   */
  async change(
    text: Text,
    user: string,
    change: (found: User | undefined) => UserRecord | undefined | Promise<UserRecord | undefined>,
  ): Promise<User | undefined> {
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const found = await this.find(text, user)
      const changed = await change(found)
      if (changed === undefined) return found
      const value = this.#templated(text, changed)
      const expires = this.#expires(value)
      const expected = found?.version
      const version = await this.#records.put(partitionOf(text), user, value, { expected, expires })
      if (version !== undefined) return { key: user, value, version, expires }
    }
    throw coded('KSR_CONFLICT')
  }

  /** A user with nothing yet. */
  made(): UserRecord {
    const created = this.moment()
    return { id: randomUUID(), created, updated: created, samples: [] }
  }

  /** Whether there was one, of that version if one is given. */
  async delete(text: Text, user: string, version?: string): Promise<boolean> {
    const deleted = await this.#store.delete(partitionOf(text), user, version)
    this.forget()
    return deleted
  }

  async deleteAll(text: Text): Promise<void> {
    await this.#store.drop(partitionOf(text))
    this.forget()
  }

  /** Has nothing in memory of whom others may have deleted meanwhile. */
  forget(): void {
    this.#records.forget()
  }

  moment(): string {
    return new Date(this.#now()).toISOString()
  }

  /** With the template of the samples that are in it now. */
  #templated(text: Text, { template: _, ...record }: UserRecord): UserRecord {
    const template = this.#template(text, record.samples)
    return template === undefined ? record : { ...record, template }
  }

  /** Unix seconds: what is noted of a user but changes nothing of them leaves it as it was. */
  #expires({ updated }: UserRecord): number | undefined {
    if (this.#retentionMs === 0) return undefined
    return Math.ceil((Date.parse(updated) + this.#retentionMs) / 1000)
  }
}

/** By the text's id: what was of a text of the same name before is nowhere near. */
function partitionOf({ id }: Text): string {
  return `users/${id}`
}
