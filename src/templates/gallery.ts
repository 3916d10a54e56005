import type { Template } from './template.js'

/**
 * Features of one weight share a logarithm, that of the product of their 1 + d²; so many factors stay within float64,
 * however far a typing is from a template.
 */
const MOST_FACTORS = 16
/** How many groups are looked at between two thoughts about who can still be the best. */
const BLOCK = 6

/** How evidence is weighed: which features count, in the order in which they are looked at, heaviest first. */
export class Weighing {
  /** The features that count. */
  readonly features: Int32Array
  /** Where each group of features of one weight ends. */
  readonly ends: Int32Array
  /** −(ν + 1) / 2 · weight of each group. */
  readonly factors: Float64Array
  readonly degrees: number
  readonly #weights: ArrayLike<number>

  constructor(weights: ArrayLike<number>, degrees: number) {
    const order = Array.from(weights, (_, feature) => feature)
      .filter((feature) => (weights[feature] as number) > 0)
      .sort((a, b) => (weights[b] as number) - (weights[a] as number) || a - b)
    const ends: number[] = []
    const factors: number[] = []
    for (let start = 0; start < order.length; ) {
      const weight = weights[order[start] as number] as number
      let end = start + 1
      while (end < order.length && end - start < MOST_FACTORS && weights[order[end] as number] === weight) end++
      ends.push(end)
      factors.push((-(degrees + 1) / 2) * weight)
      start = end
    }
    this.features = Int32Array.from(order)
    this.ends = Int32Array.from(ends)
    this.factors = Float64Array.from(factors)
    this.degrees = degrees
    this.#weights = weights
  }

  /** An expanded row, in the order of the features. */
  ordered(row: Float64Array): Float64Array {
    const ordered = new Float64Array(this.features.length)
    for (let i = 0; i < ordered.length; i++) ordered[i] = row[this.features[i] as number] as number
    return ordered
  }

  /** A template as it is compared: centre and 1 / (spread · √ν) of each feature by turns; and −Σ weight · ln spread. */
  packed({ centre, spread }: Template): { numbers: Float32Array; constant: number } {
    const numbers = new Float32Array(2 * this.features.length)
    let constant = 0
    for (let i = 0; i < this.features.length; i++) {
      const feature = this.features[i] as number
      const width = spread[feature] as number
      numbers[2 * i] = centre[feature] as number
      numbers[2 * i + 1] = 1 / (width * Math.sqrt(this.degrees))
      constant -= (this.#weights[feature] as number) * Math.log(width)
    }
    return { numbers, constant }
  }
}

/** A user among those that a typing was compared with. */
export interface Rival<Id> {
  id: Id
  evidence: number
}

/**
 * The templates of a text's users, packed so that one pass over memory compares a typing with all of them:
 * evidence(row, u) = Σ_f weight_f · (−(ν + 1)/2 · ln(1 + ((row_f − centre_uf) / spread_uf)² / ν) − ln spread_uf).
 */
export class Gallery<Id = string> {
  readonly #weighing: Weighing
  readonly #places = new Map<Id, number>()
  readonly #ids: Id[] = []
  #numbers = new Float32Array(0)
  #constants = new Float64Array(0)

  constructor(weighing: Weighing) {
    this.#weighing = weighing
  }

  get size(): number {
    return this.#ids.length
  }

  /** Puts a user in, or another template in the place of theirs. */
  set(id: Id, template: Template): void {
    const { numbers, constant } = this.#weighing.packed(template)
    let place = this.#places.get(id)
    if (place === undefined) {
      place = this.#ids.length
      if (place === this.#constants.length) this.#grow(Math.max(64, 2 * place))
      this.#ids.push(id)
      this.#places.set(id, place)
    }
    this.#numbers.set(numbers, place * numbers.length)
    this.#constants[place] = constant
  }

  /** Takes a user out: nothing of the template stays in memory. */
  delete(id: Id): void {
    const place = this.#places.get(id)
    if (place === undefined) return
    const width = 2 * this.#weighing.features.length
    const last = this.#ids.length - 1
    const moved = this.#ids[last] as Id
    this.#numbers.copyWithin(place * width, last * width, (last + 1) * width)
    this.#numbers.fill(0, last * width, (last + 1) * width)
    this.#constants[place] = this.#constants[last] as number
    this.#ids[place] = moved
    this.#places.set(moved, place)
    this.#ids.pop()
    this.#places.delete(id)
  }

  /** What typings of one person, fused by a divisor, say for everybody, in the order in which they were put in. */
  evidence(rows: readonly Float64Array[], divisor = 1): Float64Array {
    const ordered = rows.map((row) => this.#weighing.ordered(row))
    return Float64Array.from(this.#ids, (_, place) => this.#all(ordered, place) / divisor)
  }

  /**
   * Those with most evidence, exactly: evidence only falls from feature to feature, so whoever is behind what others
   * have in the end can be left.
   * @param rows expanded rows of typings of one person
   * @param divisor by which their sum is fused
   * @param most how many are wanted
   * @param margin everybody is answered who is this close behind the best, however many they are
   * @returns the best first, equal ones by id
   */
  best(rows: readonly Float64Array[], divisor: number, most: number, margin: number): Rival<Id>[] {
    const ordered = rows.map((row) => this.#weighing.ordered(row))
    const count = this.#ids.length
    const groups = this.#weighing.ends.length
    const sums = new Float64Array(count)
    const left = new Int32Array(count)
    for (let place = 0; place < count; place++) {
      left[place] = place
      sums[place] = rows.length * (this.#constants[place] as number)
    }
    let active = count
    for (let group = 0; group < groups; group += BLOCK) {
      const end = Math.min(group + BLOCK, groups)
      for (let i = 0; i < active; i++) {
        const place = left[i] as number
        sums[place] = (sums[place] as number) + this.#part(ordered, place, group, end)
      }
      if (end === groups || active <= most) continue
      const bound = this.#bound(ordered, sums, left, active, end, most, margin * divisor)
      let kept = 0
      for (let i = 0; i < active; i++) {
        const place = left[i] as number
        if ((sums[place] as number) >= bound) left[kept++] = place
      }
      active = kept
    }
    const rivals = Array.from(left.subarray(0, active), (place) => ({
      id: this.#ids[place] as Id,
      evidence: (sums[place] as number) / divisor,
    }))
    return rivals.sort((a, b) => b.evidence - a.evidence || (a.id < b.id ? -1 : 1))
  }

  /** What those who are in front now are sure to reach: less than that is neither among the wanted nor close to the best. */
  #bound(
    ordered: readonly Float64Array[],
    sums: Float64Array,
    left: Int32Array,
    active: number,
    group: number,
    most: number,
    margin: number,
  ): number {
    const front: number[] = []
    for (let i = 0; i < active; i++) {
      const place = left[i] as number
      const sum = sums[place] as number
      if (front.length === most && !(sum > (sums[front[most - 1] as number] as number))) continue
      let at = front.length === most ? most - 1 : front.push(place) - 1
      for (; at > 0 && (sums[front[at - 1] as number] as number) < sum; at--) front[at] = front[at - 1] as number
      front[at] = place
    }
    const { length: groups } = this.#weighing.ends
    const reached = front.map((place) => (sums[place] as number) + this.#part(ordered, place, group, groups))
    return Math.min(Math.max(...reached) - margin, Math.min(...reached))
  }

  #all(ordered: readonly Float64Array[], place: number): number {
    const { length: groups } = this.#weighing.ends
    return ordered.length * (this.#constants[place] as number) + this.#part(ordered, place, 0, groups)
  }

  /** What some groups of features say for one user. */
  #part(ordered: readonly Float64Array[], place: number, from: number, to: number): number {
    const { features, ends, factors } = this.#weighing
    const numbers = this.#numbers
    const start = place * 2 * features.length
    let sum = 0
    for (let r = 0; r < ordered.length; r++) {
      const row = ordered[r] as Float64Array
      let i = from === 0 ? 0 : (ends[from - 1] as number)
      for (let group = from; group < to; group++) {
        const end = ends[group] as number
        let product = 1
        for (; i < end; i++) {
          const at = start + 2 * i
          const distance = ((row[i] as number) - (numbers[at] as number)) * (numbers[at + 1] as number)
          product *= 1 + distance * distance
        }
        sum += (factors[group] as number) * Math.log(product)
      }
    }
    return sum
  }

  #grow(capacity: number): void {
    const numbers = new Float32Array(capacity * 2 * this.#weighing.features.length)
    numbers.set(this.#numbers)
    const constants = new Float64Array(capacity)
    constants.set(this.#constants)
    this.#numbers = numbers
    this.#constants = constants
  }
}
