import { rmSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { loadModelSet } from '../../src/inference/model-set.js'
import { copyModels, MODELS } from '../fixtures/models.js'

const all = { dir: MODELS, names: [], hideScores: [] }

t.test('without names every model of the manifest is loaded, in its order', async (t) => {
  const { manifest, classifiers } = await loadModelSet(all)
  t.same(
    [...classifiers.keys()],
    manifest.models.map(({ name }) => name),
  )
})

t.test('only the models that are named are loaded, and only their files are needed', async (t) => {
  const dir = copyModels(t)
  rmSync(join(dir, 'rf.onnx'))
  const { classifiers } = await loadModelSet({ dir, names: ['xgb', 'svm'], hideScores: [] })
  t.same([...classifiers.keys()], ['svm', 'xgb'])
})

t.test('a name that the manifest does not have is refused, with the ones it has', async (t) => {
  const reason = { code: 'KSR_CONFIG', message: /MODELS names "rfc", the manifest has svm, rf, xgb/ }
  await t.rejects(loadModelSet({ ...all, names: ['rf', 'rfc'] }), reason)
  const hidden = { code: 'KSR_CONFIG', message: /HIDE_SCORES names "forest"/ }
  await t.rejects(loadModelSet({ ...all, hideScores: ['forest'] }), hidden)
})
