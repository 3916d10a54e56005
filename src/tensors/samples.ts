import { type CodedError, coded } from '../errors.js'
import { summaryOf } from '../keystroke/features.js'
import type { InferRequest, TensorMetadata } from '../schemas/inference-protocol.js'
import type { ModelCard } from '../schemas/model.js'
import { FLOAT32_MAX, MOST_SAMPLES, type Sample } from '../schemas/sample.js'
import { type NumberType, readNumbers, sizeOf } from './datatypes.js'

type InputTensor = InferRequest['inputs'][number]

interface Input extends TensorMetadata {
  datatype: NumberType
}

/** What a model takes: the eight numbers of each row, or press and release of each of its keystrokes. */
export function inputOf(card: ModelCard): Input {
  const [datatype, shape] = takesSummaries(card)
    ? (['FP32', [-1, card.features.length]] as const)
    : (['FP64', [-1, card.keys, 2]] as const)
  return { name: 'input', datatype, shape: [...shape] }
}

/**
 * The samples that are the rows of a request's tensor.
 * @param binary what follows the JSON
 * @throws KSR_INVALID_REQUEST where it is not the model's input
 */
export function samplesOf({ model_name, inputs }: InferRequest, binary: Buffer, card: ModelCard): Sample[] {
  if (model_name && model_name !== card.name) throw invalid('/model_name', `must be "${card.name}"`)
  if (inputs.length > 1) throw invalid('/inputs/1', 'is one too many')
  const [tensor] = inputs as [InputTensor]
  const input = inputOf(card)
  const { name, datatype, shape } = input
  if (tensor.name !== name) throw invalid('/inputs/0/name', `must be "${name}"`)
  if (tensor.datatype !== datatype) throw invalid('/inputs/0/datatype', `must be "${datatype}"`)
  const [, ...rest] = shape
  const [rows = 0, ...row] = tensor.shape
  if (rows < 1 || rows > MOST_SAMPLES || row.join() !== rest.join()) {
    throw invalid('/inputs/0/shape', `must be [rows, ${rest.join(', ')}], of 1 to ${MOST_SAMPLES} rows`)
  }
  const width = rest.reduce((product, length) => product * length)
  const numbers = numbersOf(tensor, binary, { datatype, count: rows * width, depth: shape.length })
  check(numbers, width, card)
  return Array.from({ length: rows }, (_, i) =>
    sampleOf(numbers.slice(i * width, (i + 1) * width), takesSummaries(card)),
  )
}

function takesSummaries({ accepts }: ModelCard): boolean {
  return accepts.includes('summary')
}

function numbersOf(
  { data, parameters }: InputTensor,
  binary: Buffer,
  { datatype, count, depth }: { datatype: NumberType; count: number; depth: number },
): unknown[] {
  const announced = parameters?.binary_data_size
  if (announced === undefined) {
    if (binary.length > 0) throw invalid('/inputs/0/parameters/binary_data_size', 'is required')
    // No deeper than the shape: what is nested further is no number.
    const numbers = data?.flat(depth - 1)
    if (numbers?.length !== count) throw invalid('/inputs/0/data', `must have ${count} numbers`)
    return numbers
  }
  const size = count * sizeOf(datatype)
  if (data) throw invalid('/inputs/0/data', 'may not be there beside binary data')
  if (announced !== size || binary.length !== size) {
    throw invalid('/inputs/0/parameters/binary_data_size', `must be ${size}, and as many bytes follow`)
  }
  return readNumbers(datatype, binary)
}

/** Refuses what no JSON of POST /predict/:model could have. */
function check(numbers: unknown[], width: number, card: ModelCard): asserts numbers is number[] {
  const summaries = takesSummaries(card)
  const largest = summaries ? FLOAT32_MAX : Number.MAX_SAFE_INTEGER
  for (const [i, number] of numbers.entries()) {
    const name = summaries ? (card.features[i % width] as string) : i % 2 === 0 ? 'press' : 'release'
    const at = `/inputs/0/data/${Math.floor(i / width)}`
    if (typeof number !== 'number' || !(Math.abs(number) <= largest)) {
      throw invalid(at, `${name} must be a number, and at most ${largest} from 0`)
    }
    if (summaries && number < 0 && /^HT\.Mean$|STD$/.test(name)) throw invalid(at, `${name} must be >= 0`)
  }
}

function sampleOf(numbers: number[], isSummary: boolean): Sample {
  if (isSummary) return summaryOf(numbers)
  const keystrokes = Array.from({ length: numbers.length / 2 }, (_, i) => ({
    press: numbers[2 * i] as number,
    release: numbers[2 * i + 1] as number,
  }))
  return { keystrokes }
}

function invalid(pointer: string, message: string): CodedError {
  return coded('KSR_INVALID_REQUEST', [], { errors: [{ pointer, message }] })
}
