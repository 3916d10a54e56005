import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Classifier } from '../../src/inference/classifier.js'
import { readManifest, type SummaryEntry } from '../../src/inference/manifest.js'
import { modelFolder } from '../../src/inference/model-source.js'
import { type Golden, MODELS, readGolden, TYPISTS } from '../fixtures/models.js'
import { elementwise } from '../fixtures/onnx.js'

const manifest = await readManifest(modelFolder(MODELS))
const golden = readGolden()
const options = { classes: manifest.classes, width: 8, hideScores: false }
const entryOf = (name: string) => manifest.models.find((entry) => entry.name === name) as SummaryEntry
const bytesOf = (name: string) => readFileSync(join(MODELS, entryOf(name).file))

for (const dir of [MODELS, TYPISTS]) {
  const { models, classes } = await readManifest(modelFolder(dir))
  const golden = readGolden(dir)
  for (const entry of models) {
    if (entry.features !== 'summary') continue
    t.test(
      `${entry.title} for ${classes.length} users answers every golden row as Python does`,
      async (t) => {
        const bytes = readFileSync(join(dir, entry.file))
        const classifier = await Classifier.open(entry, bytes, { classes, width: 8, hideScores: false })
        t.teardown(() => classifier.release())
        const { labels, scores } = golden.models[entry.name] as Golden['models'][string]
        t.ok(golden.rows.length >= 190)
        t.ok(new Set(labels).size > Math.min(20, classes.length / 2), 'the rows are answered with many users')
        let worst = 0
        for (const [i, row] of golden.rows.entries()) {
          const features = Float32Array.from(row)
          const { user, candidates = [] } = await classifier.classify(features, { top: classes.length })
          if (user !== labels[i]) t.equal(user, labels[i], `row ${i}`)
          t.equal((await classifier.classify(features)).user, user, 'the same without scores')
          t.equal(candidates.length, classes.length)
          for (const candidate of candidates) {
            const wanted = scores[i]?.[classes.indexOf(candidate.user as never)] as number
            worst = Math.max(worst, Math.abs((candidate.score as number) - wanted))
          }
        }
        t.ok(worst <= 1e-5, `the largest difference of a score is ${worst}`)

        // All at once, and so in batches: each row has its own scores there, too.
        const together = await Promise.all(
          golden.rows.map((row) => classifier.classify(Float32Array.from(row), { top: 3 })),
        )
        for (const [i, row] of golden.rows.entries()) {
          t.same(together[i], await classifier.classify(Float32Array.from(row), { top: 3 }))
        }
      },
    )
  }
}

t.test('candidates come only when asked for, the user first', async (t) => {
  const classifier = await Classifier.open(entryOf('svm'), bytesOf('svm'), options)
  t.teardown(() => classifier.release())
  const row = Float32Array.from(golden.rows[0] as number[])
  t.notOk('candidates' in (await classifier.classify(row)))
  const { user, candidates } = await classifier.classify(row, { top: 3 })
  t.equal(candidates?.length, 3)
  t.equal(candidates?.[0]?.user, user)
})

t.test('hidden scores are hidden', async (t) => {
  const classifier = await Classifier.open(entryOf('rf'), bytesOf('rf'), { ...options, hideScores: true })
  t.teardown(() => classifier.release())
  const { candidates } = await classifier.classify(Float32Array.from(golden.rows[0] as number[]), { top: 2 })
  t.same(candidates?.map(Object.keys), [['user'], ['user']])
})

t.test('it has no operating point to be asked for', async (t) => {
  const classifier = await Classifier.open(entryOf('rf'), bytesOf('rf'), options)
  t.teardown(() => classifier.release())
  const row = Float32Array.from(golden.rows[0] as number[])
  t.throws(() => classifier.classify(row, { fpir: 0.05 }), {
    code: 'KSR_NO_OPERATING_POINT',
    message: 'The model "rf" has no operating point at this fpir. It has none: it always names somebody.',
    errors: [{ pointer: '/querystring/fpir' }],
  })
})

t.test('garbage fails the request that it answers, and shows until the next good answer', async (t) => {
  const classes = [10, 20, 30, 40, 50, 60, 70, 80]
  const row = (...numbers: number[]) => Float32Array.from(classes, (_, i) => numbers[i] ?? 1)
  const entry = {
    ...entryOf('rf'),
    input: { name: 'input', type: 'float32', shape: [-1, 8] },
    outputs: [
      { name: 'label', type: 'int64', shape: [-1] },
      { name: 'scores', type: 'float32', shape: [-1, 8] },
    ],
    check: { row: Array.from(row(4)), user: 10, score: 2 },
  }
  // The last class that it names is none of the manifest's; of negative numbers there is no root.
  const bytes = elementwise('Sqrt', classes.with(7, 999))
  const classifier = await Classifier.open(entry, bytes, { classes, width: 8, hideScores: false })
  t.teardown(() => classifier.release())
  const stray = Float32Array.from(classes, (_, i) => i)
  const numberless = row(4, -1)

  for (const [bad, query, reason] of [
    [stray, {}, 'its label is none of its classes'],
    [stray, { top: 1 }, 'its label is none of its classes'],
    [numberless, { top: 1 }, 'its scores are not all numbers'],
  ] as const) {
    const [good, fails] = await Promise.allSettled([
      classifier.classify(row(1, 9), query),
      classifier.classify(bad, query),
    ])
    t.match(good, { status: 'fulfilled', value: { user: 20 } })
    t.match(fails, { status: 'rejected', reason: { message: `rf: ${reason}` } })
    t.equal(classifier.isFailing(), true)
    await classifier.check()
    t.equal(classifier.isFailing(), true, 'what is asked to test it is no request')
    t.match(await classifier.classify(row(1, 1, 9)), { user: 30 })
    t.equal(classifier.isFailing(), false)
  }
})

t.test('it is freed only when all that it was asked is answered', async (t) => {
  const classifier = await Classifier.open(entryOf('rf'), bytesOf('rf'), options)
  const row = Float32Array.from(golden.rows[0] as number[])
  const answers = Array.from({ length: 100 }, (_, i) => classifier.classify(row, { top: i % 2 }))
  await classifier.release()
  for (const { user } of await Promise.all(answers)) t.equal(user, golden.models.rf?.labels[0])
})
