/**
 * An ONNX file is a protocol buffer. This walk looks only at what could make it reach outside itself:
 * tensors kept in other files, and operators that are not ONNX's own. Field numbers: onnx.proto.
 */
type Message =
  | 'Model'
  | 'Training'
  | 'OperatorSet'
  | 'Graph'
  | 'Node'
  | 'Attribute'
  | 'Tensor'
  | 'SparseTensor'

type Field =
  | { message: Message }
  /** The name of an operator set, which must be one of ONNX's own. */
  | { domain: true }
  /** A field that must not be there, with the reason. */
  | { refused: string }
  /** An enumeration that must have its default, 0. */
  | { refusedUnlessZero: string }

const EXTERNAL = 'it keeps tensors in another file (external data)'

const FIELDS: Record<Message, Record<number, Field>> = {
  Model: {
    7: { message: 'Graph' },
    8: { message: 'OperatorSet' },
    20: { message: 'Training' },
    25: { refused: 'it defines functions of its own' },
  },
  Training: { 1: { message: 'Graph' }, 2: { message: 'Graph' } },
  OperatorSet: { 1: { domain: true } },
  Graph: { 1: { message: 'Node' }, 5: { message: 'Tensor' }, 15: { message: 'SparseTensor' } },
  Node: { 5: { message: 'Attribute' }, 7: { domain: true } },
  Attribute: {
    5: { message: 'Tensor' },
    6: { message: 'Graph' },
    10: { message: 'Tensor' },
    11: { message: 'Graph' },
    22: { message: 'SparseTensor' },
    23: { message: 'SparseTensor' },
  },
  Tensor: { 13: { refused: EXTERNAL }, 14: { refusedUnlessZero: EXTERNAL } },
  SparseTensor: { 1: { message: 'Tensor' }, 2: { message: 'Tensor' } },
}

const OWN_DOMAINS = new Set(['', 'ai.onnx', 'ai.onnx.ml'])
const VARINT = 0
const FIXED64 = 1
const DELIMITED = 2
const FIXED32 = 5

/**
 * Why an ONNX file must not be opened: it is not one, it keeps data elsewhere, or it uses operators outside
 * `ai.onnx` and `ai.onnx.ml`. Undefined where nothing is wrong.
 */
export function reasonToRefuse(file: Uint8Array): string | undefined {
  let at = 0
  let graphs = 0

  function varint(end: number): number {
    let value = 0
    for (let scale = 1; at < end; scale *= 128) {
      const byte = file[at++] as number
      value += (byte & 127) * scale
      if (byte < 128) return value
    }
    throw new RangeError('truncated')
  }

  /** Moves past a value, and returns the number that it is, or the length that it starts with. */
  function pass(wire: number, end: number): number {
    const value = wire === VARINT || wire === DELIMITED ? varint(end) : 0
    at += wire === DELIMITED ? value : wire === FIXED64 ? 8 : wire === FIXED32 ? 4 : 0
    if (at > end) throw new RangeError('truncated')
    return value
  }

  /**
   * Moves past the values of one field after another: a tree's nodes are hundreds of thousands of them, and every
   * start of the service waits for this.
   * @param tag of one byte
   */
  function passRun(tag: number, wire: number, end: number): void {
    while (at < end && file[at] === tag) {
      at++
      if (wire === VARINT) {
        while ((file[at] as number) > 127) at++
        at++
      } else pass(wire, end)
    }
    if (at > end) throw new RangeError('truncated')
  }

  function walk(message: Message, end: number): string | undefined {
    if (message === 'Graph') graphs++
    while (at < end) {
      const tag = varint(end)
      const field = FIELDS[message][Math.floor(tag / 8)]
      const wire = tag % 8
      // Other readers cut a tag to 32 bits: a longer one would be a known field to them and none to this walk.
      const readable = tag < 2 ** 32 && tag >= 8 && wire !== 3 && wire !== 4 && wire <= FIXED32
      if (!readable) throw new RangeError('malformed')
      const value = pass(wire, end)
      if (field === undefined) {
        if (tag < 128) passRun(tag, wire, end)
        continue
      }
      const next = at
      if (wire === DELIMITED) at -= value
      const reason = judge(field, value, next)
      if (reason) return reason
      at = next
    }
    return undefined
  }

  function judge(field: Field, value: number, next: number): string | undefined {
    if ('refused' in field) return field.refused
    if ('refusedUnlessZero' in field) return value === 0 ? undefined : field.refusedUnlessZero
    if ('message' in field) return walk(field.message, next)
    const domain = Buffer.from(file.buffer, file.byteOffset + at, next - at).toString('utf8')
    return OWN_DOMAINS.has(domain) ? undefined : `it uses operators of "${domain}", which is not ONNX's own`
  }

  try {
    return walk('Model', file.length) ?? (graphs === 0 ? 'it is not an ONNX model' : undefined)
  } catch {
    return 'it is not an ONNX model'
  }
}
