import type { FeatureRow } from '../keystroke/times.js'
import type { Template } from './template.js'

/** Features of one weight share a logarithm, that of the product of their 1 + d²; so many stay within float32. */
export const TOGETHER = 3

/**
 * Templates as they are compared, in float32: of each of TOGETHER factors the centres and the scales, 1 / (spread · √ν),
 * [groups, columns]; −(ν + 1) / 2 · weight of each group; and of each column −Σ weight · ln spread.
 */
export interface Packed {
  groups: number
  columns: number
  centres: Float32Array[]
  scales: Float32Array[]
  factors: Float32Array
  constants: Float32Array
}

/**
 * What compares rows [TOGETHER · groups] with all columns of what is packed when it is asked:
 * evidence[u] = constant_u + Σ_g factor_g · ln Π_k (1 + ((row_kg − centre_kgu) · scale_kgu)²), for all columns.
 */
export type Comparer = (packed: () => Packed) => (row: FeatureRow) => Promise<Float32Array>

/** How evidence is weighed: which features count, in groups of one weight. */
export class Weighing {
  readonly groups: number
  /** The feature at each place of the groups, factor by factor; −1 where a group has fewer. */
  readonly #features: Int32Array
  readonly #factors: Float32Array
  readonly #weights: ArrayLike<number>
  readonly #degrees: number

  constructor(weights: ArrayLike<number>, degrees: number) {
    const order = Array.from(weights, (_, feature) => feature)
      .filter((feature) => (weights[feature] as number) > 0)
      .sort((a, b) => (weights[b] as number) - (weights[a] as number) || a - b)
    const groups: number[][] = []
    for (const feature of order) {
      const last = groups.at(-1)
      if (last && last.length < TOGETHER && weights[last[0] as number] === weights[feature])
        last.push(feature)
      else groups.push([feature])
    }
    this.groups = groups.length
    this.#features = Int32Array.from({ length: TOGETHER * groups.length }, (_, place) => {
      const group = groups[place % groups.length] as number[]
      return group[Math.floor(place / groups.length)] ?? -1
    })
    this.#factors = Float32Array.from(
      groups,
      ([feature]) => (-(degrees + 1) / 2) * (weights[feature as number] as number),
    )
    this.#weights = weights
    this.#degrees = degrees
  }

  /** The features of an expanded row that count, at their places. */
  row(expanded: Float64Array): FeatureRow {
    return Float32Array.from(this.#features, (feature) =>
      feature === -1 ? 0 : (expanded[feature] as number),
    )
  }

  /** Nobody, with room for so many. */
  packed(columns: number): Packed {
    const { groups } = this
    const numbers = () => Array.from({ length: TOGETHER }, () => new Float32Array(groups * columns))
    const constants = new Float32Array(columns)
    return { groups, columns, centres: numbers(), scales: numbers(), factors: this.#factors, constants }
  }

  /** Puts a template into a column. */
  put(
    { groups, columns, centres, scales, constants }: Packed,
    column: number,
    { centre, spread }: Template,
  ): void {
    let constant = 0
    for (let place = 0; place < this.#features.length; place++) {
      const feature = this.#features[place] as number
      if (feature === -1) continue
      const factor = Math.floor(place / groups)
      const at = (place % groups) * columns + column
      const width = spread[feature] as number
      ;(centres[factor] as Float32Array)[at] = centre[feature] as number
      ;(scales[factor] as Float32Array)[at] = 1 / (width * Math.sqrt(this.#degrees))
      constant -= (this.#weights[feature] as number) * Math.log(width)
    }
    constants[column] = constant
  }

  /** What an expanded row says for one user. */
  evidence(expanded: Float64Array, { centre, spread }: Template): number {
    let sum = 0
    for (const feature of this.#features) {
      if (feature === -1) continue
      const width = spread[feature] as number
      const distance = ((expanded[feature] as number) - (centre[feature] as number)) / width
      const density = (-(this.#degrees + 1) / 2) * Math.log1p((distance * distance) / this.#degrees)
      sum += (this.#weights[feature] as number) * (density - Math.log(width))
    }
    return sum
  }
}

/** The fewest columns that are added at once. */
const FEWEST_COLUMNS = 16
const GROWTH = 1.25

/** The templates of a text's users, packed behind those of its cohort: one run compares a typing with all of them. */
export class Gallery {
  /** In the order of their columns. Where one goes it is another list: who has the one before still knows whose numbers are whose. */
  #users: string[] = []
  readonly #weighing: Weighing
  readonly #cohort: number
  readonly #places = new Map<string, number>()
  readonly #compare: (row: FeatureRow) => Promise<Float32Array>
  #packed: Packed
  /** How often somebody was put where somebody else had been. */
  #moved = 0

  constructor(weighing: Weighing, cohort: readonly Template[], comparer: Comparer) {
    this.#weighing = weighing
    this.#cohort = cohort.length
    this.#packed = weighing.packed(cohort.length)
    for (const [member, template] of cohort.entries()) weighing.put(this.#packed, member, template)
    this.#compare = comparer(() => this.#packed)
  }

  /** The users, in the order of their columns. */
  get users(): readonly string[] {
    return this.#users
  }

  /** Puts a user in, or another template in the place of theirs. */
  set(user: string, template: Template): void {
    let place = this.#places.get(user)
    if (place === undefined) {
      place = this.#users.push(user) - 1
      this.#places.set(user, place)
      this.#makeRoom()
    }
    this.#weighing.put(this.#packed, this.#cohort + place, template)
  }

  /** Takes a user out: nothing of the template stays in memory. */
  delete(user: string): void {
    const place = this.#places.get(user)
    if (place === undefined) return
    const last = this.users.length - 1
    const { columns, centres, scales, constants } = this.#packed
    for (const numbers of [...centres, ...scales, constants]) {
      for (let start = 0; start < numbers.length; start += columns) {
        numbers[start + this.#cohort + place] = numbers[start + this.#cohort + last] as number
        numbers[start + this.#cohort + last] = 0
      }
    }
    const moved = this.#users[last] as string
    this.#users = this.#users.with(place, moved).slice(0, last)
    this.#places.set(moved, place)
    this.#places.delete(user)
    this.#moved++
  }

  /**
   * What typings of one person say for the members of the cohort and for the users, in the order of `names`.
   * @param expanded rows of typings of one person
   * @param divisor by which their sum is fused
   */
  async evidence(
    expanded: readonly Float64Array[],
    divisor: number,
  ): Promise<{ cohort: Float64Array; users: Float64Array; names: readonly string[] }> {
    const rows = expanded.map((row) => this.#weighing.row(row))
    let moved: number
    let count: number
    let runs: Float32Array[]
    do {
      moved = this.#moved
      count = this.#cohort + this.users.length
      runs = await Promise.all(rows.map(this.#compare))
      // Who came meanwhile stands behind the others. Where somebody went, nobody knows whose numbers these are, and a run that
      // had been begun for others, before there was room for all, has too few.
    } while (moved !== this.#moved || runs.some((run) => run.length < count))
    const fused = new Float64Array(count)
    for (const run of runs) {
      for (let column = 0; column < count; column++)
        fused[column] = (fused[column] as number) + (run[column] as number) / divisor
    }
    return {
      cohort: fused.subarray(0, this.#cohort),
      users: fused.subarray(this.#cohort),
      names: this.#users,
    }
  }

  #makeRoom(): void {
    const { columns } = this.#packed
    if (this.#cohort + this.users.length <= columns) return
    const wider = this.#weighing.packed(Math.max(columns + FEWEST_COLUMNS, Math.ceil(columns * GROWTH)))
    const copy = (from: Float32Array, to: Float32Array) => {
      for (let row = 0; row * columns < from.length; row++) {
        to.set(from.subarray(row * columns, (row + 1) * columns), row * wider.columns)
      }
    }
    for (let factor = 0; factor < TOGETHER; factor++) {
      copy(this.#packed.centres[factor] as Float32Array, wider.centres[factor] as Float32Array)
      copy(this.#packed.scales[factor] as Float32Array, wider.scales[factor] as Float32Array)
    }
    wider.constants.set(this.#packed.constants)
    this.#packed = wider
  }
}
