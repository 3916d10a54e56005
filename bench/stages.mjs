// Measures where the time of a request goes: the stages one by one, and the whole as a flame graph: bench/README.md
//
//   node bench/stages.mjs [--write]
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { parseArgs } from 'node:util'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { pino } from 'pino'
import { bestFirst } from '../dist/inference/candidates.js'
import { posterior, statistic } from '../dist/inference/decision.js'
import { summaryRow, timingsRow } from '../dist/keystroke/features.js'
import { timesOf } from '../dist/keystroke/times.js'
import { AJV } from '../dist/plugins/compilers.js'
import { Recognition } from '../dist/schemas/recognition.js'
import { SampleBody } from '../dist/schemas/sample.js'
import { shared } from '../dist/schemas/shared.js'
import { callTree, flameGraph, shares } from './lib/flame.mjs'
import { saturate } from './lib/load.mjs'
import { machine } from './lib/machine.mjs'
import { table } from './lib/report.mjs'
import { moveToClientCore, node, startServer, stopAll } from './lib/server.mjs'
import { keystrokes, predictions, summaries, timingRows } from './lib/typings.mjs'

const OF_SUMMARIES = ['svm', 'rf', 'xgb', 'summary']
const OF_KEYSTROKES = ['templates', 'trees']
const BATCHES = [1, 8, 32]
const KEYS = 13
const CLASSES = 110
const COMPARISON = { own: 1, cohort: 0.8, temperature: 2 }
const REPEATS = 60
const ROUND_MS = 3
const PROFILED = 'rf'

const { values: options } = parseArgs({ options: { write: { type: 'boolean', default: false } } })
moveToClientCore()
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))
process.once('exit', stopAll)
// As the service does, before the runtime starts.
process.env.ORT_DISABLE_TELEMETRY = '1'

// Fastify's own parser and compilers, with the service's settings.
const require = createRequire(createRequire(import.meta.url).resolve('fastify'))
const { parse } = require('secure-json-parse')
const components = Object.fromEntries(shared.map((schema) => [schema.$id, schema]))
const validate = require('@fastify/ajv-compiler')()(components, AJV)({ schema: SampleBody, httpPart: 'body' })
const serialise = require('@fastify/fast-json-stringify-compiler')()(components, {})({
  schema: JSON.parse(JSON.stringify(Recognition)),
})
const log = pino({ level: 'info' }, { write() {} })

const texts = {
  summary: summaries.map((body) => JSON.stringify(body)),
  raw: keystrokes.map((body) => JSON.stringify(body)),
}
const bodies = { summary: summaries, raw: keystrokes }
const rows = summaries.map((body) => summaryRow(body, KEYS))
const scores = Float32Array.from({ length: CLASSES }, (_, i) => ((i * 37) % CLASSES) / CLASSES)
const evidence = Array.from(scores, (score) => 20 * score)
const answer = { user: 84, model: 'rf', version: '000000000000' }
const candidates = bestFirst(scores, 3, 5).map((user) => ({
  user,
  score: Math.round(scores[user] * 1e6) / 1e6,
}))
const line = { method: 'POST', route: '/predict/:model', status: 200, ms: 0.123 }
const safely = { protoAction: 'error', constructorAction: 'error' }

const stages = [
  ['parse the JSON', ...both((kind) => (i) => parse(texts[kind][i], null, safely))],
  ['validate', ...both((kind) => (i) => validate(bodies[kind][i]))],
  ['features', ...both((kind) => (i) => summaryRow(bodies[kind][i], KEYS))],
  ['features of a model of raw keystrokes', '', alone(timings)],
  ['confidence and statistic of one of 110 users', '', alone(decide)],
  ['best five of 110 scores, where asked', ...twice(() => bestFirst(scores, 3, 5))],
  ['serialise the answer', ...twice(() => serialise(answer))],
  ['the same with five candidates', ...twice(() => serialise({ ...answer, candidates }))],
  ['make the log line', ...twice(() => log.child({ reqId: 'c0ffee' }).info(line, 'request completed'))],
]

const runs = []
for (const model of [...OF_SUMMARIES, ...OF_KEYSTROKES]) {
  const raw = OF_KEYSTROKES.includes(model)
  const bytes = readFileSync(new URL(`../models/${model}.onnx`, import.meta.url))
  const session = await InferenceSession.create(bytes, {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
  })
  for (const outputs of raw ? [['scores']] : [['label'], ['label', 'scores']]) {
    const cells = []
    for (const size of BATCHES) {
      const of = raw ? timingRows : rows
      const run = (i) => session.run({ input: tensor(size, i * size, of) }, outputs)
      cells.push((await fastest(run)) / size)
    }
    runs.push([`${model}, ${outputs.join(' and ')}`, ...cells.map(microseconds)])
  }
  await session.release()
}
const tensors = []
for (const size of BATCHES) tensors.push((await fastest((i) => tensor(size, i))) / size)

const constant = await startServer(node('service', { CONSTANT: '1' }))
const service = await startServer(node('service'))
const whole = []
for (const [name, server, load] of [
  ['empty route', constant, predictions('constant', { check: false })],
  ...OF_SUMMARIES.map((model) => [model, service, predictions(model)]),
  ...[...OF_KEYSTROKES, 'best'].map((model) => [model, service, predictions(model, { bodies: keystrokes })]),
]) {
  const settings = { connections: 32, warmUp: 1, seconds: 3 }
  await saturate({ ...load, port: server.port }, settings)
  const before = server.cpu()
  const { requests } = await saturate({ ...load, port: server.port }, settings)
  whole.push([name, (((server.cpu() - before) * 1000) / requests).toFixed(1)])
}
await service.ask('start profile')
await saturate({ ...predictions(PROFILED), port: service.port }, { connections: 32, warmUp: 0, seconds: 5 })
const { profile } = await service.ask('stop profile')
const tree = callTree(profile)
const kinds = [...shares(tree)].map(([kind, share]) => [kind, `${(100 * share).toFixed(0)} %`])

const text = `# Where the time of a request goes

## Stages

Time of each alone, µs, the fastest of ${REPEATS} rounds.

${table(['', 'eight numbers', 'raw keystrokes'], stages)}

Per row, by rows in a run (an ONNX Runtime call through its Node binding):

${table(['', ...BATCHES.map(String)], [['make the tensor', ...tensors.map(microseconds)], ...runs])}

## The whole

CPU time of the server per request at saturation, 32 connections; what the stages don't account for is HTTP, Fastify and
the kernel.

${table(['', 'µs'], whole)}

## Flame graph

Of the server answering \`/predict/${PROFILED}\` at saturation; point at a frame for its share.

![Flame graph](flame.svg)

${table(['time by what runs', ''], kinds)}

## Where

- ${machine()}
- Node ${process.version}

\`\`\`sh
npm run bench:stages -- --write
\`\`\`
`
console.log(text)
if (options.write) {
  await writeFile(new URL('results/stages.md', import.meta.url), text)
  const title = `POST /predict/${PROFILED}, 32 connections, as fast as it can`
  await writeFile(new URL('results/flame.svg', import.meta.url), flameGraph(tree, title))
}
await Promise.all([constant.stop(), service.stop()])

function tensor(size, i, of = rows) {
  const width = of[0].length
  const data = new Float32Array(size * width)
  for (let place = 0; place < size; place++) data.set(of[(i + place) % of.length], place * width)
  return new Tensor('float32', data, [size, width])
}

function timings(i) {
  return timingsRow(timesOf(keystrokes[i % keystrokes.length].keystrokes, KEYS))
}

function decide(i) {
  const user = i % CLASSES
  return posterior(evidence, user) + statistic(evidence, user, COMPARISON)
}

function both(stage) {
  return ['summary', 'raw'].map((kind) => {
    const work = stage(kind)
    return microseconds(fastestNow((i) => work(i % texts[kind].length)))
  })
}

function twice(work) {
  const found = alone(work)
  return [found, found]
}

function alone(work) {
  return microseconds(fastestNow(work))
}

/** µs of one call, in the fastest round. */
function fastestNow(work) {
  let best = Number.POSITIVE_INFINITY
  for (let repeat = 0; repeat < REPEATS; repeat++) {
    const start = performance.now()
    let calls = 0
    for (; performance.now() - start < ROUND_MS; calls += 100) for (let i = 0; i < 100; i++) work(calls + i)
    best = Math.min(best, (performance.now() - start) / calls)
  }
  return best * 1000
}

async function fastest(work) {
  let best = Number.POSITIVE_INFINITY
  for (let repeat = 0; repeat < REPEATS; repeat++) {
    const start = performance.now()
    let calls = 0
    for (; performance.now() - start < ROUND_MS; calls += 4) for (let i = 0; i < 4; i++) await work(calls + i)
    best = Math.min(best, (performance.now() - start) / calls)
  }
  return best * 1000
}

function microseconds(value) {
  return value.toFixed(2)
}
