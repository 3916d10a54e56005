// What the sessions of a composed model cost, without the service around them: CPU time of this process, which on a
// quiet machine is wall time, for all the work is one thread's.
import { Tensor } from 'onnxruntime-node'
import { loadConfig } from '../../dist/config.js'
import { readManifest, readPinned } from '../../dist/inference/manifest.js'
import { modelFolder } from '../../dist/inference/model-source.js'
import { openSession } from '../../dist/inference/session.js'
import { median } from './statistics.mjs'
import { timingRows } from './typings.mjs'

const BATCH = 64
const OPENED = 5
const RUNS = 200

/** @returns `openMs`, from the files to the sessions, and `rowMicros` in a batch of 64 */
export async function askSessions(name) {
  const source = modelFolder(loadConfig().modelDir)
  const manifest = await readManifest(source)
  const { members } = manifest.models.find((entry) => entry.name === name)
  const entries = members.map(({ model }) => manifest.models.find((entry) => entry.name === model))
  const options = { classes: manifest.classes, width: manifest.features.timings.length }
  const open = async () => {
    const sessions = []
    for (const entry of entries) {
      sessions.push(await openSession(entry, await readPinned(source, entry.file, manifest), options))
    }
    return sessions
  }
  const release = (sessions) => Promise.all(sessions.map((session) => session.release()))

  // What only the first sessions of a process cost is no model's.
  await release(await open())
  const opened = []
  for (let time = 0; time < OPENED; time++) {
    const start = cpu()
    const sessions = await open()
    opened.push(cpu() - start)
    await release(sessions)
  }

  const sessions = await open()
  const asked = []
  for (let run = 0; run < RUNS; run++) {
    const input = batch(run, options.width)
    const start = cpu()
    for (const session of sessions) await session.run({ input }, ['scores'])
    asked.push((cpu() - start) / BATCH)
  }
  await release(sessions)
  return { openMs: median(opened), rowMicros: 1000 * median(asked) }
}

/** CPU time that the process has had, ms. */
function cpu() {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

/** Different rows from run to run. */
function batch(run, width) {
  const data = new Float32Array(BATCH * width)
  for (let place = 0; place < BATCH; place++) {
    data.set(timingRows[(run * BATCH + place) % timingRows.length], place * width)
  }
  return new Tensor('float32', data, [BATCH, width])
}
