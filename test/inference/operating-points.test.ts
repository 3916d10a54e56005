import t from 'tap'
import { OperatingPoints } from '../../src/inference/operating-points.js'

const points = new OperatingPoints('best', 'fpir', [
  { attempts: 1, fpir: 0.05, threshold: 2, fnir: 0.3 },
  { attempts: 1, fpir: 0.01, threshold: 3, fnir: 0.5 },
  { attempts: 1, fpir: 0.1, threshold: 1, fnir: 0.2 },
  { attempts: 2, fpir: 0.05, threshold: 2.5, fnir: null },
])

t.test('a point is found by the number of attempts and the rate', async (t) => {
  t.match(points.at(1, 0.01), { threshold: 3, fnir: 0.5 })
  t.match(points.at(2, 0.05), { threshold: 2.5, fnir: null })
})

t.test('a rate that is not published is refused, with those that are', async (t) => {
  t.throws(() => points.at(1, 0.02), {
    code: 'KSR_NO_OPERATING_POINT',
    statusCode: 422,
    message: 'The model "best" has no operating point at this fpir. It has 0.05, 0.01, 0.1.',
    errors: [{ pointer: '/querystring/fpir' }],
  })
  t.throws(() => points.at(2, 0.01), { message: /It has 0\.05\.$/ }, 'those for so many attempts')
})

t.test('more attempts than there are points for are refused, with the number that is taken', async (t) => {
  t.throws(() => points.at(3, 0.05), {
    code: 'KSR_TOO_MANY_ATTEMPTS',
    statusCode: 422,
    message: 'The model "best" takes up to 2 attempts; 3 were sent.',
    errors: [{ pointer: '/attempts/2' }],
  })
})

t.test('it knows whether one attempt more is taken', async (t) => {
  t.ok(points.takesMoreThan(1))
  t.notOk(points.takesMoreThan(2))
})

t.test('thresholds disagree from the loosest one up to the strictest one', async (t) => {
  t.same(
    [0.9, 1, 2.9, 3].map((statistic) => points.disagree(1, statistic)),
    [false, true, true, false],
  )
  t.notOk(points.disagree(2, 2.5), 'one alone never does')
})
