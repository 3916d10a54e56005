import { rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { type Manifest, readManifest, readPinned } from '../../src/inference/manifest.js'
import { modelFolder } from '../../src/inference/model-source.js'
import { copyModels, editManifest, MODELS } from '../fixtures/models.js'
import { tinyModels } from '../fixtures/tiny.js'

t.test('the shipped manifest is read, and its files are the ones it pins', async (t) => {
  const source = modelFolder(MODELS)
  const manifest = await readManifest(source)
  t.same(manifest.models.map(({ name }) => name).slice(0, 3), ['svm', 'rf', 'xgb'])
  for (const file of Object.keys(manifest.files)) await readPinned(source, file, manifest)
})

t.test('a manifest that can not be used is refused with the file and the reason', async (t) => {
  const cases: [string, (dir: string) => void, RegExp][] = [
    ['missing', (dir) => rmSync(join(dir, 'manifest.json')), /manifest\.json: it can not be read \(ENOENT\)/],
    [
      'far too large',
      (dir) => writeFileSync(join(dir, 'manifest.json'), Buffer.alloc(5e6)),
      /manifest\.json: it has 5000000 bytes, more than the 4194304 that are read/,
    ],
    ['no JSON', (dir) => writeFileSync(join(dir, 'manifest.json'), '{'), /manifest\.json: it is not JSON/],
    [
      'a list',
      (dir) => writeFileSync(join(dir, 'manifest.json'), '[]'),
      /manifest\.json: its format is undefined/,
    ],
    [
      'the format of an earlier version',
      (dir) => editManifest(dir, (m) => Object.assign(m, { format: 1 })),
      /its format is 1, this service reads 2: train again/,
    ],
    [
      'no format',
      (dir) => editManifest(dir, (m) => Object.assign(m, { format: undefined })),
      /its format is undefined/,
    ],
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
      /a model twice: svm,rf,xgb,.*svm/,
    ],
    ['no models', (dir) => editManifest(dir, (m) => Object.assign(m, { models: [] })), /\/models: /],
    [
      'sample std',
      (dir) => editManifest(dir, (m) => Object.assign(m.features, { std: 'sample' })),
      /\/features\/std: /,
    ],
    [
      'features in another order',
      (dir) => editManifest(dir, (m) => m.features.summary.reverse()),
      /the summary features are RPT\.STD,.* this service computes HT\.Mean,/,
    ],
    [
      'timings for another number of keys',
      (dir) => editManifest(dir, (m) => Object.assign(m, { keys: 12 })),
      /the timings features are logHT\[0\],.* this service computes logHT\[0\],/,
    ],
    [
      'no ranges',
      (dir) => editManifest(dir, (m) => Object.assign(m, { ranges: { HT: [0] } })),
      /\/ranges\/PPT: /,
    ],
    [
      'features that this service does not compute',
      (dir) => editManifest(dir, (m) => Object.assign(m.models[0] as object, { features: 'rhythm' })),
      /\/models\/0\/features: Expected 'summary'/,
    ],
    [
      'a model of summaries that decides',
      (dir) => editManifest(dir, (m) => Object.assign(m.models[0] as object, { decision: {} })),
      /\/models\/0\/decision: /,
    ],
    [
      'no evaluation',
      (dir) => editManifest(dir, (m) => Object.assign(m.models[1] as object, { evaluation: undefined })),
      /\/models\/1\/evaluation: /,
    ],
    [
      'a file outside the folder',
      (dir) => editManifest(dir, (m) => Object.assign(m.models[0] as object, { file: '../svm.onnx' })),
      /\/models\/0\/file: /,
    ],
    [
      'what users enrol by outside the folder',
      (dir) =>
        editManifest(dir, (m) =>
          Object.assign(m, { enrolment: { file: '../a.json', graph: 'a.onnx', version: '1' } }),
        ),
      /\/enrolment\/file: /,
    ],
    [
      'and what compares them',
      (dir) =>
        editManifest(dir, (m) =>
          Object.assign(m, { enrolment: { file: 'a.json', graph: '../a.onnx', version: '1' } }),
        ),
      /\/enrolment\/graph: /,
    ],
  ]
  for (const [title, spoil, message] of cases) {
    const dir = copyModels(t)
    spoil(dir)
    await t.rejects(readManifest(modelFolder(dir)), { code: 'KSR_MANIFEST', message }, title)
  }
})

t.test('what is said of models of raw keystrokes must fit together', async (t) => {
  type Entry = Record<string, unknown>
  type Points = { points: { attempts: number; fpir?: number; fmr?: number }[] }
  const decision = (entry: Entry) => entry.decision as { identification: Points; verification: Points }
  const without = (
    kind: 'identification' | 'verification',
    gone: (point: Points['points'][0]) => boolean,
  ) => {
    return (entry: Entry) => {
      decision(entry)[kind].points = decision(entry)[kind].points.filter((point) => !gone(point))
    }
  }
  const members = (...names: string[]) => ({ members: names.map((model) => ({ model, weight: 1 })) })
  const cases: [string, string, (entry: Entry) => unknown, RegExp][] = [
    ['no decision', 'plain', (entry) => delete entry.decision, /\/models\/0\/decision: /],
    ['a composed model without one', 'both', (entry) => delete entry.decision, /\/models\/3\/decision: /],
    [
      'a correlation above 1',
      'plain',
      (entry) => Object.assign(decision(entry), { correlation: 1.1 }),
      /\/models\/0\/decision\/correlation: /,
    ],
    [
      'a temperature of 0',
      'plain',
      (entry) => Object.assign(decision(entry).identification, { temperature: 0 }),
      /\/models\/0\/decision\/identification\/temperature: /,
    ],
    [
      'no points',
      'plain',
      without('verification', () => true),
      /\/models\/0\/decision\/verification\/points: /,
    ],
    [
      'no default point',
      'plain',
      without('identification', ({ fpir }) => fpir === 0.05),
      /\/models\/0\/decision: there is no point at fpir 0\.05 for 1 attempts/,
    ],
    [
      'a number of attempts left out',
      'both',
      without('verification', ({ attempts }) => attempts === 1),
      /\/models\/3\/decision: there is no point at fmr 0\.01 for 1 attempts/,
    ],
    [
      'a file and members',
      'both',
      (entry) => Object.assign(entry, { file: 'x.onnx' }),
      /\/models\/3\/file: /,
    ],
    ['no members', 'both', (entry) => Object.assign(entry, members()), /\/models\/3\/members: /],
    [
      'a member that there is not',
      'both',
      (entry) => Object.assign(entry, members('plain', 'trees')),
      /both is made of "trees", which is no model of timings with a file of its own/,
    ],
    [
      'a member that is composed',
      'both',
      (entry) => Object.assign(entry, members('both')),
      /both is made of "both"/,
    ],
  ]
  for (const [title, name, spoil, message] of cases) {
    const dir = tinyModels(t)
    editManifest(dir, ({ models }) => spoil(models.find((entry) => entry.name === name) as unknown as Entry))
    await t.rejects(readManifest(modelFolder(dir)), { code: 'KSR_MANIFEST', message }, title)
  }
  const dir = copyModels(t)
  editManifest(dir, ({ models }) => {
    const entry = models.find(({ name }) => name === 'best') as unknown as Entry
    Object.assign(entry, members('svm'))
  })
  await t.rejects(
    readManifest(modelFolder(dir)),
    { message: /best is made of "svm"/ },
    'a member of another kind',
  )
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
    const source = modelFolder(dir)
    const manifest = await readManifest(source)
    spoil(join(dir, 'rf.onnx'), manifest)
    await t.rejects(readPinned(source, 'rf.onnx', manifest), { code: 'KSR_MODEL_FILE', message }, title)
  }
})
