// Opens one model as the service does and asks it, in a process of its own; writes what that cost as JSON. Times are
// CPU time of the process, which on a quiet machine is wall time: all the work is one thread's.
//
//   node --expose-gc measure-model.mjs '{"file": …, "rows": …, "batches": [1, 8], "seconds": 0.2, "memory": 4e9}'
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { reasonToRefuse } from '../../dist/inference/onnx-file.js'

process.env.ORT_DISABLE_TELEMETRY = '1'
const { InferenceSession, Tensor } = await import('onnxruntime-node')

const FEATURES = 8
// As in src/inference/session.ts.
const SESSION_OPTIONS = {
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  executionMode: 'sequential',
  graphOptimizationLevel: 'all',
  logSeverityLevel: 3,
}
const OUTPUTS = { label: ['label'], scores: ['label', 'scores'] }
const BLOCK_MS = 10
const LEAST_BLOCKS = 3

const { file, rows, batches, seconds, memory } = JSON.parse(process.argv[2])
const typed = readFileSync(rows)
const features = new Float32Array(typed.buffer, typed.byteOffset, typed.length / 4)

const start = cpu()
const bytes = readFileSync(file)
createHash('sha256').update(bytes).digest('hex')
const reason = reasonToRefuse(bytes)
if (reason) throw new Error(`${file}: ${reason}`)
const checked = cpu()

// What only the first session of a process costs is no model's.
const other = readFileSync(fileURLToPath(new URL('../../models/svm.onnx', import.meta.url)))
await InferenceSession.create(other, SESSION_OPTIONS)

globalThis.gc()
forgetPeak()
const before = process.memoryUsage.rss()
const opening = cpu()
const session = await InferenceSession.create(bytes, SESSION_OPTIONS)
const opened = cpu()
const peak = peakRss()
globalThis.gc()
const settled = process.memoryUsage.rss()

const found = {
  bytes: bytes.length,
  check: checked - start,
  open: opened - opening,
  rss: settled - before,
  peak: peak - before,
  runs: [],
}
let perRow = 0
for (const batch of batches) {
  const needed = perRow * batch
  if (needed > memory) {
    found.runs.push({ batch, needed })
    continue
  }
  const micros = {}
  forgetPeak()
  for (const [name, outputs] of Object.entries(OUTPUTS)) micros[name] = await microsPerRow(batch, outputs)
  const used = Math.max(0, peakRss() - settled)
  perRow = used / batch
  found.runs.push({ batch, micros, used })
}
console.log(JSON.stringify(found))

/** The median of blocks of runs, each run of other rows where there are enough. */
async function microsPerRow(batch, outputs) {
  const all = features.length / FEATURES
  let run = 0
  const block = async (runs) => {
    const before = cpu()
    for (let left = runs; left > 0; left--, run++) {
      const first = (run * batch) % (all - batch + 1)
      const data = features.slice(first * FEATURES, (first + batch) * FEATURES)
      await session.run({ input: new Tensor('float32', data, [batch, FEATURES]) }, outputs)
    }
    return cpu() - before
  }
  let runs = 1
  for (let took = await block(1); took < BLOCK_MS; took = await block(runs)) runs *= 2
  const times = []
  const end = performance.now() + seconds * 1000
  while (times.length < LEAST_BLOCKS || performance.now() < end) times.push(await block(runs))
  times.sort((a, b) => a - b)
  return (times[times.length >> 1] * 1000) / (runs * batch)
}

/** CPU time that the process has had, ms. */
function cpu() {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

/** Has the kernel start anew with VmHWM. */
function forgetPeak() {
  writeFileSync('/proc/self/clear_refs', '5')
}

/** The most memory that the process has had since, bytes. */
function peakRss() {
  return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1024
}
