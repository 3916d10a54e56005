// What the images run, without an image.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

/** Makes in a folder what both images hold, as the Dockerfile makes it, for this machine's Node. */
export async function bundle(folder) {
  const run = promisify(execFile)
  const maker = fileURLToPath(new URL('../../deploy/image/bundle.mjs', import.meta.url))
  await run(process.execPath, [maker, folder])
  await run(process.execPath, [join(folder, 'dist/warm.mjs')], { env: { ...process.env, ...images() } })
}

/** The images' own settings, and the service's defaults, whatever the shell has. */
export function images(settings = {}) {
  const models = fileURLToPath(new URL('../../models', import.meta.url))
  const defaults = { MODELS: '', MODEL_DIR: models, LOG_LEVEL: 'info' }
  return {
    NODE_ENV: 'production',
    MALLOC_TRIM_THRESHOLD_: '131072',
    TOKIO_WORKER_THREADS: '1',
    ...defaults,
    ...settings,
  }
}
