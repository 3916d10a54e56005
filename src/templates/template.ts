/** What is known of the features of everybody who types a text: F numbers each. */
export interface Population {
  median: Float64Array
  /** The middle of the users' medians, from where `slope` counts. */
  middle: Float64Array
  /** Mean absolute deviation of a user. */
  deviation: Float64Array
  /** By how much ln(deviation) grows with a user's median. */
  slope: Float64Array
}

/** How much is believed of what, as training settled it. */
export interface TemplateConstants {
  /** Of freedom, of the Student-t density. */
  degrees: number
  /** How many typings the population counts for in a centre. */
  priorTypings: number
  steadinessShare: number
  ownShare: number
  /** The least and the most of a user's spread, in expected ones. */
  leastSpread: number
  mostSpread: number
  /** Towards a centre. */
  steps: number
}

/** Where each feature of a user's typings lies, and how much it moves: F numbers each. */
export interface Template {
  centre: Float32Array
  spread: Float32Array
}

/** Of how a template is made: another one, where the same typings give another template by then. Some are kept. */
export const TEMPLATE_FORM = 1

/**
 * The template of a user from their typings, as training makes it (`Templates.template`): for every feature
 *
 * - centre: the location of a Student-t distribution, reweighted from the median on, and drawn towards the population's;
 * - spread: what the population leads to expect there, times the user's own unsteadiness, which is believed by n / (n + 1).
 *
 * @param rows expanded rows of n typings, one at least
 */
export function templateOf(
  rows: readonly Float64Array[],
  { median, middle, deviation, slope }: Population,
  constants: TemplateConstants,
): Template {
  const count = rows.length
  const width = median.length
  const centre = new Float32Array(width)
  const spread = new Float32Array(width)
  const expected = new Float64Array(width)
  const ratios = new Float64Array(width)
  const values = new Float64Array(count)
  let sum = 0
  for (let f = 0; f < width; f++) {
    for (let i = 0; i < count; i++) values[i] = (rows[i] as Float64Array)[f] as number
    const usual = deviation[f] as number
    const place = location(values, usual, constants)
    const drawn =
      (count * place + constants.priorTypings * (median[f] as number)) / (count + constants.priorTypings)
    centre[f] = drawn
    const expects = usual * Math.exp((slope[f] as number) * (drawn - (middle[f] as number)))
    expected[f] = expects
    spread[f] = expects
    if (count === 1) continue
    let distance = 0
    for (let i = 0; i < count; i++) distance += Math.abs((values[i] as number) - place)
    const own = distance / (count - 1) / expects
    const ratio = Math.log(Math.min(Math.max(own, constants.leastSpread), constants.mostSpread))
    ratios[f] = ratio
    sum += ratio
  }
  if (count === 1) return { centre, spread }
  const general = sum / width
  const believed = count / (count + 1)
  for (let f = 0; f < width; f++) {
    const own = constants.ownShare * ((ratios[f] as number) - general)
    spread[f] = (expected[f] as number) * Math.exp(believed * (constants.steadinessShare * general + own))
  }
  return { centre, spread }
}

/** The location of a Student-t distribution of that scale; of fewer than three values their median. */
function location(
  values: Float64Array,
  scale: number,
  { degrees, steps }: Pick<TemplateConstants, 'degrees' | 'steps'>,
): number {
  let place = median(values)
  if (values.length < 3) return place
  const inverse = 1 / (scale * Math.sqrt(degrees))
  for (let step = 0; step < steps; step++) {
    let weights = 0
    let sum = 0
    for (let i = 0; i < values.length; i++) {
      const value = values[i] as number
      const distance = (value - place) * inverse
      const weight = 1 / (1 + distance * distance)
      weights += weight
      sum += weight * value
    }
    place = sum / weights
  }
  return place
}

/** The middle one, or the mean of the two middle ones. The values are in order afterwards. */
export function median(values: Float64Array): number {
  // Insertion, in place: a hundred times for each of thousands of users, `sort` and a copy would take a second.
  for (let i = 1; i < values.length; i++) {
    const value = values[i] as number
    let place = i
    for (; place > 0 && (values[place - 1] as number) > value; place--)
      values[place] = values[place - 1] as number
    values[place] = value
  }
  const middle = values.length >> 1
  const upper = values[middle] as number
  return values.length % 2 === 1 ? upper : ((values[middle - 1] as number) + upper) / 2
}
