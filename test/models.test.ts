import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { FEATURE_ORDER, summarise } from '../src/keystroke/features.js'
import { MODELS, readGolden } from './fixtures/models.js'

t.test('the reference models stay within their sizes', async (t) => {
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

t.test('features are the ones that Python computes, to the last bit', async (t) => {
  const { keystrokes: typings } = readGolden()
  t.ok(typings.length >= 40)
  for (const { keystrokes, features } of typings) {
    const { HT, PPT, RRT, RPT } = summarise(keystrokes, keystrokes.length)
    t.same(
      [HT, PPT, RRT, RPT].flatMap(({ Mean, STD }) => [Mean, STD]),
      features,
    )
  }
  t.equal(FEATURE_ORDER.length, typings[0]?.features.length)
})
