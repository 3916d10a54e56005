import { type Static, Type } from '@sinclair/typebox'

export const Tensor = Type.Object({
  name: Type.String(),
  type: Type.String({ enum: ['float32', 'float64', 'int64', 'string'] }),
  shape: Type.Array(Type.Integer(), { description: '−1 stands for the batch.' }),
})
export type Tensor = Static<typeof Tensor>

const Share = (description: string) => Type.Number({ minimum: 0, maximum: 1, description })

export const Evaluation = Type.Object(
  {
    protocol: Type.String(),
    folds: Type.Integer(),
    n: Type.Integer({ description: 'Held-out typings.' }),
    rank1: Share('How often the answer is right, on typings the model has not seen.'),
    rank1Interval: Type.Array(Type.Number(), { minItems: 2, maxItems: 2, description: '95 % interval.' }),
    rank5: Share('How often the right user is among the best five.'),
    macroF1: Share('F1, averaged over users.'),
    training: Type.Object(
      { n: Type.Integer(), rank1: Share('Rank-1.'), rank5: Share('Rank-5.') },
      { description: 'The same on the rows it was trained on: memory, not recognition.' },
    ),
  },
  { description: 'Measured by training.' },
)

/** What training wrote about one model, as it stands in the manifest and is served. */
export const modelEntry = {
  name: Type.String({ pattern: '^[a-z][a-z0-9-]*$' }),
  title: Type.String(),
  version: Type.String({ description: 'Changes whenever the model does.' }),
  input: Tensor,
  outputs: Type.Array(Tensor),
  parameters: Type.Record(Type.String(), Type.Unknown(), { description: 'Estimator and its parameters.' }),
  scores: Type.String({ description: 'What a score means.' }),
  ties: Type.String({ description: 'Who is answered where the best are equal.' }),
  evaluation: Evaluation,
}

/** The answer of `GET /models/:model`. */
export const ModelCard = Type.Object(
  {
    ...modelEntry,
    keys: Type.Integer({ description: 'Keys of the text: how many keystrokes a typing has.' }),
    users: Type.Integer({ description: 'How many users it can name.' }),
    features: Type.Array(Type.String(), { description: 'What the input holds, in order.' }),
    bytes: Type.Integer(),
    sha256: Type.String(),
  },
  { $id: 'ModelCard' },
)
export type ModelCard = Static<typeof ModelCard>

/** The answer of `GET /models`. */
export const ModelList = Type.Object(
  {
    models: Type.Array(
      Type.Object({
        name: Type.String(),
        title: Type.String(),
        version: Type.String(),
        href: Type.String(),
      }),
    ),
  },
  { description: 'The models that are served.' },
)
