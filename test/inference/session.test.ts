import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Classifier } from '../../src/inference/classifier.js'
import { readManifest, type SummaryEntry } from '../../src/inference/manifest.js'
import { modelFolder } from '../../src/inference/model-source.js'
import { MODELS } from '../fixtures/models.js'
import { field, message } from '../fixtures/protobuf.js'

const { classes, models } = await readManifest(modelFolder(MODELS))
const options = { classes, width: 8, hideScores: false }
const rf = models.find(({ name }) => name === 'rf') as SummaryEntry
const bytes = readFileSync(join(MODELS, rf.file))

t.test('a model that is not what its entry declares is not opened', async (t) => {
  const { check } = rf
  const output = (shape: number[]) => [rf.outputs[0], { name: 'scores', type: 'float32', shape }]
  const cases: [string, Partial<Record<keyof SummaryEntry, unknown>>, RegExp][] = [
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
    const entry = { ...rf, ...change } as SummaryEntry
    const opening = Classifier.open(entry, bytes, options)
    await t.rejects(opening, { code: 'KSR_MODEL_FILE', message: reason }, title)
  }
})

t.test('a model for other classes than the manifest lists is not opened', async (t) => {
  const opening = Classifier.open(rf, bytes, { ...options, classes: classes.slice(1) })
  await t.rejects(opening, { message: 'rf.onnx: it scores 110 classes, the manifest lists 109.' })
})

t.test('a file that reaches outside itself is not opened', async (t) => {
  const foreign = message(bytes, field(8, message(field(1, 'com.example'))))
  const opening = Classifier.open(rf, foreign, options)
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
  const opening = Classifier.open(rf, model, options)
  await t.rejects(opening, { message: /its output is label: not a tensor, the manifest says label: int64/ })
})

t.test('a file that ONNX Runtime can not open is refused with its reason', async (t) => {
  const empty = message(field(1, 8), field(7, message()))
  const opening = Classifier.open(rf, empty, options)
  await t.rejects(opening, { code: 'KSR_MODEL_FILE', message: /^rf\.onnx: ONNX Runtime can not open it: / })
})

t.test('the runtime reports to nobody, and leaves no trace of itself in the home of its user', async (t) => {
  const home = t.testdir()
  const script = `
    const { loadModelSet } = await import(${JSON.stringify(new URL('../../src/inference/model-set.ts', import.meta.url))})
    const { modelFolder } = await import(${JSON.stringify(new URL('../../src/inference/model-source.ts', import.meta.url))})
    await loadModelSet({ source: modelFolder(${JSON.stringify(MODELS)}), names: [], hideScores: [], showScores: [], publicKey: '' })
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
