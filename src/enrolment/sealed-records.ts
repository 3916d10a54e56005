import type { Store, StoredRecord } from '../stores/store.js'
import type { Vault } from './vault.js'

/** A record as it was read: what is in it, and the version that a write has to expect. */
export interface Read<T> {
  key: string
  value: T
  version: string
  expires?: number | undefined
}

/** How one kind of record is written as bytes. */
export interface Codec<T> {
  encode(value: T): Uint8Array
  decode(bytes: Uint8Array): T
}

/** As JSON. */
export function jsonCodec<T>(): Codec<T> {
  return {
    encode: (value) => Buffer.from(JSON.stringify(value)),
    decode: (bytes) => JSON.parse(Buffer.from(bytes).toString()),
  }
}

/** How many records are remembered as they were opened. */
const MOST_OPENED = 5000

/** Records of one kind in a store, each sealed for the place where it is. What was read must not be changed in place. */
export class SealedRecords<T> {
  readonly #store: Store
  readonly #vault: Vault
  readonly #codec: Codec<T>
  readonly #opened = new Map<string, Read<T>>()

  constructor(store: Store, vault: Vault, codec: Codec<T>) {
    this.#store = store
    this.#vault = vault
    this.#codec = codec
  }

  async get(partition: string, key: string): Promise<Read<T> | undefined> {
    const record = await this.#store.get(partition, key)
    const place = placeOf(partition, key)
    const opened = this.#opened.get(place)
    // Opening takes ten times as long as reading.
    if (opened !== undefined && opened.version === record?.version) return opened
    this.#opened.delete(place)
    if (record === undefined) return undefined
    const read = await this.#renewed(record)
    this.#opened.set(place, read)
    if (this.#opened.size > MOST_OPENED) this.forget()
    return read
  }

  /** Has nothing in memory of what others may have deleted meanwhile. */
  forget(): void {
    this.#opened.clear()
  }

  /** In the order of their keys. */
  async page(partition: string, after: string, limit: number): Promise<Read<T>[]> {
    const records = await this.#store.page(partition, after, limit)
    return Promise.all(records.map((record) => this.#renewed(record)))
  }

  /** Resolves to the new version, or to undefined where the record is not of the version expected any more. */
  put(
    partition: string,
    key: string,
    value: T,
    { expected, expires }: { expected: string | undefined; expires?: number | undefined },
  ): Promise<string | undefined> {
    const bytes = this.#vault.seal(this.#codec.encode(value), placeOf(partition, key))
    return this.#store.put({ partition, key, bytes, ...(expires !== undefined && { expires }) }, expected)
  }

  /** What is in the bytes of a record. */
  open(partition: string, key: string, bytes: Uint8Array): T {
    return this.#codec.decode(this.#vault.open(bytes, placeOf(partition, key)))
  }

  /** The record, under the key that seals now: so a key can be taken away once all was read. */
  async #renewed({ partition, key, bytes, version, expires }: StoredRecord): Promise<Read<T>> {
    const value = this.open(partition, key, bytes)
    const read = { key, value, version, expires }
    if (this.#vault.isCurrent(bytes)) return read
    const renewed = await this.put(partition, key, value, { expected: version, expires })
    // Else somebody has written it meanwhile, and a write that expects the old version is to fail.
    return renewed === undefined ? read : { ...read, version: renewed }
  }
}

/** With the lengths' one separator that no partition has, no two places have one name. */
function placeOf(partition: string, key: string): string {
  return `${partition}\n${key}`
}
