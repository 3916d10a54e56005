import { coded } from '../errors.js'
import type { FeatureRow } from '../keystroke/times.js'
import type { Keystroke } from '../schemas/sample.js'
import type { Template } from '../templates/template.js'

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

/** The template of a user's samples, and what it was made with beside them (`TextModel.basis`). */
export interface KeptTemplate extends Template {
  basis: string
}

/** A user of a text, as they are sealed. Its id is new with every enrolment: what came before is nothing to it. */
export interface UserRecord {
  id: string
  created: string
  updated: string
  samples: Sample[]
  /** To make it takes longer than to read it, for ten thousand users at once. */
  template?: KeptTemplate | undefined
  matches?: Matches | undefined
  /** When those were last written. */
  noted?: string | undefined
}

type Head = Omit<UserRecord, 'samples' | 'template'> & {
  samples: (Omit<Sample, 'row' | 'keystrokes'> & { width: number; keys: number })[]
  template?: { basis: string; width: number } | undefined
}

/** Of the bytes below: a record of another one was written by another version of the service, and is not guessed at. */
const FORM = 1
const HEAD_AT = 5

/**
 * The record as bytes: form 1, length of the head, the head as JSON, the rows of all samples, centres and spreads of the template
 * (all float32), the press and release times of all samples (float64), little-endian. Ten thousand records are read at once: JSON
 * of all numbers would take seconds.
 */
export function encodeUser({ samples, template, ...rest }: UserRecord): Uint8Array {
  const head: Head = {
    ...rest,
    template: template && { basis: template.basis, width: template.centre.length },
    samples: samples.map(({ row, keystrokes = [], ...sample }) => ({
      ...sample,
      width: row.length,
      keys: keystrokes.length,
    })),
  }
  const json = Buffer.from(JSON.stringify(head))
  const rows = samples.map(({ row }) => row)
  if (template !== undefined) rows.push(template.centre, template.spread)
  const size = rows.reduce((sum, row) => sum + row.byteLength, 0)
  const times = head.samples.reduce((sum, { keys }) => sum + 16 * keys, 0)
  const bytes = Buffer.alloc(HEAD_AT + json.length + size + times)
  bytes[0] = FORM
  bytes.writeUInt32LE(json.length, 1)
  bytes.set(json, HEAD_AT)
  let at = HEAD_AT + json.length
  for (const row of rows) {
    bytes.set(bytesOf(row), at)
    at += row.byteLength
  }
  for (const { keystrokes = [] } of samples) {
    for (const { press, release } of keystrokes) {
      at = bytes.writeDoubleLE(press, at)
      at = bytes.writeDoubleLE(release, at)
    }
  }
  return bytes
}

/**
 * The record of its bytes.
 * @throws KSR_SEALED where they have another form
 */
export function decodeUser(sealed: Uint8Array): UserRecord {
  const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength)
  if (bytes[0] !== FORM) throw coded('KSR_SEALED', ['it has another form'])
  const length = bytes.readUInt32LE(1)
  const { samples, template, ...rest } = JSON.parse(bytes.toString('utf8', HEAD_AT, HEAD_AT + length)) as Head
  let at = HEAD_AT + length
  const width = samples.reduce((sum, { width }) => sum + width, 0) + 2 * (template?.width ?? 0)
  // One for all: ten thousand are read at once, and each piece of memory of its own is work to give back.
  const numbers = new Float32Array(width)
  bytesOf(numbers).set(bytes.subarray(at, at + numbers.byteLength))
  at += numbers.byteLength
  let start = 0
  const next = (width: number) => {
    start += width
    return numbers.subarray(start - width, start)
  }
  return {
    ...rest,
    samples: samples.map(({ id, at: moment, source, width, keys }) => {
      const sample = { id, at: moment, source, row: next(width) }
      if (keys === 0) return sample
      const keystrokes = Array.from({ length: keys }, (): Keystroke => {
        at += 16
        return { press: bytes.readDoubleLE(at - 16), release: bytes.readDoubleLE(at - 8) }
      })
      return { ...sample, keystrokes }
    }),
    ...(template !== undefined && {
      template: { basis: template.basis, centre: next(template.width), spread: next(template.width) },
    }),
  }
}

/** All that Node and ONNX Runtime run on keeps numbers little-endian. */
function bytesOf(row: FeatureRow): Uint8Array {
  return new Uint8Array(row.buffer, row.byteOffset, row.byteLength)
}
