import { rmSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { loadModelSet } from '../../src/inference/model-set.js'
import { modelFolder } from '../../src/inference/model-source.js'
import type { Recogniser } from '../../src/inference/recogniser.js'
import { copyModels, editManifest, MODELS } from '../fixtures/models.js'
import { CLASSES, tinyModels } from '../fixtures/tiny.js'

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
