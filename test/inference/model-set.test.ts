import { appendFileSync, readFileSync, rmSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { InferenceSession } from 'onnxruntime-node'
import t, { type Test } from 'tap'
import { loadModelSet, loadOtherModelSet } from '../../src/inference/model-set.js'
import { modelFolder } from '../../src/inference/model-source.js'
import type { Recogniser } from '../../src/inference/recogniser.js'
import type { EnrolmentArtefact } from '../../src/templates/artefact.js'
import { copyModels, editManifest, MODELS, replaceModel } from '../fixtures/models.js'
import { bytesOf, CLASSES, tinyModels } from '../fixtures/tiny.js'

const all = { source: modelFolder(MODELS), names: [], hideScores: [], showScores: [], publicKey: '' }

t.test('without names every model of the manifest is loaded, in its order', async (t) => {
  const { manifest, models, release } = await loadModelSet(all)
  t.teardown(release)
  t.same(
    [...models.keys()],
    manifest.models.map(({ name }) => name),
  )
})

t.test('only the models that are named are loaded, and only their files are needed', async (t) => {
  const dir = copyModels(t)
  rmSync(join(dir, 'rf.onnx'))
  const { models, release } = await loadModelSet({ ...all, source: modelFolder(dir), names: ['xgb', 'svm'] })
  t.teardown(release)
  t.same([...models.keys()], ['svm', 'xgb'])
})

t.test('a composed model brings its members with it, which are not served for that', async (t) => {
  const dir = tinyModels(t)
  rmSync(join(dir, 'root.onnx'))
  const { models, release } = await loadModelSet({ ...all, source: modelFolder(dir), names: ['both'] })
  t.teardown(release)
  t.same([...models.keys()], ['both'])
  const { user } = await (models.get('both') as Recogniser).identify([Float32Array.from(CLASSES)])
  t.equal(user, 100)
  rmSync(join(dir, 'minus.onnx'))
  await t.rejects(loadModelSet({ ...all, source: modelFolder(dir), names: ['both'] }), {
    message: /minus\.onnx: it can not be read/,
  })
})

t.test('scores are hidden as the manifest says, and as the settings say beyond it', async (t) => {
  const dir = tinyModels(t)
  editManifest(dir, (manifest) => {
    for (const entry of manifest.models) entry.hideScores = entry.name === 'plain' || entry.name === 'both'
  })
  const set = await loadModelSet({
    ...all,
    source: modelFolder(dir),
    hideScores: ['minus', 'both'],
    showScores: ['plain'],
  })
  t.teardown(set.release)
  const hidden = set.manifest.models.filter(set.hidesScores).map(({ name }) => name)
  t.same(hidden, ['minus', 'both'])
  for (const [name, model] of set.models) {
    const { candidates } = await (model as Recogniser).identify([Float32Array.from(CLASSES)], { top: 1 })
    t.equal(candidates?.[0]?.score === undefined, hidden.includes(name), name)
  }
})

t.test('a name that the manifest does not have is refused, with the ones it has', async (t) => {
  const reason = { code: 'KSR_CONFIG', message: /MODELS names "rfc", the manifest has svm, rf, xgb/ }
  await t.rejects(loadModelSet({ ...all, names: ['rf', 'rfc'] }), reason)
  for (const [setting, names] of [
    ['HIDE_SCORES', { hideScores: ['forest'] }],
    ['SHOW_SCORES', { showScores: ['rf', 'forest'] }],
  ] as const) {
    const unknown = { code: 'KSR_CONFIG', message: new RegExp(`${setting} names "forest"`) }
    await t.rejects(loadModelSet({ ...all, ...names }), unknown)
  }
})

/** Counts the sessions that are open, of those opened from now on. */
function openSessions(t: Test): () => number {
  let open = 0
  const { create } = InferenceSession
  t.teardown(() => Object.assign(InferenceSession, { create }))
  Object.assign(InferenceSession, {
    async create(...args: Parameters<typeof create>) {
      const session = await create(...args)
      const { release } = session
      open++
      session.release = () => {
        open--
        return release.call(session)
      }
      return session
    },
  })
  return () => open
}

t.test('of a set that is refused nothing stays open, whatever is wrong with it', async (t) => {
  const open = openSessions(t)
  const whole = await loadModelSet({ ...all, source: modelFolder(tinyModels(t)) })
  t.equal(open(), 3)
  await whole.release()
  t.equal(open(), 0)
  for (const [spoil, reason] of [
    [(dir) => rmSync(join(dir, 'minus.onnx')), /minus\.onnx: it can not be read/],
    [(dir) => replaceModel(dir, 'minus.onnx', bytesOf('root')), /minus\.onnx: it does not answer/],
    [(dir) => replaceModel(dir, 'minus.onnx', Uint8Array.of(1)), /minus\.onnx: it is not an ONNX model/],
    [
      (dir) =>
        editManifest(dir, ({ models }) => Object.assign(models[1]?.outputs?.[1] ?? {}, { shape: [-1, 9] })),
      /minus\.onnx: its output is/,
    ],
    [
      (dir) => editManifest(dir, ({ models }) => Object.assign(models[3]?.check ?? {}, { score: 7 })),
      /both: it does not answer/,
    ],
  ] as [(dir: string) => unknown, RegExp][]) {
    const dir = tinyModels(t)
    spoil(dir)
    await t.rejects(loadModelSet({ ...all, source: modelFolder(dir) }), { message: reason })
    t.equal(open(), 0, String(reason))
  }
})

t.test('a set is loaded beside another only where its manifest is another', async (t) => {
  const dir = tinyModels(t)
  const options = { ...all, source: modelFolder(dir) }
  const set = await loadModelSet(options)
  t.teardown(set.release)
  t.equal(await loadOtherModelSet(set, options), undefined)
  editManifest(dir, (manifest) => Object.assign(manifest.models[0] ?? {}, { title: 'another' }))
  const other = await loadOtherModelSet(set, options)
  t.teardown(async () => other?.release())
  t.equal(other?.manifest.models[0]?.title, 'another')
})

t.test("what users of one's own are told apart with is loaded beside the models", async (t) => {
  const { enrolment, release } = await loadModelSet({ ...all, names: ['svm'] })
  t.teardown(release)
  t.equal(enrolment?.artefact.keys, 13)
  const dir = copyModels(t)
  editManifest(dir, (manifest) => {
    delete manifest.enrolment
  })
  rmSync(join(dir, 'enrolment.json'))
  rmSync(join(dir, 'gallery.onnx'))
  const without = await loadModelSet({ ...all, source: modelFolder(dir), names: ['svm'] })
  t.teardown(without.release)
  t.equal(without.enrolment, undefined, 'where training could not say it there is none')
})

t.test(
  'where what enrols is damaged, of another format or missing nothing is loaded, and the file is named',
  async (t) => {
    const other = (change: (artefact: EnrolmentArtefact) => unknown) => (dir: string) => {
      const artefact = JSON.parse(readFileSync(join(dir, 'enrolment.json'), 'utf8'))
      change(artefact)
      replaceModel(dir, 'enrolment.json', Buffer.from(JSON.stringify(artefact)))
    }
    for (const [spoil, reason] of [
      [(dir) => rmSync(join(dir, 'enrolment.json')), /\/enrolment\.json: it can not be read/],
      [(dir) => rmSync(join(dir, 'gallery.onnx')), /\/gallery\.onnx: it can not be read/],
      [(dir) => truncateSync(join(dir, 'enrolment.json'), 1000), /\/enrolment\.json: /],
      [(dir) => appendFileSync(join(dir, 'gallery.onnx'), 'x'), /\/gallery\.onnx: /],
      [(dir) => replaceModel(dir, 'enrolment.json', Buffer.from('{')), /\/enrolment\.json: it is not JSON/],
      [
        other((artefact) => Object.assign(artefact, { format: 2 })),
        /\/enrolment\.json: \/format: Expected 1/,
      ],
      [
        other(({ check }) => {
          check.evidence += 0.01
        }),
        /\/enrolment\.json: its typings do not compare as they did in training/,
      ],
      [
        other(({ check }) => {
          check.statistic += 0.01
        }),
        /\/enrolment\.json: its typings do not compare/,
      ],
      [
        other(({ shipped }) => {
          shipped.weights[0] = 3
        }),
        /\/enrolment\.json: its typings do not compare/,
      ],
      [
        (dir) => replaceModel(dir, 'gallery.onnx', Uint8Array.of(1)),
        /gallery\.onnx: it is not an ONNX model/,
      ],
      [
        (dir) => replaceModel(dir, 'gallery.onnx', bytesOf('plain')),
        /gallery\.onnx: it does not compare: enrolment: /,
      ],
    ] as [(dir: string) => unknown, RegExp][]) {
      const dir = copyModels(t)
      spoil(dir)
      const loading = loadModelSet({ ...all, source: modelFolder(dir), names: ['templates'] })
      await t.rejects(loading, { code: 'KSR_MODEL_FILE', message: reason }, String(reason))
    }
  },
)

t.test(
  'of a set whose models are refused what enrols does not stay open, nor the other way round',
  async (t) => {
    const open = openSessions(t)
    for (const spoil of [
      (dir: string) => rmSync(join(dir, 'templates.onnx')),
      (dir: string) => rmSync(join(dir, 'enrolment.json')),
      (dir: string) => replaceModel(dir, 'gallery.onnx', bytesOf('plain')),
      (dir: string) => replaceModel(dir, 'templates.onnx', bytesOf('plain')),
    ]) {
      const dir = copyModels(t)
      spoil(dir)
      await t.rejects(loadModelSet({ ...all, source: modelFolder(dir), names: ['templates', 'svm'] }))
      t.equal(open(), 0, String(spoil))
    }
    const whole = await loadModelSet({ ...all, names: ['svm'] })
    t.equal(open(), 2)
    await whole.release()
    t.equal(open(), 0)
  },
)
