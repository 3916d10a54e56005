import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { BATCH_CHANNEL } from '../../src/inference/batch.js'
import { likeliest } from '../../src/inference/decision.js'
import type { ComposedEntry, TimingsEntry } from '../../src/inference/manifest.js'
import { loadModelSet } from '../../src/inference/model-set.js'
import { modelFolder } from '../../src/inference/model-source.js'
import { Recogniser } from '../../src/inference/recogniser.js'
import { withoutTime } from '../fixtures/batches.js'
import { narrowing } from '../fixtures/faulty.js'
import { MODELS, readGolden, TYPISTS } from '../fixtures/models.js'
import { bytesOf, CLASSES, ENTRIES } from '../fixtures/tiny.js'

const options = { classes: CLASSES, width: CLASSES.length, hideScores: false }
const plain = await Recogniser.open(ENTRIES.plain as TimingsEntry, bytesOf('plain'), options)
const minus = await Recogniser.open(ENTRIES.minus as TimingsEntry, bytesOf('minus'), options)
const members = new Map([
  ['plain', plain],
  ['minus', minus],
])
const both = await Recogniser.compose(ENTRIES.both as ComposedEntry, members, options)
t.teardown(() => Promise.all([plain, minus].map((model) => model.release())))

// Before any test listens to runs: to load them is to run them.
const trained = await Promise.all(
  [MODELS, TYPISTS].map(async (dir) => ({
    set: await loadModelSet({
      source: modelFolder(dir),
      names: [],
      hideScores: [],
      showScores: [],
      publicKey: '',
    }),
    golden: readGolden(dir),
  })),
)
t.teardown(() => Promise.all(trained.map(({ set }) => set.release())))

/** Evidence for the third user, none for others: its statistic is `amount`, and a user that is sure at 5. */
const row = (amount: number) => Float32Array.from(CLASSES, (_, i) => (i === 2 ? amount : 0))

t.test(
  'a user whose statistic reaches the threshold is known, with the point it was decided at',
  async (t) => {
    t.same(await plain.identify([row(4)]), {
      user: 30,
      model: 'plain',
      version: 'version-of-plain',
      decision: 'known',
      confidence: 0.858486,
      operatingPoint: { fpir: 0.05, fnir: 0.2, threshold: 4 },
      attempts: 1,
      anotherAttemptHelps: true,
    })
    t.match(await plain.identify([row(3.9)]), { user: 30, decision: 'unknown' })
  },
)

t.test('another operating point decides otherwise', async (t) => {
  const strict = await plain.identify([row(4)], { fpir: 0.01 })
  t.match(strict, { decision: 'unknown', operatingPoint: { fpir: 0.01, threshold: 5 } })
  t.match(await plain.identify([row(3)], { fpir: 0.1 }), { decision: 'known', operatingPoint: { fpir: 0.1 } })
})

t.test('another attempt helps where the points disagree, or where a known user is not sure', async (t) => {
  const helps = async (amount: number, count = 1) =>
    (await plain.identify(Array(count).fill(row(amount)))).anotherAttemptHelps
  t.equal(await helps(2.9), false, 'unknown at every point')
  t.equal(await helps(3), true)
  t.equal(await helps(4.9), true)
  t.equal(await helps(5), false, 'known at every point, and sure')
  // For three attempts the thresholds are 5, 6 and 7: nothing is taken beyond them.
  t.equal(await helps(3, 3), false)
})

t.test('a known user that is not sure is better asked again', async (t) => {
  // 8 − 2 · log(exp(6.5 / 2) / 9) = 5.9 is enough at every point.
  const rivals = Float32Array.from(CLASSES, (_, i) => (i === 2 ? 8 : i === 3 ? 6.5 : -20))
  const { decision, confidence, anotherAttemptHelps } = await plain.identify([rivals], { fpir: 0.01 })
  t.match({ decision, anotherAttemptHelps }, { decision: 'known', anotherAttemptHelps: true })
  t.ok((confidence as number) < 0.9)
})

t.test('attempts are fused, with the points for their number', async (t) => {
  const { attempts, operatingPoint, candidates } = await plain.identify([row(4), row(6)], { top: 1 })
  t.equal(attempts, 2)
  t.same(operatingPoint, { fpir: 0.05, fnir: 0.2, threshold: 5 })
  // 10 / (1 + 0.25) = 8.
  t.same(candidates, [{ user: 30, score: Math.round((1e6 * Math.exp(8)) / (Math.exp(8) + 9)) / 1e6 }])
})

t.test('candidates have their probabilities, best first, equal ones by the lower class', async (t) => {
  const { candidates = [], confidence } = await plain.identify([row(2)], { top: 10 })
  t.same(
    candidates.map(({ user }) => user),
    [30, 10, 20, 40, 50, 60, 70, 80, 90, 100],
  )
  t.equal(candidates[0]?.score, confidence)
  const sum = candidates.reduce((sum, { score = 0 }) => sum + score, 0)
  t.ok(Math.abs(sum - 1) < 1e-5)
})

t.test('hidden scores are hidden', async (t) => {
  const entry = ENTRIES.plain as TimingsEntry
  const hiding = await Recogniser.open(entry, bytesOf('plain'), { ...options, hideScores: true })
  t.teardown(() => hiding.release())
  t.same((await hiding.identify([row(2)], { top: 2 })).candidates, [{ user: 30 }, { user: 10 }])
})

t.test('a claim matches where its statistic reaches the threshold', async (t) => {
  t.same(await plain.verify(30, [row(3)]), {
    user: 30,
    model: 'plain',
    version: 'version-of-plain',
    match: true,
    score: 3,
    threshold: 3,
    fmr: 0.01,
    fnmr: 0.1,
    attempts: 1,
    anotherAttemptHelps: true,
  })
  t.match(await plain.verify(30, [row(2.9)]), { match: false, score: 2.9 })
  t.match(await plain.verify(30, [row(2.9)], { fmr: 0.05 }), { match: true, threshold: 2, fmr: 0.05 })
  t.match(await plain.verify(30, [row(4)], { fmr: 0.001 }), { match: true, threshold: 4, fnmr: null })
})

t.test('a claim of somebody else is held against the others, among them the one who typed', async (t) => {
  const { score, match } = await plain.verify(10, [row(4)])
  const others = 4 * Math.log((8 + Math.exp(4 / 4)) / 9)
  t.equal(score, Math.round(-0.5e6 * others) / 1e6, 'a cohort that counts half, at a temperature of 4')
  t.equal(match, false)
})

t.test('another attempt helps a claim that the points disagree about', async (t) => {
  const helps = async (amount: number, count = 1) =>
    (await plain.verify(30, Array(count).fill(row(amount)))).anotherAttemptHelps
  t.equal(await helps(1.9), false)
  t.equal(await helps(2), true)
  t.equal(await helps(4), false)
  t.equal(await helps(2, 2), false, 'two are all that is taken')
})

t.test('what is not published, and who is not known, is refused before the model is asked', async (t) => {
  t.equal((await plain.identify(Array(3).fill(row(1)))).attempts, 3)
  await t.rejects(plain.identify(Array(4).fill(row(1))), { code: 'KSR_TOO_MANY_ATTEMPTS' })
  await t.rejects(plain.identify([row(1)], { fpir: 0.2 }), { code: 'KSR_NO_OPERATING_POINT' })
  await t.rejects(plain.verify(30, Array(3).fill(row(1))), { code: 'KSR_TOO_MANY_ATTEMPTS' })
  await t.rejects(plain.verify(30, [row(1)], { fmr: 0.02 }), { code: 'KSR_NO_OPERATING_POINT' })
  const unknown = { code: 'KSR_USER_NOT_FOUND', statusCode: 404, errors: [{ pointer: '/user' }] }
  await t.rejects(plain.verify(31, [row(1)]), unknown)
  await t.rejects(plain.verify('30', [row(1)]), unknown, 'text is no number')
})

t.test('a composed model adds its members up by their weights', async (t) => {
  // 2 · 4 − 0.5 · 4
  t.same(await both.evidence(row(4)), Array.from(row(6)))
  const { user, model, version, confidence } = await both.identify([row(4)])
  t.same({ user, model, version }, { user: 30, model: 'both', version: 'version-of-both' })
  t.equal(confidence, (await plain.identify([row(6)])).confidence)
})

t.test('requests to a composed model and to its members share runs', async (t) => {
  const runs: unknown[] = []
  const note = (batch: unknown) => runs.push(withoutTime(batch))
  subscribe(BATCH_CHANNEL, note)
  t.teardown(() => unsubscribe(BATCH_CHANNEL, note))
  await Promise.all([
    both.identify([row(1), row(2)]),
    plain.identify([row(3)]),
    minus.verify(30, [row(4)]),
    both.verify(30, [row(5)]),
  ])
  t.same(runs, [
    { model: 'plain', rows: 4 },
    { model: 'minus', rows: 4 },
  ])
})

t.test('evidence that is no number fails, rather than to decide something', async (t) => {
  const root = await Recogniser.open(ENTRIES.root as TimingsEntry, bytesOf('root'), options)
  t.teardown(() => root.release())
  t.match(await root.identify([row(4)]), { user: 30 })
  const negative = row(4).with(7, -1)
  await t.rejects(root.identify([negative]), /root: its scores are not all numbers/)
  await t.rejects(root.verify(30, [row(4), negative]), /root: its scores are not all numbers/)
  t.equal(root.isFailing(), true)
  const together = await Promise.allSettled([root.identify([row(4)]), root.identify([negative])])
  t.same(
    together.map(({ status }) => status),
    ['fulfilled', 'rejected'],
    'it alone',
  )
  await root.check()
  t.equal(root.isFailing(), true, 'what is asked to test it is no request')
  await root.identify([row(4)])
  t.equal(root.isFailing(), false)
})

t.test('a composed model fails with its members, and where its sum is no number', async (t) => {
  const large = {
    ...ENTRIES.both,
    check: { ...ENTRIES.plain.check, score: 4e307 },
    members: [{ model: 'plain', weight: 1e307 }],
  } as ComposedEntry
  const sum = await Recogniser.compose(large, members, options)
  t.match(await sum.identify([row(4)]), { user: 30 })
  await t.rejects(sum.identify([row(400)]), { message: 'both: its evidence is not all numbers' })
  t.same([sum.isFailing(), plain.isFailing(), both.isFailing()], [true, false, false])
  await sum.identify([row(4)])
  t.equal(sum.isFailing(), false)
  await t.rejects(both.identify([row(Number.NaN)]), { message: /^(plain|minus): its scores/ })
  await turn()
  t.same([sum.isFailing(), plain.isFailing(), minus.isFailing(), both.isFailing()], [true, true, true, true])
  await both.identify([row(4)])
  t.same(
    [sum.isFailing(), plain.isFailing(), minus.isFailing(), both.isFailing()],
    [false, false, false, false],
  )
})

t.test('evidence for fewer users than there are fails', async (t) => {
  const entry = { ...ENTRIES.plain, check: { row: Array(10).fill(10), user: 10, score: 10 } } as TimingsEntry
  const narrow = await Recogniser.open(entry, narrowing, options)
  t.teardown(() => narrow.release())
  await t.rejects(narrow.identify([Float32Array.of(9, ...Array(9).fill(1))]), {
    message: 'plain: it has 9 scores for 10 classes',
  })
})

t.test('a model that does not answer its check row as in training is not made', async (t) => {
  const { check } = ENTRIES.both
  const wrong = { ...ENTRIES.both, check: { ...check, score: check.score + 0.001 } } as ComposedEntry
  const reason = /^both: it does not answer the check row of the manifest as it did in training/
  await t.rejects(Recogniser.compose(wrong, members, options), { code: 'KSR_MODEL_FILE', message: reason })
  const other = { ...ENTRIES.plain, check: { ...ENTRIES.plain.check, user: 20 } } as TimingsEntry
  await t.rejects(Recogniser.open(other, bytesOf('plain'), options), { message: /^plain\.onnx: / })
  const short = { ...ENTRIES.both, check: { ...check, row: [1, 2] } } as ComposedEntry
  await t.rejects(Recogniser.compose(short, members, options), { message: /check row of the manifest: / })
})

for (const { set, golden } of trained) {
  const { classes, models } = set.manifest

  for (const entry of models) {
    if (entry.features === 'summary') continue
    const model = set.models.get(entry.name) as Recogniser

    t.test(
      `${entry.title} for ${classes.length} users gives every golden row the evidence that Python gives`,
      async (t) => {
        const { labels, scores } = golden.models[entry.name] as (typeof golden.models)[string]
        t.ok(golden.timingRows.length >= 150)
        t.ok(new Set(labels).size > Math.min(20, classes.length / 2), 'the rows are answered with many users')
        let worst = 0
        for (const [i, row] of golden.timingRows.entries()) {
          const evidence = await model.evidence(Float32Array.from(row))
          const user = classes[likeliest(evidence)]
          if (user !== labels[i]) t.equal(user, labels[i], `row ${i}`)
          for (const [user, wanted] of (scores[i] as number[]).entries()) {
            worst = Math.max(worst, Math.abs((evidence[user] as number) - wanted) / (1 + Math.abs(wanted)))
          }
        }
        t.ok(worst <= 1e-5, `the largest difference of evidence is ${worst}`)
      },
    )

    t.test(
      `${entry.title} for ${classes.length} users decides as Python does, of one attempt and of several`,
      async (t) => {
        const decisions = golden.decisions.filter(({ model }) => model === entry.name)
        t.ok(decisions.some(({ attempts }) => attempts.length === 1))
        const close = (found: number | undefined, wanted: number) =>
          Math.abs((found as number) - wanted) <= 1e-5 * (1 + Math.abs(wanted))
        for (const { attempts, user, confidence, statistic, claim } of decisions) {
          const rows = attempts.map((row) => Float32Array.from(row))
          const answer = await model.identify(rows)
          t.equal(answer.user, user)
          t.ok(close(answer.confidence, confidence), 'confidence')
          const { threshold = Number.NaN } = answer.operatingPoint ?? {}
          t.equal(answer.decision, statistic >= threshold ? 'known' : 'unknown')
          const { score, match, threshold: least } = await model.verify(claim.user, rows)
          t.ok(close(score, claim.statistic), 'statistic of a claim')
          t.equal(match, claim.statistic >= least)
        }
      },
    )
  }
}
