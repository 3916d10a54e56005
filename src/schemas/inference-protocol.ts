import { type Static, Type } from '@sinclair/typebox'
import { reference } from './reference.js'
import { exampleTensors } from './sample.js'

// The Open Inference Protocol, version 2: https://github.com/kserve/open-inference-protocol

const DATATYPES = ['BOOL', 'FP32', 'FP64', 'INT64', 'BYTES'] as const
/** The types of tensors that there are here. */
export type Datatype = (typeof DATATYPES)[number]
const Datatype = Type.Unsafe<Datatype>({ type: 'string', enum: [...DATATYPES] })

const Shape = (description: string) => Type.Array(Type.Integer(), { description })
/** What clients leave out they may also send as null. */
const orNull = <T>(schema: { type: string } & Record<string, unknown>) =>
  Type.Optional(Type.Unsafe<T | null>({ ...schema, type: [schema.type, 'null'] }))

const Binary = { type: 'boolean', description: 'Whether to answer in bytes after the JSON.' }

/** The body of an inference request, or what of it is JSON. */
export const InferRequest = Type.Object(
  {
    id: orNull<string>({ type: 'string', description: 'Comes back with the answer.' }),
    model_name: orNull<string>({
      type: 'string',
      description: 'The model of the path once more, as KServe sends it.',
    }),
    parameters: orNull<{ binary_data_output?: boolean; fpir?: number }>({
      type: 'object',
      properties: {
        binary_data_output: Binary,
        fpir: {
          type: 'number',
          exclusiveMinimum: 0,
          exclusiveMaximum: 1,
          description: 'The operating point of `known`, as in the query of POST /predict/{model}.',
        },
      },
      // One that is misspelt would decide otherwise than was meant.
      additionalProperties: false,
    }),
    inputs: Type.Array(
      Type.Object(
        {
          name: Type.String(),
          datatype: Type.String(),
          shape: Shape('As the metadata of the model has it, with the number of rows in the place of -1.'),
          // Others are let through: some clients tell servers that know them what to make of the tensor.
          parameters: orNull<{ binary_data_size?: number }>({
            type: 'object',
            properties: {
              binary_data_size: {
                type: 'integer',
                minimum: 0,
                description: 'How many bytes of the binary part are its data.',
              },
            },
          }),
          data: orNull<unknown[]>({
            type: 'array',
            description: 'Row by row, nested as the shape is, or flat.',
          }),
        },
        { additionalProperties: false },
      ),
      { minItems: 1 },
    ),
    outputs: orNull<{ name: string; parameters?: { binary_data?: boolean } | null }[]>({
      type: 'array',
      description: 'Which to answer; all but `scores` where this is left out.',
      items: Type.Object(
        {
          name: Type.String(),
          parameters: orNull({
            type: 'object',
            properties: { binary_data: Binary },
            additionalProperties: false,
          }),
        },
        { additionalProperties: false },
      ),
    }),
  },
  { additionalProperties: false, $id: 'InferRequest' },
)
export type InferRequest = Static<typeof InferRequest>

/** The body of the inference route. */
export const InferBody = Type.Unsafe<InferRequest>({
  // Examples beside a bare reference would be lost.
  allOf: [reference(InferRequest)],
  description: 'The tensor of a model, and what is wanted of it.',
  'x-examples': exampleTensors,
})

/** The answer to an inference request, or what of it is JSON. */
export const InferResponse = Type.Object(
  {
    model_name: Type.String(),
    model_version: Type.String(),
    id: Type.Optional(Type.String()),
    outputs: Type.Array(
      Type.Object({
        name: Type.String(),
        datatype: Datatype,
        shape: Shape('Its first dimension are the rows.'),
        parameters: Type.Optional(Type.Object({ binary_data_size: Type.Integer() })),
        data: Type.Optional(
          Type.Unsafe<unknown[]>({
            type: 'array',
            items: { type: ['number', 'string', 'boolean'] },
            description: 'Flat, row by row.',
          }),
        ),
      }),
    ),
  },
  { $id: 'InferResponse' },
)
export type InferResponse = Static<typeof InferResponse>

const TensorMetadata = Type.Object({
  name: Type.String(),
  datatype: Datatype,
  shape: Shape('-1 stands for the rows.'),
  parameters: Type.Optional(
    Type.Object({
      labels: Type.Array(Type.Unsafe<number | string>({ type: ['integer', 'string'] }), {
        description: 'Which user each of the scores is of.',
      }),
    }),
  ),
})
export type TensorMetadata = Static<typeof TensorMetadata>

/** The answer of `GET /v2/models/:model`. */
export const ModelMetadata = Type.Object(
  {
    name: Type.String(),
    versions: Type.Array(Type.String()),
    platform: Type.String(),
    inputs: Type.Array(TensorMetadata),
    outputs: Type.Array(TensorMetadata),
  },
  { $id: 'ModelMetadata' },
)

/** The answer of `GET /v2`. */
export const ServerMetadata = Type.Object(
  { name: Type.String(), version: Type.String(), extensions: Type.Array(Type.String()) },
  { description: 'What this is.' },
)

export const Live = Type.Object({ live: Type.Boolean() })
export const Ready = Type.Object({ ready: Type.Boolean() })
export const ModelReady = Type.Object({ name: Type.String(), ready: Type.Boolean() })

/** How the protocol tells of errors. */
export const InferenceError = Type.Object(
  { error: Type.String({ description: 'What is wrong, for a human, and where.' }) },
  { $id: 'InferenceError' },
)

/** The entries of a route's `response` schema for what it may answer instead, and any route for who asks, or how much. */
export function inferenceErrors(...statuses: number[]) {
  const error = reference(
    InferenceError,
    'What /predict/{model} would answer with this status, in one sentence.',
  )
  return Object.fromEntries([...statuses, 401, 429, 500, 503].map((status) => [status, error]))
}
