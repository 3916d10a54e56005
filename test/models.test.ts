import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { featureOrder, summarise, timingsRow } from '../src/keystroke/features.js'
import { timesOf } from '../src/keystroke/times.js'
import { MODELS, readGolden } from './fixtures/models.js'

t.test('the models stay within their sizes, one by one and all together', async (t) => {
  const models = readdirSync(MODELS).filter((file) => file.endsWith('.onnx'))
  const total = models.reduce((sum, file) => sum + statSync(join(MODELS, file)).size, 0)
  t.ok(total <= 30e6, `all have ${total} bytes`)
  for (const [file, limit] of [
    ['svm.onnx', 0.7e6],
    ['rf.onnx', 3.5e6],
    ['xgb.onnx', 2.5e6],
  ] as const) {
    const { size } = statSync(join(MODELS, file))
    t.ok(size <= limit, `${file} has ${size} bytes`)
  }
})

t.test('the manifest lists every file of the folder but itself', async (t) => {
  const { files } = JSON.parse(readFileSync(join(MODELS, 'manifest.json'), 'utf8'))
  const found = readdirSync(MODELS, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== 'manifest.json')
    .map((entry) => join(entry.parentPath, entry.name).slice(MODELS.length + 1))
  t.same(Object.keys(files).sort(), found.sort())
})

t.test('the eight numbers are the ones that Python computes, to the last bit', async (t) => {
  const { keystrokes: typings } = readGolden()
  t.ok(typings.length >= 40)
  for (const { keystrokes, features } of typings) {
    const { HT, PPT, RRT, RPT } = summarise(timesOf(keystrokes, keystrokes.length))
    t.same(
      [HT, PPT, RRT, RPT].flatMap(({ Mean, STD }) => [Mean, STD]),
      features,
    )
  }
  t.equal(featureOrder('summary', 13).length, typings[0]?.features.length)
})

t.test('the timings are the ones that Python computes, to the step of a float32', async (t) => {
  for (const { keystrokes, timings } of readGolden().keystrokes) {
    const row = timingsRow(timesOf(keystrokes, keystrokes.length))
    t.equal(row.length, timings.length)
    // Logarithms of different libraries differ in the last bit of a double: rarely, that is a step of a float32.
    const worst = Math.max(
      ...timings.map((value, i) => Math.abs((row[i] as number) - value) / (1 + Math.abs(value))),
    )
    t.ok(worst <= 2 ** -23, `the largest difference is ${worst}`)
  }
})
