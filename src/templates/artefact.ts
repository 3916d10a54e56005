import { type Static, Type } from '@sinclair/typebox'
import { Errors } from '@sinclair/typebox/errors'
import { KINDS, widthOf } from './expansion.js'

const FORMAT = 1

const Numbers = Type.Array(Type.Number())
const population = { median: Numbers, middle: Numbers, deviation: Numbers, slope: Numbers, weights: Numbers }
const Rate = Type.Number({ exclusiveMinimum: 0, exclusiveMaximum: 1 })
const Measured = Type.Union([Type.Number({ minimum: 0, maximum: 1 }), Type.Null()])
const Interval = Type.Union([Type.Array(Type.Number(), { minItems: 2, maxItems: 2 }), Type.Null()])
const Count = Type.Integer({ minimum: 1 })
const Packed = Type.String({ pattern: '^[A-Za-z0-9+/]*={0,2}$' })

/** What decides about users with so many samples, of so many attempts. */
const Point = Type.Object({
  samples: Count,
  attempts: Count,
  verification: Type.Array(
    Type.Object({ fmr: Rate, threshold: Type.Number(), fnmr: Type.Number({ minimum: 0, maximum: 1 }) }),
    { minItems: 1 },
  ),
  /** Below this rate false claims fall off exponentially. */
  tail: Type.Object({ fmr: Rate, threshold: Type.Number(), scale: Type.Number({ minimum: 0 }) }),
  /** Quantiles of true claims, evenly spaced from the least to the greatest. */
  genuine: Type.Array(Type.Number(), { minItems: 2 }),
})

const Artefact = Type.Object({
  format: Type.Literal(FORMAT),
  version: Type.String({ pattern: '^[0-9a-f]{12}$' }),
  keys: Type.Integer({ minimum: 2 }),
  constants: Type.Object({
    degrees: Type.Number({ exclusiveMinimum: 0 }),
    priorTypings: Type.Number({ minimum: 0 }),
    steadinessShare: Type.Number(),
    ownShare: Type.Number(),
    leastSpread: Type.Number({ exclusiveMinimum: 0 }),
    mostSpread: Type.Number({ exclusiveMinimum: 0 }),
    steps: Type.Integer({ minimum: 0 }),
    leastDeviation: Type.Number({ exclusiveMinimum: 0 }),
    priorEnrolled: Type.Number({ exclusiveMinimum: 0 }),
  }),
  shipped: Type.Object({
    ...population,
    cohort: Type.Object({ users: Type.Integer({ minimum: 2 }), centres: Packed, spreads: Packed }),
  }),
  general: Type.Object({
    ...population,
    /** The power of the number of keys by which thresholds grow. */
    growth: Type.Number({ minimum: 0 }),
    points: Type.Array(Type.Composite([Type.Object({ keys: Count }), Point]), { minItems: 1 }),
  }),
  decision: Type.Object({
    own: Type.Number(),
    cohort: Type.Number(),
    temperature: Type.Number({ exclusiveMinimum: 0 }),
    correlation: Type.Number({ minimum: 0, maximum: 1 }),
    sameUser: Type.Number(),
    points: Type.Array(Point, { minItems: 1 }),
    identification: Type.Object({ fpir: Type.Array(Rate, { minItems: 1 }) }),
  }),
  measured: Type.Array(
    Type.Object({
      samples: Count,
      attempts: Count,
      users: Count,
      eer: Measured,
      eerInterval: Interval,
      rank1: Measured,
      rank1Interval: Interval,
    }),
  ),
  check: Type.Object({
    rows: Type.Array(Numbers, { minItems: 1 }),
    row: Numbers,
    evidence: Type.Number(),
    statistic: Type.Number(),
  }),
})

/** What training declares of enrolment: `enrolment.json`. */
export type EnrolmentArtefact = Static<typeof Artefact>
export type DecisionPoint = Static<typeof Point>

/**
 * @param refuse makes an error of a reason
 * @throws where it has another form than this service reads, or contradicts itself
 */
export function readArtefact(bytes: Uint8Array, refuse: (reason: string) => Error): EnrolmentArtefact {
  const artefact: unknown = parse(bytes, refuse)
  const fault = Errors(Artefact, artefact).First()
  if (fault !== undefined) throw refuse(`${fault.path}: ${fault.message}`)
  const { shipped, general, keys, check } = artefact as EnrolmentArtefact
  const checkLength = (at: string, { length }: ArrayLike<number>, wanted: number) => {
    if (length !== wanted) throw refuse(`${at}: it has ${length} numbers, not ${wanted}`)
  }
  for (const part of ['median', 'middle', 'deviation', 'slope', 'weights'] as const) {
    checkLength(`/shipped/${part}`, shipped[part], widthOf(keys))
    checkLength(`/general/${part}`, general[part], KINDS.length)
  }
  for (const part of ['centres', 'spreads'] as const) {
    checkLength(`/shipped/cohort/${part}`, floats(shipped.cohort[part]), shipped.cohort.users * widthOf(keys))
  }
  for (const [i, row] of check.rows.entries()) checkLength(`/check/rows/${i}`, row, 6 * keys - 2)
  checkLength('/check/row', check.row, 6 * keys - 2)
  return artefact as EnrolmentArtefact
}

function parse(bytes: Uint8Array, refuse: (reason: string) => Error): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString())
  } catch {
    throw refuse('it is not JSON')
  }
}

/** Numbers that were packed as little-endian float32 in base64. */
export function floats(packed: string): Float32Array {
  const bytes = Buffer.from(packed, 'base64')
  return Float32Array.from({ length: bytes.length >> 2 }, (_, i) => bytes.readFloatLE(4 * i))
}
