import { type Static, Type } from '@sinclair/typebox'
import { reference } from './reference.js'

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

/** A rate that is published with an operating point; null where it could not be measured. */
const MeasuredRate = (description: string) =>
  Type.Unsafe<number | null>({ type: ['number', 'null'], description })
const Rate = (description: string) => Type.Number({ exclusiveMinimum: 0, exclusiveMaximum: 1, description })

const FPIR = 'How often a stranger is taken for somebody known: the false positive identification rate.'
const FNIR = 'How often a known user is not identified.'
const FMR = 'How often a false claim matches: the false match rate.'
const FNMR = 'How often a true claim does not match.'

/** The operating points that decide where the request names none. */
export const DEFAULT_FPIR = 0.05
export const DEFAULT_FMR = 0.01

/** What may be amiss with a typing. */
export const Quality = Type.Unsafe<'too-regular' | 'impossible-hold' | 'coarse-clock' | 'out-of-range'>({
  type: 'string',
  enum: ['too-regular', 'impossible-hold', 'coarse-clock', 'out-of-range'],
})
export type Quality = Static<typeof Quality>

const model = {
  model: Type.String({ description: 'The model that answered.' }),
  version: Type.String({ description: 'Changes whenever the model does.' }),
}

const fusion = {
  attempts: Type.Integer({ description: 'How many typings the answer is made of.' }),
  anotherAttemptHelps: Type.Boolean({
    description: 'Whether one more typing by the same person is likely to settle what is open.',
  }),
  quality: Type.Array(Quality, {
    description:
      'Warnings: typed by a script (too-regular), a key held for no time or for seconds (impossible-hold), a clock ' +
      'coarser than 8 ms (coarse-clock), times unlike any that the model has seen (out-of-range).',
  }),
}

const identification = {
  decision: Type.Unsafe<'known' | 'unknown'>({
    type: 'string',
    enum: ['known', 'unknown'],
    description: 'Whether it is likely to be that user, and not somebody whom the model does not know.',
  }),
  confidence: Type.Number({ description: 'How probable the user is among the known ones; calibrated.' }),
  operatingPoint: Type.Object(
    { fpir: Type.Number({ description: FPIR }), fnir: MeasuredRate(FNIR), threshold: Type.Number() },
    { description: 'What the decision was made by. The rates are those of the card.' },
  ),
  ...fusion,
}

const recognition = {
  user: UserId,
  ...model,
  // From the models that take raw keystrokes.
  ...Type.Partial(Type.Object(identification)).properties,
  candidates: Type.Optional(
    Type.Array(Candidate, { description: 'With `?top=`: the best users, best first.' }),
  ),
}

/** The answer of `POST /predict/:model`. */
export const Recognition = Type.Object(recognition, {
  $id: 'Recognition',
  description:
    'Who typed it. `user` is always the likeliest of the known users; a model that takes raw keystrokes says beside ' +
    'it whether it is likely to be one of them at all.',
})
export type Recognition = Static<typeof Recognition>

/** The answer of `POST /predict/:model/batch`. */
export const Predictions = Type.Object(
  { predictions: Type.Array(reference(Recognition)) },
  { description: 'Who typed each, in the order of the samples.' },
)

/** The answer of `POST /predict`. */
export const NamedRecognition = Type.Object(
  { prediction: UserId, ...recognition },
  { description: "The same, with `prediction`, the original's name for `user`, beside it." },
)

/** The answer of `POST /verify/:model`. */
export const Verification = Type.Object(
  {
    user: UserId,
    ...model,
    match: Type.Boolean({ description: 'Whether the score reaches the threshold.' }),
    score: Type.Number({ description: 'How much more the typing is like that user than like the others.' }),
    threshold: Type.Number(),
    fmr: Type.Number({ description: FMR }),
    fnmr: MeasuredRate(FNMR),
    ...fusion,
  },
  { description: 'Whether the claimed user typed it.' },
)
export type Verification = Static<typeof Verification>

/** The query of the prediction routes; without candidates there is no `top`. */
export function predictQuery(maxCandidates: number) {
  const top = Type.Integer({
    minimum: 1,
    maximum: maxCandidates,
    description: 'Answer this many candidates, best first.',
  })
  const fpir = Rate(
    `${FPIR} One of those that the model publishes; ${DEFAULT_FPIR} where it is left out. Only for models that take raw keystrokes.`,
  )
  return Type.Object(
    { ...(maxCandidates > 0 && { top: Type.Optional(top) }), fpir: Type.Optional(fpir) },
    { additionalProperties: false },
  )
}

export interface PredictQuery {
  top?: number
  fpir?: number
}

/** The query of the verification route. */
export const VerifyQuery = Type.Object(
  {
    fmr: Type.Optional(
      Rate(`${FMR} One of those that the model publishes; ${DEFAULT_FMR} where it is left out.`),
    ),
  },
  { additionalProperties: false },
)
export type VerifyQuery = Static<typeof VerifyQuery>
