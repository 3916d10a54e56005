// The models to measure: made once by the trainer's code, and again when that has changed since.
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

export const MODELS = ['svm', 'rf', 'xgb']

const TRAINING = fileURLToPath(new URL('../../training/', import.meta.url))
const SOURCE = join(TRAINING, 'keystroke_training')
const MAKE = fileURLToPath(new URL('make_models.py', import.meta.url))
const TIMEOUT_MS = 900_000
// Installs the trainer's packages where they are not.
const RUN = 'source "$0/environment.sh" && PYTHONPATH="$0" exec "$python" "$@"'
const EXPORTERS = { svm: ['svm.py'], rf: ['forest.py'], xgb: ['boosting.py', 'threshold_sums.py'] }

/**
 * The models of so many users each, made in a folder unless they are there.
 * @returns of each its `model`, `users`, `how` it was made, the `seconds` that took, and its `file` with the `rows` to
 * ask it about; no `file` where there can be none
 */
export async function makeModels(folder, users, say) {
  await mkdir(folder, { recursive: true })
  const made = []
  for (const model of MODELS) {
    const source = await sourceOf(model)
    // In ascending order: the size of a small one tells whether a large one can be.
    for (const count of users) {
      const about = await make(folder, model, count, source, say)
      const file = about.made ? join(folder, `${model}-${count}.onnx`) : undefined
      made.push({ ...about, model, users: count, file, rows: join(folder, `rows-${count}.f32`) })
    }
  }
  return made
}

async function make(folder, model, users, source, say) {
  const card = join(folder, `${model}-${users}.json`)
  const known = JSON.parse(await readFile(card, 'utf8').catch(() => '{}'))
  if (known.source === source) return known
  say(`making ${model} for ${users} users`)
  await promisify(execFile)('bash', ['-c', RUN, TRAINING, MAKE, folder, String(users), model], {
    timeout: TIMEOUT_MS,
  })
  const about = { ...JSON.parse(await readFile(card, 'utf8')), source }
  await writeFile(card, JSON.stringify(about))
  return about
}

/** A hash of the code that makes this kind of model. */
async function sourceOf(model) {
  const others = MODELS.filter((other) => other !== model).flatMap((other) => EXPORTERS[other])
  const exporters = (await readdir(join(SOURCE, 'export'))).filter((name) => name.endsWith('.py'))
  const files = [
    MAKE,
    ...['models.py', 'features.py'].map((name) => join(SOURCE, name)),
    ...exporters.filter((name) => !others.includes(name)).map((name) => join(SOURCE, 'export', name)),
  ]
  const hash = createHash('sha256')
  for (const file of files.toSorted()) hash.update(await readFile(file))
  return hash.digest('hex')
}
