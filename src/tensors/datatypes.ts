import { type CodedError, coded } from '../errors.js'
import type { Datatype } from '../schemas/inference-protocol.js'

/** What numbers of models are sent in. */
export type NumberType = 'FP32' | 'FP64'

/** What outputs are of. */
export type OutputType = Exclude<Datatype, 'FP64'>

interface Fixed {
  size: number
  write(bytes: Buffer, element: never, at: number): void
}

// Little-endian, as the protocol has it, whatever the machine.
const FIXED: Record<Exclude<OutputType, 'BYTES'>, Fixed> = {
  BOOL: { size: 1, write: (bytes, element: boolean, at) => bytes.writeUInt8(Number(element), at) },
  FP32: { size: 4, write: (bytes, element: number, at) => bytes.writeFloatLE(element, at) },
  INT64: { size: 8, write: (bytes, element: number, at) => bytes.writeBigInt64LE(BigInt(element), at) },
}

/** How many bytes a number takes. */
export function sizeOf(datatype: NumberType): number {
  return datatype === 'FP32' ? 4 : 8
}

/** The numbers that bytes stand for. */
export function readNumbers(datatype: NumberType, bytes: Buffer): number[] {
  const size = sizeOf(datatype)
  return Array.from({ length: bytes.length / size }, (_, i) =>
    datatype === 'FP32' ? bytes.readFloatLE(i * size) : bytes.readDoubleLE(i * size),
  )
}

/** The bytes that stand for elements; for texts their UTF-8, with its length in front. */
export function writeElements(datatype: OutputType, elements: readonly unknown[]): Buffer {
  if (datatype === 'BYTES') return Buffer.concat((elements as string[]).map(writeText))
  const { size, write } = FIXED[datatype]
  const bytes = Buffer.alloc(elements.length * size)
  for (const [i, element] of elements.entries()) write(bytes, element as never, i * size)
  return bytes
}

function writeText(text: string): Buffer {
  const utf8 = Buffer.from(text)
  const length = Buffer.alloc(4)
  length.writeUInt32LE(utf8.length)
  return Buffer.concat([length, utf8])
}

/** What of the tensors of a request is not as the model has it. */
export function mismatch(pointer: string, message: string): CodedError {
  return coded('KSR_TENSORS', [], { errors: [{ pointer, message }] })
}
