import { rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { type Manifest, readManifest, readPinned } from '../../src/inference/manifest.js'
import { copyModels, editManifest, MODELS } from '../fixtures/models.js'

t.test('the shipped manifest is read, and its files are the ones it pins', async (t) => {
  const manifest = await readManifest(MODELS)
  t.same(manifest.models.map(({ name }) => name).slice(0, 3), ['svm', 'rf', 'xgb'])
  for (const file of Object.keys(manifest.files)) await readPinned(MODELS, file, manifest)
})

t.test('a manifest that can not be used is refused with the file and the reason', async (t) => {
  const cases: [string, (dir: string) => void, RegExp][] = [
    ['missing', (dir) => rmSync(join(dir, 'manifest.json')), /manifest\.json: it can not be read \(ENOENT\)/],
    ['no JSON', (dir) => writeFileSync(join(dir, 'manifest.json'), '{'), /manifest\.json: it is not JSON/],
    [
      'a list',
      (dir) => writeFileSync(join(dir, 'manifest.json'), '[]'),
      /manifest\.json: \/: Expected object/,
    ],
    ['another format', (dir) => editManifest(dir, (m) => Object.assign(m, { format: 2 })), /\/format: /],
    ['one key', (dir) => editManifest(dir, (m) => Object.assign(m, { keys: 1 })), /\/keys: /],
    ['one class', (dir) => editManifest(dir, (m) => Object.assign(m, { classes: [1] })), /\/classes: /],
    [
      'a class twice',
      (dir) => editManifest(dir, (m) => Object.assign(m, { classes: [1, 1] })),
      /\/classes: /,
    ],
    [
      'a model twice',
      (dir) => editManifest(dir, (m) => m.models.push(m.models[0] as never)),
      /a model twice: svm,rf,xgb,svm/,
    ],
    ['no models', (dir) => editManifest(dir, (m) => Object.assign(m, { models: [] })), /\/models: /],
    [
      'sample std',
      (dir) => editManifest(dir, (m) => Object.assign(m.features, { std: 'sample' })),
      /\/features\/std: /,
    ],
    [
      'features in another order',
      (dir) => editManifest(dir, (m) => m.features.order.reverse()),
      /the features are RPT\.STD,.* this service computes HT\.Mean,/,
    ],
    [
      'a file outside the folder',
      (dir) => editManifest(dir, (m) => Object.assign(m.models[0] as object, { file: '../svm.onnx' })),
      /\/models\/0\/file: /,
    ],
  ]
  for (const [title, spoil, message] of cases) {
    const dir = copyModels(t)
    spoil(dir)
    await t.rejects(readManifest(dir), { code: 'KSR_MANIFEST', message }, title)
  }
})

t.test('a file that is not the one that was written is refused with its name and the reason', async (t) => {
  const spoils: [string, (path: string, manifest: Manifest) => void, RegExp][] = [
    ['missing', (path) => rmSync(path), /rf\.onnx: it can not be read \(ENOENT\)/],
    [
      'not pinned',
      (_, manifest) => delete manifest.files['rf.onnx'],
      /rf\.onnx: the manifest does not pin it/,
    ],
    ['cut off', (path) => truncateSync(path, 1000), /rf\.onnx: it has 1000 bytes, the manifest says \d+/],
    [
      'altered',
      (path, manifest) => writeFileSync(path, Buffer.alloc(manifest.files['rf.onnx']?.bytes ?? 0)),
      /rf\.onnx: its SHA-256 is [0-9a-f]{64}, the manifest says [0-9a-f]{64}/,
    ],
  ]
  for (const [title, spoil, message] of spoils) {
    const dir = copyModels(t)
    const manifest = await readManifest(dir)
    spoil(join(dir, 'rf.onnx'), manifest)
    await t.rejects(readPinned(dir, 'rf.onnx', manifest), { code: 'KSR_MODEL_FILE', message }, title)
  }
})
