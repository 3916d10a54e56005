import { type Static, type TObject, Type } from '@sinclair/typebox'
import { reference } from './reference.js'

/** The largest number that the models' float32 can hold; beyond it a value would turn into Infinity. */
const FLOAT32_MAX = 3.4028234663852886e38

const signed = { minimum: -FLOAT32_MAX, maximum: FLOAT32_MAX }
const unsigned = { minimum: 0, maximum: FLOAT32_MAX }
const closed = { additionalProperties: false }

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
    description: 'The name of a model, in upper or lower case: SVM, RF or XGB.',
  }),
}

// True examples: a test sends each and compares the answer that is documented beside it.
const exampleSummary = {
  HT: { Mean: 48.43, STD: 23.34 },
  PPT: { Mean: 120.43, STD: 37.41 },
  RRT: { Mean: 124.43, STD: 45.34 },
  RPT: { Mean: 132.56, STD: 47.12 },
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
const exampleKeystrokes = { keystrokes: EXAMPLE_TIMES.map(([press, release]) => ({ press, release })) }

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

/** What a client sends of one typing. */
export type Sample = Summary | Typing

export const NamedSummary = Type.Object({ ...model, ...summary }, { ...closed, $id: 'NamedSummary' })
export const NamedTyping = Type.Object({ ...model, ...keystrokes }, { ...closed, $id: 'NamedTyping' })

const either = <A extends TObject, B extends TObject>(
  a: A,
  b: B,
  description: string,
  summary: object,
  keystrokes: object,
) =>
  Type.Union([reference(a), reference(b)], {
    description,
    'x-examples': { summary: { value: summary }, keystrokes: { value: keystrokes } },
  })

/** The body of `POST /predict/:model`. */
export const SampleBody = either(
  Summary,
  Typing,
  'The summary or the raw keystrokes of one typing.',
  exampleSummary,
  exampleKeystrokes,
)

/** The body of `POST /predict`, the original's route: the model is named inside. */
export const NamedSampleBody = either(
  NamedSummary,
  NamedTyping,
  'As for /predict/{model}, with the model named.',
  { Model: 'SVM', ...exampleSummary },
  { Model: 'RF', ...exampleKeystrokes },
)

/** Which alternative of a body the sender meant: the first, a summary, or the second, raw keystrokes. */
export function meantAlternative(body: unknown): 0 | 1 {
  return typeof body === 'object' && body !== null && 'keystrokes' in body ? 1 : 0
}
