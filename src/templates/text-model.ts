import { createHash } from 'node:crypto'
import { coded } from '../errors.js'
import type { FeatureRow } from '../keystroke/times.js'
import { type DecisionPoint, type EnrolmentArtefact, floats } from './artefact.js'
import { counterparts, expand, kindsOf, widthOf } from './expansion.js'
import { type Comparer, Gallery, Weighing } from './gallery.js'
import {
  median,
  type Population,
  TEMPLATE_FORM,
  type Template,
  type TemplateConstants,
  templateOf,
} from './template.js'

/** What a text is compared with: the population that the models were trained on, or one for texts of any length. */
export type Prior = 'shipped' | 'general'

/** What those who were enrolled say about the features of their text: medians and deviations, F numbers each, of so many users. */
export interface Experience {
  users: number
  median: Float64Array
  deviation: Float64Array
}

/** A user of a gallery whom typings are like. */
export interface Rival {
  user: string
  evidence: number
  /** How probable they are, of all there. */
  posterior: number
}

/** The fewest typings that make a template. */
export const FEWEST_SAMPLES = 3

/** 96 bits. */
const BASIS_DIGITS = 16

/** What answers say has answered. */
export const MODEL = 'enrolment'

/** What users of one's own are told apart with: what training declares, and what compares. */
export interface EnrolmentModels {
  artefact: EnrolmentArtefact
  compare: Comparer
}

/** How people are told apart who type one text: its population, its cohort, and how decisions are made. */
export class TextModel {
  readonly keys: number
  readonly prior: Prior
  readonly version: string
  /** What its templates are made with, beside typings: those of another basis are others. */
  readonly basis: string
  readonly #artefact: EnrolmentArtefact
  readonly #population: Population
  readonly #weighing: Weighing
  readonly #points: readonly DecisionPoint[]
  readonly #comparer: Comparer
  readonly #members: readonly Template[]
  readonly #cohort: Gallery

  /**
   * @param experience what is known of a text of the general prior from those who type it; of none where it is left out
   */
  constructor({ artefact, compare }: EnrolmentModels, keys: number, prior: Prior, experience?: Experience) {
    this.keys = keys
    this.prior = prior
    this.version = artefact.version
    this.#artefact = artefact
    const { population, weights } =
      prior === 'shipped' ? shippedPopulation(artefact) : generalPopulation(artefact, keys, experience)
    this.#population = population
    this.basis = hashOf(keys, artefact.constants, population)
    this.#weighing = new Weighing(weights, artefact.constants.degrees)
    this.#points = prior === 'shipped' ? artefact.decision.points : generalPoints(artefact, keys)
    this.#comparer = compare
    this.#members = cohortOf(artefact, population, keys, prior)
    this.#cohort = this.gallery()
  }

  /** A gallery for users of the text. */
  gallery(): Gallery {
    return new Gallery(this.#weighing, this.#members, this.#comparer)
  }

  /** The template of a user, from the `timings` rows of their typings. */
  template(rows: readonly FeatureRow[]): Template {
    const expanded = rows.map((row) => expand(row, this.keys))
    return templateOf(expanded, this.#population, this.#artefact.constants)
  }

  /**
   * The users of a gallery whom typings are most like, the best first, and what they say for the cohort.
   * @param rows `timings` rows of typings of one person
   * @param most how many users are wanted
   */
  async identify(
    gallery: Gallery,
    rows: readonly FeatureRow[],
    most: number,
  ): Promise<{ rivals: Rival[]; cohort: Float64Array }> {
    const expanded = rows.map((row) => expand(row, this.keys))
    const { cohort, users: evidence, names } = await gallery.evidence(expanded, this.#divisor(rows.length))
    const best = front(evidence, names, most)
    const highest = evidence[best[0] as number] as number
    let sum = 0
    for (let place = 0; place < evidence.length; place++)
      sum += Math.exp((evidence[place] as number) - highest)
    const rivals = best.map((place) => ({
      user: names[place] as string,
      evidence: evidence[place] as number,
      posterior: Math.exp((evidence[place] as number) - highest) / sum,
    }))
    return { rivals, cohort }
  }

  /**
   * How much more typings are like a user than like the cohort: own · ē_u − cohort · T · ln mean over c of exp(ē_c / T),
   * without the member of the cohort that the user is.
   * @param evidence for the user, and for the members of the cohort
   * @param same the member that the user is, −1 for none
   */
  statistic(evidence: number, cohort: Float64Array, same: number): number {
    const { own, cohort: share, temperature } = this.#artefact.decision
    let most = Number.NEGATIVE_INFINITY
    for (let member = 0; member < cohort.length; member++) {
      if (member !== same) most = Math.max(most, cohort[member] as number)
    }
    let sum = 0
    for (let member = 0; member < cohort.length; member++) {
      if (member !== same) sum += Math.exp(((cohort[member] as number) - most) / temperature)
    }
    const count = same === -1 ? cohort.length : cohort.length - 1
    return own * evidence - share * (most + temperature * Math.log(sum / count))
  }

  /**
   * The statistic of one user, whoever else is enrolled.
   * @param same the member of the cohort that the user is
   * @param rows `timings` rows of typings of one person
   */
  async compare(
    { template, same }: { template: Template; same: number },
    rows: readonly FeatureRow[],
  ): Promise<number> {
    const expanded = rows.map((row) => expand(row, this.keys))
    const divisor = this.#divisor(rows.length)
    const own = expanded.reduce((sum, row) => sum + this.#weighing.evidence(row, template), 0) / divisor
    const { cohort } = await this.#cohort.evidence(expanded, divisor)
    return this.statistic(own, cohort, same)
  }

  /**
   * The member of the cohort that a user is: somebody of the population may be enrolled, and would never be more like
   * themselves than like their own template there.
   * @returns −1 where they are nobody of it; how one of them would type another text nobody knows
   */
  async sameUser({ centre }: Template): Promise<number> {
    if (this.prior === 'general') return -1
    const { cohort } = await this.#cohort.evidence([Float64Array.from(centre)], 1)
    let best = 0
    for (let member = 1; member < cohort.length; member++) {
      if ((cohort[member] as number) > (cohort[best] as number)) best = member
    }
    const statistic = this.statistic(cohort[best] as number, cohort, best)
    return statistic >= this.#artefact.decision.sameUser ? best : -1
  }

  /**
   * What decides about a user with so many samples, of so many attempts: what was measured with as many samples, or next
   * to it with fewer.
   * @throws KSR_TOO_MANY_ATTEMPTS
   */
  pointOf(samples: number, attempts: number): DecisionPoint {
    const points = this.#points.filter((point) => point.attempts === attempts)
    if (points.length === 0) {
      const most = this.mostAttempts
      throw coded('KSR_TOO_MANY_ATTEMPTS', [MODEL, most, attempts], { at: `/attempts/${most}` })
    }
    return (points.findLast((point) => point.samples <= samples) ?? points[0]) as DecisionPoint
  }

  /** How many attempts are answered together at most. */
  get mostAttempts(): number {
    return Math.max(...this.#points.map(({ attempts }) => attempts))
  }

  /** @throws KSR_NO_OPERATING_POINT */
  verificationPoint(point: DecisionPoint, fmr: number): { threshold: number; fnmr: number } {
    const found = point.verification.find((one) => one.fmr === fmr)
    if (found === undefined) {
      const published = point.verification.map((one) => one.fmr).join(', ')
      throw coded('KSR_NO_OPERATING_POINT', [MODEL, 'fmr', published], { at: '/querystring/fmr' })
    }
    return found
  }

  /**
   * The threshold that strangers reach at a rate, with so many enrolled: each is another chance to be taken for
   * somebody, fpir = 1 − (1 − fmr)^users. Rates that are too small to have been measured follow the tail.
   * @throws KSR_NO_OPERATING_POINT
   */
  identificationThreshold({ tail, verification }: DecisionPoint, fpir: number, users: number): number {
    const { fpir: published } = this.#artefact.decision.identification
    if (!published.includes(fpir)) {
      const args = [MODEL, 'fpir', published.join(', ')]
      throw coded('KSR_NO_OPERATING_POINT', args, { at: '/querystring/fpir' })
    }
    const fmr = 1 - (1 - fpir) ** (1 / users)
    if (fmr < tail.fmr) return tail.threshold + tail.scale * Math.log(tail.fmr / fmr)
    // Between measured points thresholds go with the logarithm of the rate; beyond the last one nothing is looser.
    const points = verification.toSorted((a, b) => a.fmr - b.fmr)
    const above = points.findIndex((point) => point.fmr >= fmr)
    if (above === -1) return (points.at(-1) as { threshold: number }).threshold
    const high = points[above] as (typeof points)[number]
    const low = points[Math.max(0, above - 1)] as (typeof points)[number]
    if (high.fmr === low.fmr) return high.threshold
    const share = Math.log(fmr / low.fmr) / Math.log(high.fmr / low.fmr)
    return low.threshold + share * (high.threshold - low.threshold)
  }

  /** How often a true claim stays below a threshold, from quantiles; null where it was not measured for such texts. */
  missRate({ genuine }: DecisionPoint, threshold: number): number | null {
    if (this.prior === 'general') return null
    const above = genuine.findIndex((quantile) => quantile >= threshold)
    if (above === -1) return 1
    if (above === 0) return 0
    const low = genuine[above - 1] as number
    const share = ((threshold - low) / ((genuine[above] as number) - low) + above - 1) / (genuine.length - 1)
    return Math.round(share * 1e4) / 1e4
  }

  /**
   * What those who type a text of the general prior say about its features.
   * @param users the `timings` rows of each, two at least
   */
  experience(users: readonly (readonly FeatureRow[])[]): Experience {
    const width = widthOf(this.keys)
    const sums = { median: new Float64Array(width), deviation: new Float64Array(width) }
    for (const rows of users) {
      const expanded = rows.map((row) => expand(row, this.keys))
      for (let f = 0; f < width; f++) {
        const values = Float64Array.from(expanded, (row) => row[f] as number)
        const middle = median(values)
        const distance = values.reduce((sum, value) => sum + Math.abs(value - middle), 0)
        sums.median[f] = (sums.median[f] as number) + middle
        sums.deviation[f] = (sums.deviation[f] as number) + distance / (values.length - 1)
      }
    }
    const mean = (sum: Float64Array) => sum.map((one) => one / users.length)
    return { users: users.length, median: mean(sums.median), deviation: mean(sums.deviation) }
  }

  #divisor(attempts: number): number {
    return 1 + (attempts - 1) * this.#artefact.decision.correlation
  }
}

function hashOf(keys: number, constants: TemplateConstants, population: Population): string {
  const { median, middle, deviation, slope } = population
  const hash = createHash('sha256').update(
    JSON.stringify([TEMPLATE_FORM, keys, Object.entries(constants).sort()]),
  )
  for (const numbers of [median, middle, deviation, slope]) hash.update(numbers)
  return hash.digest('base64url').slice(0, BASIS_DIGITS)
}

/** The places of the greatest, the greatest first, equal ones by the users' ids. */
function front(evidence: Float64Array, users: readonly string[], most: number): number[] {
  const before = (a: number, b: number) => {
    const ahead = (evidence[a] as number) - (evidence[b] as number)
    return ahead > 0 || (ahead === 0 && (users[a] as string) < (users[b] as string))
  }
  const best: number[] = []
  for (let place = 0; place < evidence.length; place++) {
    if (best.length === most && !before(place, best[most - 1] as number)) continue
    let at = best.length === most ? most - 1 : best.push(place) - 1
    for (; at > 0 && before(place, best[at - 1] as number); at--) best[at] = best[at - 1] as number
    best[at] = place
  }
  return best
}

interface Weighed {
  population: Population
  weights: ArrayLike<number>
}

function shippedPopulation({ shipped }: EnrolmentArtefact): Weighed {
  const { median, middle, deviation, slope, weights } = shipped
  return {
    population: {
      median: Float64Array.from(median),
      middle: Float64Array.from(middle),
      deviation: Float64Array.from(deviation),
      slope: Float64Array.from(slope),
    },
    weights,
  }
}

/** Each feature as its kind is, and the more people of the text are known, the more as theirs are. */
function generalPopulation(
  { general, constants: { priorEnrolled, leastDeviation } }: EnrolmentArtefact,
  keys: number,
  experience: Experience | undefined,
): Weighed {
  const kinds = kindsOf(keys)
  const of = (numbers: readonly number[]) => Float64Array.from(kinds, (kind) => numbers[kind] as number)
  const drawn = (usual: Float64Array, seen: Float64Array | undefined) => {
    if (experience === undefined || seen === undefined) return usual
    const { users } = experience
    return usual.map(
      (one, f) => (priorEnrolled * one + users * (seen[f] as number)) / (priorEnrolled + users),
    )
  }
  const deviation = drawn(of(general.deviation), experience?.deviation)
  return {
    population: {
      median: drawn(of(general.median), experience?.median),
      middle: drawn(of(general.middle), experience?.median),
      deviation: deviation.map((one) => Math.max(one, leastDeviation)),
      slope: of(general.slope),
    },
    weights: of(general.weights),
  }
}

/** Those measured with texts of as many keys, or next to it of fewer: thresholds grow with a power of the keys. */
function generalPoints({ general }: EnrolmentArtefact, keys: number): DecisionPoint[] {
  const measured = general.points.map((point) => point.keys).sort((a, b) => a - b)
  const nearest = measured.findLast((known) => known <= keys) ?? (measured[0] as number)
  const growth = (keys / nearest) ** general.growth
  return general.points
    .filter((point) => point.keys === nearest)
    .map(({ samples, attempts, verification, tail, genuine }) => ({
      samples,
      attempts,
      verification: verification.map(({ threshold, ...rates }) => ({
        ...rates,
        threshold: threshold * growth,
      })),
      tail: { ...tail, threshold: tail.threshold * growth, scale: tail.scale * growth },
      genuine,
    }))
}

/** The shipped users as they would type the text: as far from its population as they are from theirs. */
function cohortOf(
  { shipped, keys: known }: EnrolmentArtefact,
  { median, deviation }: Population,
  keys: number,
  prior: Prior,
): Template[] {
  const centres = floats(shipped.cohort.centres)
  const spreads = floats(shipped.cohort.spreads)
  const width = widthOf(known)
  const places = counterparts(keys, known)
  return Array.from({ length: shipped.cohort.users }, (_, member) => {
    const start = member * width
    if (prior === 'shipped') {
      return { centre: centres.slice(start, start + width), spread: spreads.slice(start, start + width) }
    }
    const centre = Float32Array.from(
      places,
      (place, f) =>
        (centres[start + place] as number) - (shipped.median[place] as number) + (median[f] as number),
    )
    const spread = Float32Array.from(
      places,
      (place, f) =>
        ((spreads[start + place] as number) * (deviation[f] as number)) /
        (shipped.deviation[place] as number),
    )
    return { centre, spread }
  })
}
