import type { InferRequest, InferResponse, TensorMetadata } from '../schemas/inference-protocol.js'
import type { ModelCard } from '../schemas/model.js'
import type { Recognition, UserId } from '../schemas/recognition.js'
import { mismatch, type OutputType, writeElements } from './datatypes.js'

/** What can be asked of a model about the rows. */
export interface Output extends TensorMetadata {
  datatype: OutputType
  /** Whether it is answered to who asks for none in particular. */
  byDefault: boolean
  elements(answers: readonly Recognition[]): unknown[]
}

/** An output that is to be answered, in bytes or in JSON. */
export interface Wanted {
  output: Output
  binary: boolean
}

/**
 * The outputs of a model, the label first.
 * @param users whom it can name, in the order of its scores
 * @param withScores whether candidates may be told with their scores
 */
export function outputsOf(card: ModelCard, users: readonly UserId[], withScores: boolean): Output[] {
  const datatype = typeof users[0] === 'number' ? 'INT64' : 'BYTES'
  const label: Output = {
    ...{ name: 'label', datatype, shape: [-1], byDefault: true },
    elements: (answers) => answers.map(({ user }) => user),
  }
  const scores: Output = {
    ...{ name: 'scores', datatype: 'FP32', shape: [-1, users.length], byDefault: false },
    parameters: { labels: [...users] },
    elements: (answers) => answers.flatMap((answer) => scoresByUser(answer, users)),
  }
  const known: Output = {
    ...{ name: 'known', datatype: 'BOOL', shape: [-1], byDefault: true },
    elements: (answers) => answers.map(({ decision }) => decision === 'known'),
  }
  const confidence: Output = {
    ...{ name: 'confidence', datatype: 'FP32', shape: [-1], byDefault: true },
    elements: (answers) => answers.map(({ confidence }) => confidence),
  }
  return [label, ...(withScores ? [scores] : []), ...(card.decision ? [known, confidence] : [])]
}

/**
 * Which of a model's outputs a request is to be answered, and how.
 * @throws KSR_TENSORS where it asks for one that there is not
 */
export function wantedOf({ outputs, parameters }: InferRequest, offered: readonly Output[]): Wanted[] {
  const allBinary = parameters?.binary_data_output ?? false
  if (!outputs || outputs.length === 0) {
    return offered.filter(({ byDefault }) => byDefault).map((output) => ({ output, binary: allBinary }))
  }
  return outputs.map(({ name, parameters }, i) => {
    const output = offered.find((one) => one.name === name)
    if (output === undefined) {
      const message = `must be one of ${offered.map(({ name }) => name).join(', ')}`
      throw mismatch(`/outputs/${i}/name`, message)
    }
    return { output, binary: parameters?.binary_data ?? allBinary }
  })
}

/** The outputs for the rows' answers: the tensors, and the bytes that follow the JSON, in their order. */
export function tensorsOf(wanted: readonly Wanted[], answers: readonly Recognition[]) {
  const bytes: Buffer[] = []
  const tensors = wanted.map(({ output, binary }): InferResponse['outputs'][number] => {
    const { name, datatype, shape } = output
    const tensor = { name, datatype, shape: [answers.length, ...shape.slice(1)] }
    const elements = output.elements(answers)
    if (!binary) return { ...tensor, data: elements }
    const written = writeElements(datatype, elements)
    bytes.push(written)
    return { ...tensor, parameters: { binary_data_size: written.length } }
  })
  return { tensors, bytes: Buffer.concat(bytes) }
}

function scoresByUser({ candidates }: Recognition, users: readonly UserId[]): (number | undefined)[] {
  const scores = new Map(candidates?.map(({ user, score }) => [user, score]))
  return users.map((user) => scores.get(user))
}
