import type { FeatureRow } from '../keystroke/times.js'
import type { Keystroke } from '../schemas/sample.js'

/** A typing of a user, as it is kept: what templates are made of, and only where that is wanted its times. */
export interface Sample {
  id: string
  /** When it came, as ISO 8601. */
  at: string
  /** Whether it was enrolled, or taken over from a claim that was surely true. */
  source: 'enrolled' | 'verified'
  row: FeatureRow
  /** ms. */
  keystrokes?: readonly Keystroke[] | undefined
}

/** How the claims went that matched: what tells that a user types otherwise than once. */
export interface Matches {
  count: number
  /** By how much they exceeded the threshold, of late. */
  margin: number
}

/** A user of a text, as they are sealed. Its id is new with every enrolment: what came before is nothing to it. */
export interface UserRecord {
  id: string
  created: string
  updated: string
  samples: Sample[]
  matches?: Matches | undefined
  /** When those were last written. */
  noted?: string | undefined
}

type Head = Omit<UserRecord, 'samples'> & {
  samples: (Omit<Sample, 'row' | 'keystrokes'> & { width: number; keys: number })[]
}

/**
 * The record as bytes: length of the head, the head as JSON, then of each sample its row (float32) and its press and
 * release times (float64), little-endian. Ten thousand records are read at once: JSON of all numbers would take seconds.
 */
export function encodeUser({ samples, ...rest }: UserRecord): Uint8Array {
  const head: Head = {
    ...rest,
    samples: samples.map(({ row, keystrokes = [], ...sample }) => ({
      ...sample,
      width: row.length,
      keys: keystrokes.length,
    })),
  }
  const json = Buffer.from(JSON.stringify(head))
  const size = head.samples.reduce((sum, { width, keys }) => sum + 4 * width + 16 * keys, 0)
  const bytes = Buffer.alloc(4 + json.length + size)
  bytes.writeUInt32LE(json.length)
  bytes.set(json, 4)
  let at = 4 + json.length
  for (const { row, keystrokes = [] } of samples) {
    bytes.set(bytesOf(row), at)
    at += 4 * row.length
    for (const { press, release } of keystrokes) {
      at = bytes.writeDoubleLE(press, at)
      at = bytes.writeDoubleLE(release, at)
    }
  }
  return bytes
}

/** The record of its bytes. */
export function decodeUser(sealed: Uint8Array): UserRecord {
  const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength)
  const length = bytes.readUInt32LE()
  const { samples, ...rest } = JSON.parse(bytes.toString('utf8', 4, 4 + length)) as Head
  let at = 4 + length
  return {
    ...rest,
    samples: samples.map(({ width, keys, ...sample }) => {
      const row = new Float32Array(width)
      bytesOf(row).set(bytes.subarray(at, at + 4 * width))
      at += 4 * width
      const keystrokes: Keystroke[] = []
      for (let i = 0; i < keys; i++, at += 16) {
        keystrokes.push({ press: bytes.readDoubleLE(at), release: bytes.readDoubleLE(at + 8) })
      }
      return { ...sample, row, ...(keys > 0 && { keystrokes }) }
    }),
  }
}

/** All that Node and ONNX Runtime run on keeps numbers little-endian. */
function bytesOf(row: FeatureRow): Uint8Array {
  return new Uint8Array(row.buffer, row.byteOffset, row.byteLength)
}
