import { type Static, Type } from '@sinclair/typebox'

export const Tensor = Type.Object({
  name: Type.String(),
  type: Type.String({ enum: ['float32', 'float64', 'int64', 'string'] }),
  shape: Type.Array(Type.Integer(), { description: '−1 stands for the batch.' }),
})
export type Tensor = Static<typeof Tensor>

const Share = (description: string) => Type.Number({ minimum: 0, maximum: 1, description })
const Interval = Type.Array(Type.Number(), { minItems: 2, maxItems: 2, description: '95 % interval.' })
/** A rate that is missing where there were too few users to measure it. */
const Measured = (description: string) => Type.Union([Share(description), Type.Null()])
const Count = (description: string) => Type.Integer({ minimum: 0, description })
const Attempts = Type.Integer({ minimum: 1, description: 'Typings that were answered together.' })

const FPIR = Type.Number({
  exclusiveMinimum: 0,
  exclusiveMaximum: 1,
  description: 'False positive identification rate.',
})
const FMR = Type.Number({ exclusiveMinimum: 0, exclusiveMaximum: 1, description: 'False match rate.' })

/** How often the right user is found, of typings that the model has not seen. */
const recognition = {
  n: Count('Held-out typings, or groups of them.'),
  rank1: Share('How often the answer is right.'),
  rank1Interval: Interval,
  rank5: Share('How often the right user is among the best five.'),
  rank5Interval: Interval,
}

/** How claims are told true from false. */
const verification = (description: string) =>
  Type.Object(
    {
      protocol: Type.String(),
      attempts: Type.Array(
        Type.Object({
          attempts: Attempts,
          genuine: Count('True claims.'),
          impostor: Count('False claims.'),
          eer: Type.Optional(Share('Equal error rate.')),
          eerInterval: Type.Optional(Interval),
          points: Type.Array(
            Type.Object({
              fmr: FMR,
              fnmr: Share('How often a true claim does not match.'),
              fnmrInterval: Interval,
              realisedFmr: Share('The false match rate of users that the threshold was not set on.'),
            }),
          ),
        }),
      ),
    },
    { description },
  )

export const Evaluation = Type.Object(
  {
    protocol: Type.String(),
    folds: Type.Integer(),
    ...recognition,
    macroF1: Share('F1, averaged over users.'),
    cmc: Type.Array(Type.Number(), {
      maxItems: 20,
      description:
        'How often the right user is among the best one, two, …: the cumulative match characteristic.',
    }),
    logLoss: Type.Optional(Type.Number({ description: 'Mean of −ln of the score of the right user.' })),
    logLossInterval: Type.Optional(Interval),
    calibrationError: Type.Optional(
      Share('Expected calibration error: how far confidence is from how often it is right.'),
    ),
    calibrationErrorInterval: Type.Optional(Interval),
    training: Type.Object(
      { n: Count('Typings.'), rank1: Share('Rank-1.'), rank5: Share('Rank-5.') },
      { description: 'The same on the rows it was trained on: memory, not recognition.' },
    ),
    membershipAuc: Share(
      'How well the scores tell whether a typing was in the training set: 0.5 not at all, 1 surely.',
    ),
    perUser: Type.Object(
      {
        min: Share('Of the user served worst.'),
        lowerQuartile: Share('A quarter of the users is below.'),
        median: Share('Half of the users is below.'),
        upperQuartile: Share('A quarter of the users is above.'),
        max: Share('Of the user served best.'),
        belowHalf: Count('Users who are recognised less than half of the time.'),
      },
      { description: 'Rank-1 by user.' },
    ),
    later: Type.Optional(
      Type.Object(
        { protocol: Type.String(), ...recognition },
        { description: 'Later typings by a model of the earlier ones.' },
      ),
    ),
    attempts: Type.Optional(
      Type.Array(Type.Object({ attempts: Attempts, ...recognition }), {
        description: 'Several typings answered together.',
      }),
    ),
    verification: Type.Optional(
      verification('Claims of known users, and false ones of users whom the model does not know.'),
    ),
    enrolment: Type.Optional(
      verification('The same for users whom the model was not fitted on, enrolled with a few typings.'),
    ),
    strangers: Type.Optional(
      Type.Object(
        {
          protocol: Type.String(),
          attempts: Type.Array(
            Type.Object({
              attempts: Attempts,
              n: Count('Typings of known users, or groups of them.'),
              strangers: Count('Typings of strangers, or groups of them.'),
              auroc: Type.Optional(Share('How well the statistic tells known users from strangers.')),
              points: Type.Array(
                Type.Object({
                  fpir: FPIR,
                  identified: Share('How often a known user is identified, rightly.'),
                  identifiedInterval: Interval,
                  realisedFpir: Share('The rate of strangers that the threshold was not set on.'),
                }),
              ),
            }),
          ),
        },
        { description: 'Open-set identification: some typings are of nobody whom the model knows.' },
      ),
    ),
  },
  { description: 'Measured by training.' },
)

const statistic = {
  own: Type.Number({ description: 'Weight of the evidence for the user.' }),
  cohort: Type.Number({ description: 'Weight of the evidence for all others, log-mean-exp.' }),
  temperature: Type.Number({
    exclusiveMinimum: 0,
    description: 'What the evidence for others is divided by before that, and multiplied with after it.',
  }),
}
const threshold = Type.Number({ description: 'The least statistic that is accepted.' })

/** How a model of raw keystrokes decides, and what that was measured to cost. */
export const Decision = Type.Object({
  correlation: Type.Number({
    minimum: 0,
    maximum: 1,
    description: 'How much a further attempt repeats what the ones before said: 0 nothing, 1 all.',
  }),
  identification: Type.Object({
    ...statistic,
    points: Type.Array(
      Type.Object({
        attempts: Attempts,
        fpir: FPIR,
        threshold,
        fnir: Measured('False negative identification rate.'),
      }),
      { minItems: 1, description: 'The operating points of `?fpir=`.' },
    ),
  }),
  verification: Type.Object({
    ...statistic,
    points: Type.Array(
      Type.Object({ attempts: Attempts, fmr: FMR, threshold, fnmr: Measured('False non-match rate.') }),
      { minItems: 1, description: 'The operating points of `?fmr=`.' },
    ),
  }),
})
export type Decision = Static<typeof Decision>

export const Member = Type.Object({ model: Type.String(), weight: Type.Number() })

const Range = Type.Array(Type.Number(), {
  minItems: 2,
  maxItems: 2,
  description: 'Shortest and longest, ms.',
})
export const Ranges = Type.Object(
  { HT: Range, PPT: Range, RRT: Range, RPT: Range },
  { description: 'The times that the models were trained on.' },
)

/** What training wrote about every model, as it stands in the manifest and is served. */
export const modelEntry = {
  name: Type.String({ pattern: '^[a-z][a-z0-9-]*$' }),
  title: Type.String(),
  version: Type.String({ description: 'Changes whenever the model does.' }),
  parameters: Type.Record(Type.String(), Type.Unknown(), { description: 'Estimator and its parameters.' }),
  scores: Type.String({ description: 'What a score means.' }),
  ties: Type.String({ description: 'Who is answered where the best are equal.' }),
  hideScores: Type.Boolean({
    description: 'Whether candidates come without scores: they would tell who was in the training set.',
  }),
  evaluation: Evaluation,
}

/** The answer of `GET /models/:model`. */
export const ModelCard = Type.Object(
  {
    ...modelEntry,
    keys: Type.Integer({ description: 'Keys of the text: how many keystrokes a typing has.' }),
    users: Type.Integer({ description: 'How many users it can name.' }),
    accepts: Type.Array(Type.String({ enum: ['summary', 'keystrokes', 'attempts'] }), {
      description: 'What can be sent to it.',
    }),
    features: Type.Array(Type.String(), { description: 'What it is given of a typing, in order.' }),
    ranges: Ranges,
    decision: Type.Optional(Decision),
    members: Type.Optional(
      Type.Array(Member, { description: 'The models whose evidence it adds up: it has no file of its own.' }),
    ),
    input: Type.Optional(Tensor),
    outputs: Type.Optional(Type.Array(Tensor)),
    bytes: Type.Optional(Type.Integer()),
    sha256: Type.Optional(Type.String()),
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
