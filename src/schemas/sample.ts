import { type Static, Type } from '@sinclair/typebox'
import { UserId } from './recognition.js'
import { reference } from './reference.js'

/** The largest number that the models' float32 can hold; beyond it a value would turn into Infinity. */
export const FLOAT32_MAX = 3.4028234663852886e38

const signed = { minimum: -FLOAT32_MAX, maximum: FLOAT32_MAX }
const unsigned = { minimum: 0, maximum: FLOAT32_MAX }
const closed = { additionalProperties: false }

/** The most typings in a request; how many of them a model takes its operating points say. */
const MOST_ATTEMPTS = 8
/** The most samples in a request. */
export const MOST_SAMPLES = 10_000

const STD = Type.Number({ ...unsigned, description: 'Population standard deviation (divided by n), ms.' })
const Latency = (description: string) =>
  Type.Object({ Mean: Type.Number({ ...signed, description: 'Mean, ms.' }), STD }, { ...closed, description })

const summary = {
  HT: Type.Object(
    { Mean: Type.Number({ ...unsigned, description: 'Mean, ms.' }), STD },
    { ...closed, description: 'Hold time of each key: its release − its press.' },
  ),
  PPT: Latency('Press-press time: the press of the next key − the press of this one.'),
  RRT: Latency('Release-release time: the release of the next key − the release of this one.'),
  RPT: Latency(
    'Release-press time: the press of the next key − the release of this one; negative where keys overlap.',
  ),
}

// Beyond 2^53 a float64 no longer tells neighbouring milliseconds apart.
const Time = (description: string) =>
  Type.Number({ minimum: -Number.MAX_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER, description })

export const Keystroke = Type.Object(
  {
    press: Time('When the key went down, ms.'),
    release: Time('When the key came up, ms.'),
  },
  { ...closed, $id: 'Keystroke', description: 'One key going down and up.' },
)
export type Keystroke = Static<typeof Keystroke>

const keystrokes = {
  keystrokes: Type.Array(reference(Keystroke), {
    description: 'One for each key of the text, in press order, from any origin of time.',
  }),
}

const model = {
  Model: Type.String({
    minLength: 1,
    maxLength: 64,
    description: 'The name of a model, in upper or lower case: SVM, RF, XGB, Best, …',
  }),
}

const claim = { user: UserId }

// True examples: a test sends each and compares the answer that is documented beside it.
const exampleSummary = {
  HT: { Mean: 48.43, STD: 23.34 },
  PPT: { Mean: 120.43, STD: 37.41 },
  RRT: { Mean: 124.43, STD: 45.34 },
  RPT: { Mean: 132.56, STD: 47.12 },
}
const otherSummary = {
  HT: { Mean: 96.02, STD: 17.5 },
  PPT: { Mean: 251.7, STD: 92.3 },
  RRT: { Mean: 250.1, STD: 94.8 },
  RPT: { Mean: 155.2, STD: 91.6 },
}
const EXAMPLE_TIMES: [number, number][] = [
  [0, 93.4],
  [144.1, 240],
  [287.5, 352],
  [410.2, 489.9],
  [560, 655.3],
  [701.8, 776],
  [843, 951.2],
  [920.6, 1016],
  [1093.7, 1180.1],
  [1236, 1331.5],
  [1388.4, 1470],
  [1523.9, 1620.3],
  [1671.2, 1762.8],
]
// The same person once more: a little slower, and the rhythm nearly the same.
const SLOWER = 1.04
export const exampleKeystrokes = { keystrokes: EXAMPLE_TIMES.map(([press, release]) => ({ press, release })) }
export const exampleAttempts = {
  attempts: [
    exampleKeystrokes,
    {
      keystrokes: EXAMPLE_TIMES.map(([press, release], i) => ({
        press: Math.round(press * SLOWER + (i % 3)),
        release: Math.round(release * SLOWER + (i % 4)),
      })),
    },
  ],
}

export const Summary = Type.Object(summary, {
  ...closed,
  $id: 'Summary',
  description:
    'The eight numbers of one typing: mean and population standard deviation of each kind of time.',
})
export type Summary = Static<typeof Summary>

export const Typing = Type.Object(keystrokes, {
  ...closed,
  $id: 'Typing',
  description: 'The raw timings of one typing; the service computes the features.',
})
export type Typing = Static<typeof Typing>

const attempts = {
  attempts: Type.Array(reference(Typing), {
    minItems: 1,
    maxItems: MOST_ATTEMPTS,
    description: 'Several typings of the text by the same person, answered together.',
  }),
}

export const Attempts = Type.Object(attempts, {
  ...closed,
  $id: 'Attempts',
  description: 'Several typings by the same person: for the models that take raw timings.',
})
export type Attempts = Static<typeof Attempts>

/** What a client sends of a person's typing. */
export type Sample = Summary | Typing | Attempts

export const NamedSummary = Type.Object({ ...model, ...summary }, { ...closed, $id: 'NamedSummary' })
export const NamedTyping = Type.Object({ ...model, ...keystrokes }, { ...closed, $id: 'NamedTyping' })
export const NamedAttempts = Type.Object({ ...model, ...attempts }, { ...closed, $id: 'NamedAttempts' })
export const ClaimedTyping = Type.Object({ ...claim, ...keystrokes }, { ...closed, $id: 'ClaimedTyping' })
export const ClaimedAttempts = Type.Object({ ...claim, ...attempts }, { ...closed, $id: 'ClaimedAttempts' })

const summaryExample = { summary: 'The eight numbers, to rf', value: exampleSummary }
const keystrokesExample = { summary: 'One typing, to best', value: exampleKeystrokes }
const attemptsExample = { summary: 'Two typings, to best', value: exampleAttempts }

const samples = [reference(Summary), reference(Typing), reference(Attempts)]

/** The body of `POST /predict/:model`. */
export const SampleBody = Type.Union(samples, {
  description: 'The summary or the raw keystrokes of one typing, or the raw keystrokes of several.',
  'x-examples': { summary: summaryExample, keystrokes: keystrokesExample, attempts: attemptsExample },
})

/** The body of `POST /predict/:model/batch`. */
export const BatchBody = Type.Object(
  {
    samples: Type.Array(Type.Union(samples), {
      minItems: 1,
      maxItems: MOST_SAMPLES,
      description: 'Each as POST /predict/{model} takes it, and each of one person.',
    }),
  },
  {
    ...closed,
    'x-examples': {
      summary: {
        summary: 'The eight numbers of two typings, to rf',
        value: { samples: [exampleSummary, otherSummary] },
      },
      keystrokes: {
        summary: 'A typing, and two of somebody else, to best',
        value: { samples: [exampleKeystrokes, exampleAttempts] },
      },
    },
  },
)

/** The body of `POST /predict/:model/stream`: it is read line by line, and no schema is asked of the whole. */
export const StreamBody = Type.Any({
  description: 'Lines of JSON, each as POST /predict/{model} takes it.',
  'x-examples': {
    keystrokes: {
      summary: 'Two typings, and one of no keystroke, to best',
      value: [exampleKeystrokes, exampleAttempts.attempts[1], { keystrokes: [] }]
        .map((sample) => `${JSON.stringify(sample)}\n`)
        .join(''),
    },
  },
})

/** The body of `POST /predict`, the original's route: the model is named inside. */
export const NamedSampleBody = Type.Union(
  [reference(NamedSummary), reference(NamedTyping), reference(NamedAttempts)],
  {
    description: 'As for /predict/{model}, with the model named.',
    'x-examples': {
      summary: { summary: 'The eight numbers, to svm', value: { Model: 'SVM', ...exampleSummary } },
      keystrokes: { ...keystrokesExample, value: { Model: 'Best', ...exampleKeystrokes } },
      attempts: { ...attemptsExample, value: { Model: 'Best', ...exampleAttempts } },
    },
  },
)

/** The body of `POST /verify/:model`. */
export const ClaimBody = Type.Union([reference(ClaimedTyping), reference(ClaimedAttempts)], {
  description: 'Who is said to have typed it, and the raw keystrokes of one or several typings.',
  'x-examples': {
    keystrokes: { ...keystrokesExample, value: { user: 84, ...exampleKeystrokes } },
    attempts: { ...attemptsExample, value: { user: 84, ...exampleAttempts } },
  },
})

/** The same as tensors. */
export const exampleTensors = {
  summary: {
    summary: 'The eight numbers of two typings, to rf',
    value: {
      inputs: [
        {
          ...{ name: 'input', datatype: 'FP32', shape: [2, 8] },
          data: [exampleSummary, otherSummary].map(({ HT, PPT, RRT, RPT }) =>
            [HT, PPT, RRT, RPT].flatMap(({ Mean, STD }) => [Mean, STD]),
          ),
        },
      ],
    },
  },
  keystrokes: {
    summary: 'A typing, to best',
    value: {
      id: 'example',
      parameters: { fpir: 0.1 },
      inputs: [
        {
          ...{ name: 'input', datatype: 'FP64', shape: [1, EXAMPLE_TIMES.length, 2] },
          data: [EXAMPLE_TIMES],
        },
      ],
    },
  },
}

/** Which alternative of a sample the sender meant, as a place for `at`: attempts come last, keystrokes before them. */
export function meantAlternative(sample: unknown): 0 | -1 | -2 {
  if (typeof sample !== 'object' || sample === null) return 0
  return 'keystrokes' in sample ? -2 : 'attempts' in sample ? -1 : 0
}
