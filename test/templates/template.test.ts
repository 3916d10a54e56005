import t from 'tap'
import {
  median,
  type Population,
  TEMPLATE_FORM,
  type TemplateConstants,
  templateOf,
} from '../../src/templates/template.js'

const CONSTANTS: TemplateConstants = {
  degrees: 2,
  priorTypings: 0.5,
  steadinessShare: 1.1,
  ownShare: 0.5,
  leastSpread: 0.2,
  mostSpread: 4,
  steps: 5,
}

/** Two features: the first is as usual at any place, the second moves the more, the greater it is. */
const POPULATION: Population = {
  median: Float64Array.of(10, 4),
  middle: Float64Array.of(11, 3),
  deviation: Float64Array.of(2, 1),
  slope: Float64Array.of(0, 0.25),
}

const made = (...rows: [number, number][]) => {
  const { centre, spread } = templateOf(
    rows.map((row) => Float64Array.from(row)),
    POPULATION,
    CONSTANTS,
  )
  return { centre: [...centre], spread: [...spread] }
}

/** Compares numbers that were narrowed to float32. */
function near(t: { ok(ok: boolean, message: string): unknown }, found: number[], expected: number[]) {
  t.ok(
    found.length === expected.length &&
      found.every(
        (one, i) => Math.abs(one - (expected[i] as number)) <= 1e-6 * Math.abs(expected[i] as number),
      ),
    `${found} is ${expected}`,
  )
}

t.test('what is kept elsewhere is made as here, or has another form', (t) => {
  // Where these change, TEMPLATE_FORM has to: by it templates that were kept are known for old ones.
  t.equal(TEMPLATE_FORM, 1)
  const { centre, spread } = made([12, 6], [14, 6.5], [11, 7.25], [13.5, 5.5])
  near(t, centre, [12.366569519042969, 6.029126167297363])
  near(t, spread, [1.2946487665176392, 1.0196517705917358])
  t.end()
})

t.test('of one typing the centre is drawn to the population, and the spread is what is usual there', (t) => {
  const { centre, spread } = made([13, 7])
  near(t, centre, [(13 + 0.5 * 10) / 1.5, (7 + 0.5 * 4) / 1.5])
  near(t, spread, [2, Math.exp(0.25 * (6 - 3))])
  t.end()
})

t.test('of two typings the centre lies between, and how far they are apart is believed in part', (t) => {
  const { centre, spread } = made([12, 6], [14, 6.5])
  const centres = [(2 * 13 + 0.5 * 10) / 2.5, (2 * 6.25 + 0.5 * 4) / 2.5]
  near(t, centre, centres)
  const expected = [2, Math.exp(0.25 * ((centres[1] as number) - 3))]
  const ratios = [2 / 2, 0.5 / (expected[1] as number)].map((own) =>
    Math.log(Math.min(Math.max(own, 0.2), 4)),
  )
  const general = ((ratios[0] as number) + (ratios[1] as number)) / 2
  near(
    t,
    spread,
    ratios.map(
      (ratio, f) => (expected[f] as number) * Math.exp((2 / 3) * (1.1 * general + 0.5 * (ratio - general))),
    ),
  )
  t.end()
})

t.test('who types the same each time is not taken for a machine, nor who never does for anybody', (t) => {
  const even = made([12, 6], [12, 6], [12, 6])
  const expected = [2, Math.exp(0.25 * ((3 * 6 + 0.5 * 4) / 3.5 - 3))]
  near(
    t,
    even.spread,
    expected.map((one) => one * 0.2 ** (0.75 * 1.1)),
  )
  const wild = made([-500, -500], [0, 0], [500, 500])
  t.ok((wild.spread[0] as number) <= 2 * 4 ** (0.75 * 1.1) + 1e-6)
  t.end()
})

t.test('one hesitation of several typings moves the centre little', (t) => {
  const [usual] = made([12, 6], [12.2, 6], [11.8, 6], [12.1, 6]).centre as [number]
  const [hesitated] = made([12, 6], [12.2, 6], [11.8, 6], [60, 6]).centre as [number]
  t.ok(hesitated - usual < 0.3, `${hesitated} and ${usual}`)
  t.end()
})

t.test('the order of typings does not matter', (t) => {
  const rows: [number, number][] = [
    [12, 6],
    [13, 5],
    [11, 7],
    [14, 6.5],
    [10, 5.5],
  ]
  const { centre, spread } = made(...rows)
  const turned = made(...rows.toReversed())
  near(t, turned.centre, centre)
  near(t, turned.spread, spread)
  t.end()
})

t.test('the location is found by reweighting from the median, and of two typings is between them', (t) => {
  const at = (steps: number, ...values: number[]) => {
    const population = { ...POPULATION, deviation: Float64Array.of(1, 1) }
    const rows = values.map((value) => Float64Array.of(value, 0))
    return templateOf(rows, population, { ...CONSTANTS, steps, priorTypings: 0 }).centre[0] as number
  }
  t.equal(at(5, 1, 4), 2.5)
  t.equal(at(5, 5, 5, 5), 5)
  t.equal(at(0, 4, 0, 1), 1)
  // From the median 1 the weights 1 / (1 + d² / 2) of 0, 1 and 4 are 2/3, 1 and 2/11.
  const step = ((2 / 3) * 0 + 1 * 1 + (2 / 11) * 4) / (2 / 3 + 1 + 2 / 11)
  t.ok(Math.abs(at(1, 4, 0, 1) - step) < 1e-6)
  t.end()
})

t.test('the median is the middle one, or between the two, by size and not by digits', (t) => {
  t.equal(median(Float64Array.of(10, 9, 2)), 9)
  t.equal(median(Float64Array.of(-1, 100, 20, 3)), 11.5)
  t.equal(median(Float64Array.of(5, 5, 1, 5)), 5)
  t.end()
})
