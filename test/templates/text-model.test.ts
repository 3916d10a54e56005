import { readFileSync } from 'node:fs'
import t from 'tap'
import type { Recogniser } from '../../src/inference/recogniser.js'
import { timingsRow } from '../../src/keystroke/features.js'
import { timesOf } from '../../src/keystroke/times.js'
import { type DecisionPoint, floats } from '../../src/templates/artefact.js'
import { counterparts, expand, KINDS, kindsOf, widthOf } from '../../src/templates/expansion.js'
import { Weighing } from '../../src/templates/gallery.js'
import { type EnrolmentModels, type Prior, TextModel } from '../../src/templates/text-model.js'
import { build } from '../fixtures/build.js'
import { person, times } from '../fixtures/people.js'

const app = build(t)
await app.ready()
const models = app.models.enrolment as EnrolmentModels
const { artefact } = models
const { cohort } = artefact.shipped
const shipped = new TextModel(models, artefact.keys, 'shipped')

const rowsOf = (seed: number, count: number, keys = artefact.keys) => {
  const type = person(seed, keys)
  return times(count, () => timingsRow(timesOf(type(), keys)))
}
/** What a typing says for the cohort of a text. */
const cohortOf = async (model: TextModel, rows: Float32Array[]) =>
  (await model.identify(model.gallery(), rows, 1)).cohort
const near = (one: number, other: number, by = 1e-3) => Math.abs(one - other) < by
const inCohort = (member: number, part: 'centres' | 'spreads') => {
  const width = widthOf(artefact.keys)
  return floats(cohort[part]).slice(member * width, (member + 1) * width)
}

t.test(
  'the cohort of the shipped text is the users of the model of templates, and answers as they do',
  async (t) => {
    const templates = app.models.get('templates') as Recogniser
    for (const row of times(5, (i) => rowsOf(i, 1)[0] as Float32Array)) {
      const [known, found] = [await templates.evidence(row), await cohortOf(shipped, [row])]
      t.equal(found.length, known.length)
      const apart = Math.max(...found.map((one, member) => Math.abs(one - (known[member] as number))))
      t.ok(apart < 2e-3, `${apart}`)
    }
  },
)

t.test('who typed it is told by evidence, and how probable they are among those there', async (t) => {
  const gallery = shipped.gallery()
  const users = times(12, (i) => ({ user: `u${i}`, rows: rowsOf(i, 4) }))
  for (const { user, rows } of users) gallery.set(user, shipped.template(rows.slice(0, 3)))
  const asked = users[4]?.rows[3] as Float32Array
  const weighing = new Weighing(artefact.shipped.weights, artefact.constants.degrees)
  const expected = users
    .map(({ user, rows }) => ({
      user,
      evidence: weighing.evidence(expand(asked, artefact.keys), shipped.template(rows.slice(0, 3))),
    }))
    .sort((a, b) => b.evidence - a.evidence)
  const { rivals } = await shipped.identify(gallery, [asked], 12)
  t.equal(rivals[0]?.user, 'u4')
  t.same(
    rivals.map(({ user }) => user),
    expected.map(({ user }) => user),
  )
  t.ok(rivals.every(({ evidence }, i) => near(evidence, expected[i]?.evidence as number)))
  t.ok(
    near(
      rivals.reduce((sum, { posterior }) => sum + posterior, 0),
      1,
      1e-9,
    ),
  )
  const [first, second] = rivals as [(typeof rivals)[0], (typeof rivals)[0]]
  t.ok(near(second.posterior / first.posterior, Math.exp(second.evidence - first.evidence), 1e-12))
  const few = await shipped.identify(gallery, [asked], 3)
  t.same(few.rivals, rivals.slice(0, 3), 'of fewer that are wanted it is the first')
})

t.test('of equal users the one comes first whose id does', async (t) => {
  const gallery = shipped.gallery()
  const template = shipped.template(rowsOf(1, 3))
  for (const user of ['c', 'a', 'd', 'b']) gallery.set(user, template)
  for (const most of [1, 2, 3, 4]) {
    const { rivals } = await shipped.identify(gallery, rowsOf(1, 1), most)
    t.same(
      rivals.map(({ user }) => user),
      ['a', 'b', 'c', 'd'].slice(0, most),
    )
    t.equal(rivals[0]?.posterior, 0.25)
  }
})

t.test('models have one basis where their templates of the same typings are the same', (t) => {
  const experience = (users: number) =>
    new TextModel(models, 5, 'general').experience(times(users, (i) => rowsOf(i, 3, 5)))
  const changed = (constants: Partial<typeof artefact.constants>) => ({
    ...models,
    artefact: { ...artefact, constants: { ...artefact.constants, ...constants } },
  })
  const all = [
    shipped,
    new TextModel(models, artefact.keys, 'general'),
    new TextModel(models, 5, 'general'),
    new TextModel(models, 5, 'general', experience(2)),
    new TextModel(models, 5, 'general', experience(3)),
    new TextModel(changed({ steps: 4 }), artefact.keys, 'shipped'),
    new TextModel(changed({ ownShare: 0.25 }), artefact.keys, 'shipped'),
  ]
  t.equal(new Set(all.map(({ basis }) => basis)).size, all.length)
  const decision = { ...artefact.decision, own: 2 }
  const otherwise = { ...models, artefact: { ...artefact, version: 'another', decision } }
  t.equal(new TextModel(otherwise, artefact.keys, 'shipped').basis, shipped.basis)
  t.equal(new TextModel(models, 5, 'general', experience(3)).basis, all[4]?.basis)
  t.end()
})

t.test('attempts are fused by their sum and how far they repeat each other', async (t) => {
  const rows = rowsOf(1, 3)
  const alone = await Promise.all(rows.map((row) => cohortOf(shipped, [row])))
  const fused = await cohortOf(shipped, rows)
  const sum = alone.reduce((sum, one) => sum + (one[7] as number), 0)
  t.ok(near(fused[7] as number, sum / (1 + 2 * artefact.decision.correlation)))
})

t.test('the statistic is own evidence over the mean of the cohort, without whoever the user is', (t) => {
  const { own, cohort: share, temperature } = artefact.decision
  const evidence = Float64Array.of(-10, -4, -7)
  const expected = (members: number[]) => {
    const mean = members.reduce((sum, one) => sum + Math.exp(one / temperature), 0) / members.length
    return own * -3 - share * temperature * Math.log(mean)
  }
  t.ok(near(shipped.statistic(-3, evidence, -1), expected([-10, -4, -7]), 1e-9))
  t.ok(near(shipped.statistic(-3, evidence, 1), expected([-10, -7]), 1e-9))
  const far = Float64Array.of(-1e5, -2e5)
  t.ok(Number.isFinite(shipped.statistic(-1e5, far, -1)), 'however unlike anybody it is')
  t.end()
})

t.test('one user compared alone gets the statistic that they get among others', async (t) => {
  const rows = rowsOf(3, 5)
  const template = shipped.template(rows.slice(0, 3))
  const gallery = shipped.gallery()
  for (let i = 0; i < 30; i++) gallery.set(`${i}`, shipped.template(rowsOf(100 + i, 3)))
  gallery.set('anna', template)
  for (const asked of [rows.slice(3, 4), rows.slice(3)]) {
    const { rivals, cohort } = await shipped.identify(gallery, asked, 31)
    const { evidence } = rivals.find(({ user }) => user === 'anna') as (typeof rivals)[0]
    for (const same of [-1, 5]) {
      const among = shipped.statistic(evidence, cohort, same)
      t.ok(near(await shipped.compare({ template, same }, asked), among))
    }
  }
})

t.test(
  'whoever of the population enrols is found in the cohort, and nobody who is less like them is',
  async (t) => {
    for (const member of [0, 42, 109]) {
      const template = { centre: inCohort(member, 'centres'), spread: inCohort(member, 'spreads') }
      t.equal(await shipped.sameUser(template), member)
    }
    const strict = { ...models, artefact: { ...artefact, decision: { ...artefact.decision, sameUser: 30 } } }
    const asked = new TextModel(strict, artefact.keys, 'shipped')
    for (const seed of [1, 2, 3]) t.equal(await asked.sameUser(asked.template(rowsOf(seed, 3))), -1)
  },
)

t.test('of a text of other keys nobody is of the cohort, which only tells what is usual', async (t) => {
  const lax = { ...models, artefact: { ...artefact, decision: { ...artefact.decision, sameUser: -1000 } } }
  const model = new TextModel(lax, 8, 'general')
  t.equal(await model.sameUser(model.template(rowsOf(1, 3, 8))), -1)
})

const POINT: DecisionPoint = {
  samples: 3,
  attempts: 1,
  verification: [
    { fmr: 0.001, threshold: 9, fnmr: 0.4 },
    { fmr: 0.05, threshold: 2, fnmr: 0.1 },
    { fmr: 0.01, threshold: 5, fnmr: 0.2 },
  ],
  tail: { fmr: 0.01, threshold: 5, scale: 1.5 },
  genuine: [0, 4, 8, 16],
}

t.test('the more are enrolled, the more it takes to be taken for one of them', (t) => {
  const [strict, usual, loose] = artefact.decision.identification.fpir as [number, number, number]
  const thresholds = [1, 2, 5, 10, 100, 1000, 10_000].map((users) =>
    shipped.identificationThreshold(POINT, usual, users),
  )
  t.same(
    thresholds,
    thresholds.toSorted((a, b) => a - b),
  )
  t.ok(shipped.identificationThreshold(POINT, strict, 10) > shipped.identificationThreshold(POINT, loose, 10))
  const fmr = 1 - (1 - usual) ** (1 / 1000)
  t.ok(near(thresholds[5] as number, 5 + 1.5 * Math.log(0.01 / fmr), 1e-9), 'by the tail of false claims')
  t.end()
})

t.test('for few users the threshold is that of a measured rate, or between two by its logarithm', (t) => {
  t.equal(shipped.identificationThreshold(POINT, 0.05, 1), 2)
  t.ok(near(shipped.identificationThreshold(POINT, 0.01, 1), 5, 1e-9))
  t.equal(shipped.identificationThreshold(POINT, 0.1, 1), 2, 'nothing is looser than the loosest')
  const fmr = 1 - 0.95 ** (1 / 3)
  const expected = 5 + (Math.log(fmr / 0.01) / Math.log(5)) * (2 - 5)
  t.ok(near(shipped.identificationThreshold(POINT, 0.05, 3), expected, 1e-9))
  const early = { ...POINT, tail: { ...POINT.tail, fmr: 0.0001 } }
  t.equal(
    shipped.identificationThreshold(
      { ...early, verification: [{ fmr: 0.05, threshold: 2, fnmr: 0 }] },
      0.01,
      1,
    ),
    2,
  )
  t.end()
})

t.test('a rate that is not published is refused with those that are', (t) => {
  t.throws(() => shipped.identificationThreshold(POINT, 0.02, 5), {
    code: 'KSR_NO_OPERATING_POINT',
    message: 'The model "enrolment" has no operating point at this fpir. It has 0.01, 0.05, 0.1.',
    errors: [{ pointer: '/querystring/fpir' }],
  })
  t.throws(() => shipped.verificationPoint(POINT, 0.02), {
    code: 'KSR_NO_OPERATING_POINT',
    errors: [{ pointer: '/querystring/fmr' }],
  })
  t.equal(shipped.verificationPoint(POINT, 0.01).threshold, 5)
  t.end()
})

t.test('how often a true claim is missed is read off the quantiles', (t) => {
  t.equal(shipped.missRate(POINT, -1), 0)
  t.equal(shipped.missRate(POINT, 0), 0)
  t.equal(shipped.missRate(POINT, 2), 0.1667)
  t.equal(shipped.missRate(POINT, 4), 0.3333)
  t.equal(shipped.missRate(POINT, 12), 0.8333)
  t.equal(shipped.missRate(POINT, 17), 1)
  t.equal(
    new TextModel(models, 5, 'general').missRate(POINT, 4),
    null,
    'of a general text it was not measured',
  )
  t.end()
})

t.test('what was measured with as many samples decides, or next to it with fewer', (t) => {
  const samples = (wanted: number, attempts = 1) => shipped.pointOf(wanted, attempts).samples
  const measured = artefact.decision.points
    .filter(({ attempts }) => attempts === 1)
    .map(({ samples }) => samples)
  for (const one of measured) t.equal(samples(one), one)
  t.equal(samples(20), Math.max(...measured))
  t.equal(samples(1), Math.min(...measured))
  t.equal(
    samples(20, 3),
    Math.max(...artefact.decision.points.filter((p) => p.attempts === 3).map((p) => p.samples)),
  )
  const most = shipped.mostAttempts
  t.throws(() => shipped.pointOf(3, most + 1), {
    code: 'KSR_TOO_MANY_ATTEMPTS',
    errors: [{ pointer: `/attempts/${most}` }],
  })
  t.end()
})

t.test(
  'a text of other keys is decided by what was measured with the most that are not more, and thresholds grow with them',
  (t) => {
    const of = (keys: number) => new TextModel(models, keys, 'general').pointOf(3, 1)
    const { growth, points } = artefact.general
    for (const point of points.filter(({ samples, attempts }) => samples === 3 && attempts === 1)) {
      const { keys, ...measured } = point
      t.match(of(keys).verification, measured.verification, `${keys} keys`)
    }
    const longest = points.findLast(
      ({ samples, attempts }) => samples === 3 && attempts === 1,
    ) as (typeof points)[0]
    const factor = (40 / longest.keys) ** growth
    const long = of(40)
    t.ok(near(long.tail.threshold, longest.tail.threshold * factor, 1e-9))
    t.ok(near(long.tail.scale, longest.tail.scale * factor, 1e-9))
    t.same(long.genuine, longest.genuine)
    const [shortest] = points as [(typeof points)[0]]
    const between = (shortest.keys / 2) | 0
    t.ok(
      near(of(between).tail.threshold, shortest.tail.threshold * (between / shortest.keys) ** growth, 1e-9),
    )
    const { threshold } = (points.find(({ keys }) => keys === 8) as (typeof points)[0]).tail
    t.ok(near(of(12).tail.threshold, threshold * (12 / 8) ** growth, 1e-9), 'of 12 keys by 8, not by 13')
    t.equal(long.tail.fmr, longest.tail.fmr)
    t.end()
  },
)

/** The population of a general text, read off the template of somebody who typed just once: a share of the centre is it. */
function populationOf(model: TextModel, keys: number) {
  const row = new Float32Array(6 * keys - 2)
  const { centre, spread } = model.template([row])
  const { priorTypings: prior } = artefact.constants
  return { median: Array.from(centre, (one) => (one * (1 + prior)) / prior), spread }
}

t.test('of a text of any length each feature is as usual for its kind', (t) => {
  for (const keys of [2, 5, 40]) {
    const { median } = populationOf(new TextModel(models, keys, 'general'), keys)
    for (const [f, kind] of kindsOf(keys).entries()) {
      if (!near(median[f] as number, artefact.general.median[kind] as number, 1e-4)) t.fail(`${keys}: ${f}`)
    }
    t.pass(`${keys} keys`)
  }
  t.end()
})

t.test('the more people are known of a text, the more its features are as theirs', (t) => {
  const keys = 5
  const general = new TextModel(models, keys, 'general')
  const people = times(8, (i) => rowsOf(i, 4, keys))
  const experience = general.experience(people)
  t.equal(experience.users, 8)
  const values = people.map((rows) => rows.map((row) => row[2] as number).sort((a, b) => a - b))
  const medians = values.map(([, a, b]) => ((a as number) + (b as number)) / 2)
  const mean = (numbers: number[]) => numbers.reduce((sum, one) => sum + one, 0) / numbers.length
  t.ok(near(experience.median[2] as number, mean(medians), 1e-6))
  const deviations = values.map(
    (own, i) => own.reduce((sum, one) => sum + Math.abs(one - (medians[i] as number)), 0) / 3,
  )
  t.ok(near(experience.deviation[2] as number, mean(deviations), 1e-6), 'without the bias of few typings')
  const { priorEnrolled } = artefact.constants
  const { median } = populationOf(new TextModel(models, keys, 'general', experience), keys)
  const expected =
    (priorEnrolled * (artefact.general.median[0] as number) + 8 * mean(medians)) / (priorEnrolled + 8)
  t.ok(near(median[2] as number, expected, 1e-4))
  t.end()
})

t.test('a feature that nobody varies is not taken for one that nobody can miss', async (t) => {
  const keys = 3
  const width = widthOf(keys)
  const still = { users: 1e9, median: new Float64Array(width), deviation: new Float64Array(width) }
  const model = new TextModel(models, keys, 'general', still)
  const [row] = rowsOf(1, 1, keys) as [Float32Array]
  const { spread } = model.template([row])
  t.ok(spread.every((one) => one > 0))
  t.ok([...(await cohortOf(model, [row]))].every(Number.isFinite))
})

t.test(
  'the cohort of another text is as far from its population as the shipped users are from theirs',
  async (t) => {
    const keys = 5
    const model = new TextModel(models, keys, 'general')
    const weighing = new Weighing(
      [...kindsOf(keys)].map((kind) => artefact.general.weights[kind] as number),
      artefact.constants.degrees,
    )
    // Of five keys the first and the last are like the first and the last of thirteen.
    const [first, last] = [0, artefact.keys - 1]
    const [row] = rowsOf(1, 1, keys) as [Float32Array]
    const found = await cohortOf(model, [row])
    t.equal(found.length, cohort.users)
    const general = (f: number) => artefact.general.median[kindsOf(keys)[f] as number] as number
    const places = counterparts(keys, artefact.keys)
    t.same([places[0], places[keys - 1]], [first, last])
    const member = 17
    const [centres, spreads] = [inCohort(member, 'centres'), inCohort(member, 'spreads')]
    const template = {
      centre: Float32Array.from(
        places,
        (place, f) => (centres[place] as number) - (artefact.shipped.median[place] as number) + general(f),
      ),
      spread: Float32Array.from(
        places,
        (place, f) =>
          ((spreads[place] as number) * (artefact.general.deviation[kindsOf(keys)[f] as number] as number)) /
          (artefact.shipped.deviation[place] as number),
      ),
    }
    t.ok(near(found[member] as number, weighing.evidence(expand(row, keys), template)))
    t.equal(KINDS.length, artefact.general.weights.length)
  },
)

interface Summed {
  first: number[]
  sum: number
}
/** What training answers of made-up people: `training/train answers`. */
interface Case {
  prior: Prior
  keys: number
  enrolled: number[][][]
  expected: Record<'median' | 'deviation' | 'weights', Summed>
  cohort: { centres: number; spreads: number }
  users: {
    rows: number[][]
    centre: Summed
    spread: Summed
    nearest: { cohort: number; statistic: number }
    leftOut: number | null
  }[]
  attempts: number[][]
  /** Of each attempt for each user. */
  evidence: number[][]
  statistic: number[][]
  fused: { evidence: number[]; statistic: number[]; confidence: number }
}
const known: { models: string; cases: Case[] } = JSON.parse(
  readFileSync(new URL('../fixtures/enrolment/known-answers.json', import.meta.url), 'utf8'),
)

t.test('training and service compute the same templates, evidence and decisions', async (t) => {
  t.equal(known.models, artefact.version)
  const narrowed = (rows: number[][]) => rows.map((row) => Float32Array.from(row))
  for (const { prior, keys, enrolled, users, attempts, evidence, statistic, fused } of known.cases) {
    await t.test(`${prior}, ${keys} keys, ${enrolled.length} enrolled`, async (t) => {
      const plain = new TextModel(models, keys, prior)
      const experience = enrolled.length > 0 ? plain.experience(enrolled.map(narrowed)) : undefined
      const model = new TextModel(models, keys, prior, experience)
      const gallery = model.gallery()
      const same: number[] = []
      for (const [i, { rows, centre, spread, leftOut }] of users.entries()) {
        const template = model.template(narrowed(rows))
        for (const [part, expected] of [
          [template.centre, centre],
          [template.spread, spread],
        ] as const) {
          t.ok(expected.first.every((one, f) => near(one, part[f] as number, 1e-4)))
          t.ok(
            near(
              [...part].reduce((sum, one) => sum + one, 0),
              expected.sum,
              1e-2,
            ),
          )
        }
        gallery.set(`${i}`, template)
        same.push(await model.sameUser(template))
        t.equal(same[i], leftOut ?? -1)
      }
      const ask = async (rows: number[][], evidences: number[], statistics: number[]) => {
        const { rivals, cohort } = await model.identify(gallery, narrowed(rows), users.length)
        for (const { user, evidence } of rivals) {
          const i = Number(user)
          t.ok(near(evidence, evidences[i] as number), `${evidence} is ${evidences[i]}`)
          t.ok(near(model.statistic(evidence, cohort, same[i] as number), statistics[i] as number))
        }
        return rivals[0]?.posterior as number
      }
      for (const [i, row] of attempts.entries()) {
        await ask([row], evidence[i] as number[], statistic[i] as number[])
      }
      t.ok(near(await ask(attempts, fused.evidence, fused.statistic), fused.confidence))
    })
  }
})
