import { coded } from '../errors.js'

/**
 * Bytes under a key of a partition, with a version that changes with each write. Keys and partitions are any
 * string of 1 up to 1,024 bytes of UTF-8.
 */
export interface StoredRecord {
  partition: string
  key: string
  version: string
  bytes: Uint8Array
  /** Unix seconds after which it is not there any more; undefined for never. */
  expires?: number
}

/** A write, or a deletion where `bytes` is undefined. */
export interface Change {
  key: string
  version: string
  bytes: Uint8Array | undefined
  expires?: number
}

/**
 * Where records are kept. It knows nothing of what is in them. All of it may be called from several processes
 * at once; what is past its time is never answered, swept or not.
 */
export interface Store {
  get(partition: string, key: string): Promise<StoredRecord | undefined>
  /**
   * Writes where the version of the record is `expected` (undefined: where there is none), and resolves to the
   * new version once it is durable, or to undefined where somebody else was faster.
   */
  put(record: Omit<StoredRecord, 'version'>, expected: string | undefined): Promise<string | undefined>
  /** Whether there was one, with the `expected` version if that is given. Its bytes are gone from the disk afterwards. */
  delete(partition: string, key: string, expected?: string): Promise<boolean>
  /** The records in the order of their keys' bytes, from the first behind `after` ('' for the first), at most `limit`. */
  page(partition: string, after: string, limit: number): Promise<StoredRecord[]>
  /** How many records are in it. */
  count(partition: string): Promise<number>
  /** Removes all records of a partition, and their bytes from the disk. Cut off in the middle it can be repeated. */
  drop(partition: string): Promise<void>
  /**
   * What was written or deleted since `cursor`, and the cursor to go on from; for '' no changes, only the cursor.
   * It may repeat some; it misses none that was acknowledged before the call. Deletions are remembered for an hour at
   * least: who has not asked for so long has to begin anew.
   */
  changes(partition: string, cursor: string): Promise<{ changes: Change[]; cursor: string }>
  /** Removes what is past its time, and what is remembered of old deletions; how many records that were. */
  sweep(): Promise<number>
  close(): Promise<void>
}

/** What DynamoDB takes is 400 KiB with the keys and all names. */
export const LARGEST = 390_000

/** @throws KSR_RECORD_TOO_LARGE where a record is larger than every store can keep */
export function checkSize({ length }: Uint8Array): void {
  if (length > LARGEST) throw coded('KSR_RECORD_TOO_LARGE', [length, LARGEST])
}
