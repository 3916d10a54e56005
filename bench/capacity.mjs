// Measures what a request, a start and the memory of the service take, and plans with it: bench/README.md
//
//   node bench/capacity.mjs [--rounds 5] [--write]    measures
//   node bench/capacity.mjs --plan [--write]          works out again what follows from what was measured
import { readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { bundle, images } from './lib/bundle.mjs'
import { capacityReport, manualBlocks, scalingBlocks, withBlocks } from './lib/capacity-report.mjs'
import { startEnvironment, stopEnvironments } from './lib/environment.mjs'
import { post, saturate } from './lib/load.mjs'
import { machine } from './lib/machine.mjs'
import { count } from './lib/options.mjs'
import { moveToClientCore, pinned, startServer, stopAll } from './lib/server.mjs'
import { median } from './lib/statistics.mjs'
import { keystrokes, predictions, summaries } from './lib/typings.mjs'

const FIGURES = new URL('results/capacity.json', import.meta.url)
const RESULTS = new URL('results/capacity.md', import.meta.url)
const SCALING = new URL('../docs/scaling.md', import.meta.url)
const MANUAL = new URL('../docs/aws-by-hand.md', import.meta.url)

const OF_KEYSTROKES = ['best', 'templates']
const MODELS = [...OF_KEYSTROKES, 'summary', 'rf', 'xgb', 'svm']
// By the name in the figures: the setting MODELS, and what is asked.
const SERVED = {
  all: { setting: '', asked: MODELS },
  best: { setting: 'best', asked: ['best'] },
  rf: { setting: 'rf', asked: ['rf'] },
}
const HANDLER = 'dist/lambda.js'
const STARTS = 7
const TASK_STARTS = 2
const CONNECTIONS = 64
const SECONDS = { warmUp: 0.1, seconds: 0.35 }
const BACK_TO_BACK = { times: 200 }
// Between two invocations an environment is frozen: the next one finds cold caches.
const RESTED = { times: 25, restMs: 10 }
const WARM_UP = { times: 300 }
const SETTLE_MS = 200

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    plan: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
  },
})
const rounds = count(options, 'rounds')

const figures = options.plan ? JSON.parse(await readFile(FIGURES, 'utf8')) : await measure()
const report = capacityReport(figures)
if (options.write) {
  await writeFile(FIGURES, `${JSON.stringify(figures, null, 2)}\n`)
  await writeFile(RESULTS, report)
  renew(SCALING, scalingBlocks(figures))
  renew(MANUAL, manualBlocks(figures))
}
console.log(options.plan ? withBlocks(await readFile(SCALING, 'utf8'), scalingBlocks(figures)) : report)

/** Reads and writes a page in one step: somebody may have it open. */
function renew(page, blocks) {
  const before = readFileSync(page, 'utf8')
  const after = withBlocks(before, blocks)
  if (after !== before) writeFileSync(page, after)
}

async function measure() {
  const folder = await mkdtemp(join(tmpdir(), 'bench-capacity-'))
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))
  process.once('exit', stopEnvironments)
  process.once('exit', stopAll)
  try {
    await bundle(folder)
    moveToClientCore()
    const starts = await measureStarts(folder)
    const { handler, lambdaLine } = await measureHandler(folder)
    const server = await measureServer(folder)
    const tasks = await measureTasks(folder)
    const bytes = { lambdaLine, ...(await measureBytes(folder)) }
    const where = { machine: machine(), node: process.version, cores: pinned ? 'bound' : 'free' }
    return { where, rounds, starts, handler, server, tasks, bytes }
  } finally {
    await rm(folder, { recursive: true })
  }
}

async function measureStarts(folder) {
  // The first start is what brings the files into memory.
  const { counted } = await alternate(SERVED, STARTS, async ({ setting, asked }) => {
    const environment = await startEnvironment(join(folder, HANDLER), images({ MODELS: setting }))
    const first = await environment.invoke(order(asked[0], { times: 1 }))
    let memory
    for (const model of asked) ({ memory } = await environment.invoke(order(model, BACK_TO_BACK)))
    await environment.stop()
    const { cpuMs, wallMs, rss } = environment.start
    const firstCpuMs = first.found[0].cpu / 1000
    return { cpuMs, wallMs, firstCpuMs, rss, busy: memory.rss, peak: memory.peak }
  })
  return counted
}

async function measureHandler(folder) {
  const environment = await startEnvironment(join(folder, HANDLER), images())
  for (const model of MODELS) await environment.invoke(order(model, WARM_UP))
  const { counted: handler, all } = await alternate(byName(MODELS), rounds, async (model) => {
    const { found: rested } = await environment.invoke(order(model, RESTED))
    const { found: busy } = await environment.invoke(order(model, BACK_TO_BACK))
    return {
      restedMicros: mean(rested, 'cpu'),
      restedWallMicros: mean(rested, 'wall'),
      busyMicros: mean(busy, 'cpu'),
    }
  })
  const lines = MODELS.length * WARM_UP.times + all * (RESTED.times + BACK_TO_BACK.times)
  return { handler, lambdaLine: Math.round((await environment.stop()) / lines) }
}

async function measureServer(folder) {
  const server = await startServer(serverOf(folder))
  const { counted } = await alternate(byName(MODELS), rounds, async (model) => {
    const alone = await loaded(server, model, 1)
    const load = await loaded(server, model, CONNECTIONS)
    return { aloneMicros: alone.micros, loadMicros: load.micros, loadRate: load.rate }
  })
  await server.stop()
  return counted
}

/** The memory of a server. */
async function measureTasks(folder) {
  const { counted } = await alternate(SERVED, TASK_STARTS, async ({ setting, asked }) => {
    const server = await startServer(serverOf(folder, { MODELS: setting }))
    const rss = server.rss()
    for (const model of asked) await loaded(server, model, CONNECTIONS)
    const busy = server.rss()
    await server.stop()
    return { rss, busy }
  })
  return counted
}

/** What goes over the wire and into the log of a server with a prediction by `best`. */
async function measureBytes(folder) {
  const log = join(folder, 'log')
  const { file, args, env } = serverOf(folder)(0)
  const server = await startServer((port) => ({
    file: '/bin/sh',
    args: ['-c', 'exec "$@" >"$LOG"', 'sh', file, ...args],
    env: { ...env, PORT: String(port), LOG: log },
  }))
  const request = post('/predict/best', keystrokes[0], { connection: 'close' })
  const sizes = []
  let response
  for (let time = 0; time < 2; time++) {
    response = await answered(server.port, request)
    // The line is written by the end of the turn that answers.
    await sleep(SETTLE_MS)
    sizes.push((await stat(log)).size)
  }
  await server.stop()
  return { serverLine: sizes[1] - sizes[0], request: request.length, response }
}

/** @returns how many bytes the answer has, its head included */
async function answered(port, request) {
  const socket = connect({ port, host: '127.0.0.1' })
  socket.write(request)
  const answer = Buffer.concat(await socket.toArray())
  if (!answer.includes(' 200 ')) throw new Error(`answered ${answer}`)
  return answer.length
}

async function loaded(server, model, connections) {
  const bodies = OF_KEYSTROKES.includes(model) ? keystrokes : summaries
  const before = server.cpu()
  const load = { port: server.port, ...predictions(model, { bodies }) }
  const { rate, requests } = await saturate(load, { connections, ...SECONDS })
  return { rate, micros: ((server.cpu() - before) * 1000) / requests }
}

function serverOf(folder, settings) {
  const args = [join(folder, 'dist/server.js')]
  return (port) => ({ file: process.execPath, args, env: images({ PORT: String(port), ...settings }) })
}

function order(model, how) {
  return { model, raw: OF_KEYSTROKES.includes(model), ...how }
}

/** Every one once a round, another one first each time; a round that isn't counted comes before. @returns medians, and how many runs there were */
async function alternate(among, times, run) {
  const names = Object.keys(among)
  const runs = Object.fromEntries(names.map((name) => [name, []]))
  for (let round = 0; round <= times; round++) {
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(turn + round) % names.length]
      const figures = await run(among[name])
      if (round > 0) runs[name].push(figures)
    }
  }
  const counted = Object.entries(runs).map(([name, all]) => {
    const keys = Object.keys(all[0])
    return [name, Object.fromEntries(keys.map((key) => [key, tenths(median(all.map((one) => one[key])))]))]
  })
  return { counted: Object.fromEntries(counted), all: (times + 1) * names.length }
}

function byName(names) {
  return Object.fromEntries(names.map((name) => [name, name]))
}

function mean(found, key) {
  return found.reduce((sum, one) => sum + one[key], 0) / found.length
}

function tenths(value) {
  return Math.round(value * 10) / 10
}
