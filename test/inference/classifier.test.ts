import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Classifier } from '../../src/inference/classifier.js'
import { type ManifestEntry, readManifest } from '../../src/inference/manifest.js'
import { type Golden, MODELS, readGolden, TYPISTS } from '../fixtures/models.js'
import { field, message } from '../fixtures/protobuf.js'

const manifest = await readManifest(MODELS)
const golden = readGolden()
const { classes } = manifest
const entryOf = (name: string) => manifest.models.find((entry) => entry.name === name) as ManifestEntry
const bytesOf = (name: string) => readFileSync(join(MODELS, entryOf(name).file))

for (const dir of [MODELS, TYPISTS]) {
  const { models, classes } = await readManifest(dir)
  const golden = readGolden(dir)
  for (const entry of models) {
    t.test(
      `${entry.title} for ${classes.length} users answers every golden row as Python does`,
      async (t) => {
        const bytes = readFileSync(join(dir, entry.file))
        const classifier = await Classifier.open(entry, bytes, { classes, hideScores: false })
        t.teardown(() => classifier.release())
        const { labels, scores } = golden.models[entry.name] as Golden['models'][string]
        t.ok(golden.rows.length >= 190)
        t.ok(new Set(labels).size > Math.min(20, classes.length / 2), 'the rows are answered with many users')
        let worst = 0
        for (const [i, row] of golden.rows.entries()) {
          const features = Float32Array.from(row)
          const { user, candidates = [] } = await classifier.classify(features, classes.length)
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
          golden.rows.map((row) => classifier.classify(Float32Array.from(row), 3)),
        )
        for (const [i, row] of golden.rows.entries()) {
          t.same(together[i], await classifier.classify(Float32Array.from(row), 3))
        }
      },
    )
  }
}

t.test('candidates come only when asked for, the user first', async (t) => {
  const classifier = await Classifier.open(entryOf('svm'), bytesOf('svm'), { classes, hideScores: false })
  t.teardown(() => classifier.release())
  const row = Float32Array.from(golden.rows[0] as number[])
  t.notOk('candidates' in (await classifier.classify(row)))
  const { user, candidates } = await classifier.classify(row, 3)
  t.equal(candidates?.length, 3)
  t.equal(candidates?.[0]?.user, user)
})

t.test('hidden scores are hidden', async (t) => {
  const classifier = await Classifier.open(entryOf('rf'), bytesOf('rf'), { classes, hideScores: true })
  t.teardown(() => classifier.release())
  const { candidates } = await classifier.classify(Float32Array.from(golden.rows[0] as number[]), 2)
  t.same(candidates?.map(Object.keys), [['user'], ['user']])
})

t.test('a model that is not what its entry declares is not opened', async (t) => {
  const rf = entryOf('rf')
  const { check } = rf
  const output = (shape: number[]) => [rf.outputs[0], { name: 'scores', type: 'float32', shape }]
  const cases: [string, Partial<Record<keyof ManifestEntry, unknown>>, RegExp][] = [
    [
      'input',
      { input: { ...rf.input, shape: [-1, 9] } },
      /the manifest gives it -1,9 numbers, this service computes 8/,
    ],
    ['input type', { input: { ...rf.input, type: 'float64' } }, /the manifest says input: float64/],
    [
      'outputs',
      { outputs: output([-1, 109]) },
      /its output is .*scores: float32\[-1,110\], the manifest says .*109/,
    ],
    ['output names', { outputs: rf.outputs.toReversed() }, /its outputs are not label and scores/],
    ['check row', { check: { ...check, row: [1, 2] } }, /does not answer the check row of the manifest: /],
    ['label', { check: { ...check, user: 0 } }, /does not answer the check row/],
    ['score', { check: { ...check, score: check.score + 0.0002 } }, /does not answer the check row/],
  ]
  for (const [title, change, reason] of cases) {
    const entry = { ...rf, ...change } as ManifestEntry
    const opening = Classifier.open(entry, bytesOf('rf'), { classes, hideScores: false })
    await t.rejects(opening, { code: 'KSR_MODEL_FILE', message: reason }, title)
  }
})

t.test('a model for other classes than the manifest lists is not opened', async (t) => {
  const fewer = classes.slice(1)
  const opening = Classifier.open(entryOf('rf'), bytesOf('rf'), { classes: fewer, hideScores: false })
  await t.rejects(opening, { message: 'rf.onnx: it scores 110 classes, the manifest lists 109.' })
})

t.test('a file that reaches outside itself is not opened', async (t) => {
  const foreign = message(bytesOf('rf'), field(8, message(field(1, 'com.example'))))
  const opening = Classifier.open(entryOf('rf'), foreign, { classes, hideScores: false })
  await t.rejects(opening, {
    code: 'KSR_MODEL_FILE',
    message: /^rf\.onnx: it uses operators of "com\.example"/,
  })
})

t.test('a model whose answer is no tensor, as stock converters write it, is not opened', async (t) => {
  const tensor = (...shape: Uint8Array[]) => field(1, message(field(1, 1), field(2, message(...shape))))
  const value = (name: string, type: Uint8Array) => message(field(1, name), field(2, type))
  const batch = field(1, message(field(2, 'batch')))
  const features = field(1, message(field(1, 8)))
  const graph = message(
    field(1, message(field(1, 'input'), field(2, 'label'), field(4, 'SequenceConstruct'))),
    field(2, 'sequence'),
    field(11, value('input', tensor(batch, features))),
    field(12, value('label', field(4, message(field(1, tensor(batch, features)))))),
  )
  const model = message(field(1, 8), field(7, graph), field(8, message(field(1, ''), field(2, 17))))
  const opening = Classifier.open(entryOf('rf'), model, { classes, hideScores: false })
  await t.rejects(opening, { message: /its output is label: not a tensor, the manifest says label: int64/ })
})

t.test('a file that ONNX Runtime can not open is refused with its reason', async (t) => {
  const empty = message(field(1, 8), field(7, message()))
  const opening = Classifier.open(entryOf('rf'), empty, { classes, hideScores: false })
  await t.rejects(opening, { code: 'KSR_MODEL_FILE', message: /^rf\.onnx: ONNX Runtime can not open it: / })
})

t.test('the runtime reports to nobody, and leaves no trace of itself in the home of its user', async (t) => {
  const home = t.testdir()
  const script = `
    const { loadModelSet } = await import(${JSON.stringify(new URL('../../src/inference/model-set.ts', import.meta.url))})
    await loadModelSet({ dir: ${JSON.stringify(MODELS)}, names: [], hideScores: [] })
    console.log('loaded')
  `
  // Its makers have it silent where tests run, which it tells by variables such as CI: none of them here.
  const { stdout, stderr } = spawnSync(
    process.execPath,
    [...process.execArgv, '--input-type=module', '--eval', script],
    { env: { HOME: home, PATH: process.env.PATH }, encoding: 'utf8', timeout: 20_000 },
  )
  t.equal(stdout, 'loaded\n', stderr)
  t.same(readdirSync(home), [])
})
