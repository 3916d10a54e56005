import fc from 'fast-check'
import t from 'tap'
import {
  areNumbers,
  evidenceOfOthers,
  fuse,
  likeliest,
  posterior,
  statistic,
  weightedSum,
} from '../../src/inference/decision.js'

const number = fc.double({ min: -300, max: 300, noNaN: true })
const evidence = fc.array(number, { minLength: 2, maxLength: 30 })
/** Several attempts' evidence for the same users. */
const attempts = fc
  .tuple(fc.integer({ min: 2, max: 12 }), fc.integer({ min: 1, max: 5 }))
  .chain(([users, count]) =>
    fc.array(fc.array(number, { minLength: users, maxLength: users }), {
      minLength: count,
      maxLength: count,
    }),
  )
const correlation = fc.double({ min: 0, max: 1, noNaN: true })

const close = (a: number, b: number) => Math.abs(a - b) <= 1e-9 * (1 + Math.abs(a))
const probabilities = (evidence: number[]) => Array.from(evidence, (_, user) => posterior(evidence, user))

t.test('evidence of several models is added up by weight', async (t) => {
  t.same(
    weightedSum(
      [
        [1, -2, 0],
        [2, 4, 8],
      ],
      [2, 0.5],
    ),
    [3, -2, 4],
  )
})

t.test(
  'attempts count in full where they are independent, and as one where they repeat each other',
  async (t) => {
    const two = [
      [1, 2],
      [3, 5],
    ]
    t.same(fuse(two, 0), [4, 7])
    t.same(fuse(two, 1), [2, 3.5])
    t.same(fuse([...two, [2, 2]], 0.25), [4, 6], 'a divisor of 1 + 2 · 0.25')
  },
)

t.test('one attempt is what it was, whatever the correlation', async () => {
  fc.assert(
    fc.property(evidence, correlation, (one, c) => fuse([one], c).every((value, i) => value === one[i])),
  )
})

t.test('the order of attempts does not matter', async () => {
  fc.assert(
    fc.property(attempts, correlation, (list, c) => {
      const turned = fuse(list.toReversed(), c)
      return fuse(list, c).every((value, i) => Math.abs(value - (turned[i] as number)) <= 1e-9)
    }),
  )
})

t.test('the same attempt twice names the same user, no less surely', async () => {
  fc.assert(
    fc.property(evidence, correlation, (one, c) => {
      const twice = fuse([one, one], c)
      const user = likeliest(one)
      return likeliest(twice) === user && posterior(twice, user) >= posterior(one, user) - 1e-12
    }),
  )
})

t.test('evidence that is not all finite is noticed', async (t) => {
  t.ok(areNumbers([0, -1e300]))
  for (const odd of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    t.notOk(areNumbers([0, odd]))
  }
})

t.test('the likeliest user is the one with most evidence, the lowest class among equals', async (t) => {
  t.equal(likeliest([-5, 2, 1]), 1)
  t.equal(likeliest([-5, 2, 1, 2]), 1)
  t.equal(likeliest([0, 0]), 0)
})

t.test('probabilities are those of softmax, and sum to 1', async (t) => {
  fc.assert(
    fc.property(evidence, (of) => {
      const list = probabilities(of)
      return (
        close(
          1,
          list.reduce((sum, one) => sum + one, 0),
        ) && list.every((one) => one >= 0 && one <= 1)
      )
    }),
  )
  const [a = 0, b = 0, c = 0] = probabilities([Math.log(1), Math.log(2), Math.log(5)])
  t.ok(close(a, 1 / 8) && close(b, 2 / 8) && close(c, 5 / 8))
})

t.test('evidence too great for an exponential function is no trouble', async (t) => {
  t.same(probabilities([5000, 4000, -9000]), [1, 0, 0])
  for (const most of [5000, -5000]) {
    t.ok(close(evidenceOfOthers([0, most, most], 0), most + Math.log(2)))
    t.ok(close(evidenceOfOthers([0, most, most], 0, 2), most + 2 * Math.log(2)))
  }
})

t.test('a user that has all the probability leaves the others what they have', async (t) => {
  const others = evidenceOfOthers([800, 1, 1], 0)
  t.ok(close(others, 1 + Math.log(2)), 'which subtracting from the sum of all would lose')
})

t.test('the statistic weighs the own evidence against the mean of the others', async (t) => {
  const of = [3, Math.log(2), Math.log(4)]
  const found = (own: number, cohort: number, temperature = 1) =>
    statistic(of, 0, { own, cohort, temperature })
  t.ok(close(found(1, 1), 3 - Math.log(3)))
  t.ok(close(found(2, 0.5), 6 - 0.5 * Math.log(3)))
  t.equal(found(1, 0), 3)
  // The mean of the square roots of 2 and 4, squared.
  t.ok(close(found(1, 1, 2), 3 - 2 * Math.log((Math.SQRT2 + 2) / 2)))
})

const temperature = fc.double({ min: 0.1, max: 100, noNaN: true })
/** Evidence, of which the first user's is compared with that of the others. */
const others = ([, ...rest]: number[]) => rest

t.test('at a temperature of 1 the cohort is the logarithm of the mean of exponential functions', async () => {
  const moderate = fc.array(fc.double({ min: -30, max: 30, noNaN: true }), { minLength: 2, maxLength: 30 })
  fc.assert(
    fc.property(moderate, (of) => {
      const mean = others(of).reduce((sum, value) => sum + Math.exp(value), 0) / (of.length - 1)
      const wanted = (of[0] as number) - Math.log(mean)
      return close(statistic(of, 0, { own: 1, cohort: 1, temperature: 1 }), wanted)
    }),
  )
})

t.test('the cohort falls from the strongest rival to the mean as the temperature rises', async () => {
  fc.assert(
    fc.property(evidence, temperature, temperature, (of, one, two) => {
      const cohort = (temperature: number) => -statistic(of, 0, { own: 0, cohort: 1, temperature })
      const [warm, hot] = [cohort(Math.min(one, two)), cohort(Math.max(one, two))]
      const rest = others(of)
      const mean = rest.reduce((sum, value) => sum + value, 0) / rest.length
      return mean - 1e-9 <= hot && hot <= warm + 1e-9 && warm <= Math.max(...rest) + 1e-9
    }),
  )
})

t.test('with equal weights the origin of the evidence does not matter', async () => {
  fc.assert(
    fc.property(evidence, number, fc.nat(), temperature, (of, shift, at, temperature) => {
      const user = at % of.length
      const weights = { own: 1, cohort: 1, temperature }
      const moved = of.map((value) => value + shift)
      return Math.abs(statistic(moved, user, weights) - statistic(of, user, weights)) <= 1e-9
    }),
  )
})
