import { type Static, Type } from '@sinclair/typebox'

/** A user's id as it was trained: a number or a string. */
export const UserId = Type.Unsafe<number | string>({
  type: ['integer', 'string'],
  description: 'The id of a user, as it was trained.',
})
export type UserId = Static<typeof UserId>

export const Candidate = Type.Object({
  user: UserId,
  score: Type.Optional(
    Type.Number({
      description: 'What it means is said by GET /models/{model}; absent where scores are hidden.',
    }),
  ),
})
export type Candidate = Static<typeof Candidate>

const recognition = {
  user: UserId,
  model: Type.String({ description: 'The model that answered.' }),
  version: Type.String({ description: 'Changes whenever the model does.' }),
  candidates: Type.Optional(
    Type.Array(Candidate, { description: 'With `?top=`: the best users, best first.' }),
  ),
}

/** The answer of `POST /predict/:model`. */
export const Recognition = Type.Object(recognition, {
  description: 'Who typed it. Identification is closed-set: it always names somebody.',
})
export type Recognition = Static<typeof Recognition>

/** The answer of `POST /predict`. */
export const NamedRecognition = Type.Object(
  { prediction: UserId, ...recognition },
  { description: "The same, with `prediction`, the original's name for `user`, beside it." },
)

/** The query of the prediction routes; without candidates there is no `top`. */
export function predictQuery(maxCandidates: number) {
  const top = Type.Integer({
    minimum: 1,
    maximum: maxCandidates,
    description: 'Answer this many candidates, best first.',
  })
  return Type.Object(maxCandidates > 0 ? { top: Type.Optional(top) } : {}, { additionalProperties: false })
}
