// Measures the service beside itself with a classifier that does nothing, and beside a bare Fastify: bench/README.md
//
//   node bench/throughput.mjs [--rounds 5] [--seconds 0.5] [--write] [--check]
import { writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { barChart } from './lib/bars.mjs'
import { checks, report, sessionGoals } from './lib/goals.mjs'
import { saturate, steady } from './lib/load.mjs'
import { count, positive } from './lib/options.mjs'
import {
  service as asReleased,
  BOTH_CORES,
  moveToClientCore,
  node,
  runScript,
  startServer,
  stopAll,
} from './lib/server.mjs'
import { askSessions } from './lib/sessions.mjs'
import { median, percentile } from './lib/statistics.mjs'
import { keystrokes, predictions, summaries } from './lib/typings.mjs'

const MODELS = ['svm', 'rf', 'xgb']
const OF_SUMMARIES = [...MODELS, 'summary']
const OF_KEYSTROKES = ['templates', 'trees', 'best']
const CONNECTIONS = 32
const SHARE_OF_SATURATION = 0.7
const WARM_UP_S = 0.15
// Of the heaviest model, for the client takes its share of the second core.
const SCALED = 'xgb'
const INVOCATIONS = '1500'

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '0.5' },
    write: { type: 'boolean', default: false },
    check: { type: 'boolean', default: false },
  },
})
const rounds = count(options, 'rounds')
const seconds = positive(options, 'seconds')

moveToClientCore()
const sessions = await askSessions('best')
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))
process.once('exit', stopAll)

const bare = await startServer(node('bare'))
const logging = await startServer(node('bare', { LOG: '1' }))
const constant = await startServer(node('service', { CONSTANT: '1' }))
const service = await startServer(node('service'))
const rest = service.rss()
const nobody = { check: false }

const loads = {
  bare: { server: bare, ...predictions('constant', nobody) },
  'bare, with a log': { server: logging, ...predictions('constant', nobody) },
  constant: { server: constant, ...predictions('constant', nobody) },
  'constant raw': { server: constant, ...predictions('constant', { bodies: keystrokes }) },
}
for (const model of OF_SUMMARIES) {
  loads[model] = { server: service, ...predictions(model) }
  loads[`${model} top`] = { server: service, ...predictions(model, { query: '?top=5' }) }
  loads[`${model} raw`] = { server: service, ...predictions(model, { bodies: keystrokes }) }
  loads[`${model} same`] = { server: service, ...predictions(model, { bodies: summaries.slice(0, 1) }) }
}
for (const model of OF_KEYSTROKES) {
  loads[model] = { server: service, ...predictions(model, { bodies: keystrokes }) }
  loads[`${model} top`] = { server: service, ...predictions(model, { bodies: keystrokes, query: '?top=5' }) }
}

const saturated = await alternate(loads, (load) => measured(load, CONNECTIONS))
if (options.check) {
  for (const server of [bare, logging, constant, service]) await server.stop()
  const found = checks({ saturated })
  for (const { passed, line } of found) console.log(`${passed ? 'ok' : 'not ok'} ${line}`)
  const passed = found.filter((one) => one.passed).length
  console.log(`${passed} passed, ${found.length - passed} failed`)
  for (const cells of sessionGoals(sessions)) console.log(cells.join(', '))
  process.exit(passed < found.length ? 1 : 0)
}

const busy = service.rss()
const single = await alternate(pick(['bare', 'constant', ...OF_SUMMARIES, ...OF_KEYSTROKES]), (load) =>
  measured(load, 1),
)
const tails = {}
for (const model of MODELS) {
  const rate = SHARE_OF_SATURATION * median(saturated[model].map((run) => run.rate))
  tails[model] = await alternate(pick(['constant', model]), async (load) => {
    const settings = { ...full(CONNECTIONS), rate, seconds: 2 * seconds }
    const { latencies } = await steady({ ...load, port: load.server.port }, settings)
    return { rate, p99: percentile(latencies, 0.99), median: percentile(latencies, 0.5) }
  })
}
for (const server of [bare, logging, constant, service]) await server.stop()

const workers = {}
for (const count of [1, 2]) {
  const cores = count === 1 ? undefined : BOTH_CORES
  const server = await startServer(asReleased({ WORKERS: String(count) }), cores)
  workers[count] = { server, ...predictions(SCALED) }
}
const scaled = await alternate(workers, (load) => measured(load, CONNECTIONS))
for (const { server } of Object.values(workers)) await server.stop()

const invocations = await runScript('handler', INVOCATIONS, ...MODELS)

const memory = { rest, busy }
const results = { saturated, single, tails, scaled, invocations, sessions, memory, rounds, seconds }
const text = report(results, process.argv.slice(2))
console.log(text)
if (options.write) {
  await writeFile(new URL('results/throughput.md', import.meta.url), text)
  const bars = Object.entries(saturated).map(([name, runs]) => [name, median(runs.map((run) => run.rate))])
  const chart = barChart('One core, 32 connections', bars, 'requests/s')
  await writeFile(new URL('results/throughput.svg', import.meta.url), chart)
}

function full(connections) {
  return { connections, warmUp: WARM_UP_S, seconds }
}

function pick(names) {
  return Object.fromEntries(names.map((name) => [name, loads[name]]))
}

/** Every load once a round, another one first each time; a round that isn't counted comes before. */
async function alternate(among, run) {
  const names = Object.keys(among)
  const runs = Object.fromEntries(names.map((name) => [name, []]))
  for (let round = 0; round <= rounds; round++) {
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(turn + round) % names.length]
      const figures = await run(among[name])
      if (round > 0) runs[name].push(figures)
    }
  }
  return runs
}

async function measured({ server, ...load }, connections) {
  const before = await spent(server)
  const { rate, latencies, requests } = await saturate({ ...load, port: server.port }, full(connections))
  const after = await spent(server)
  return {
    rate,
    median: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
    // Of the warm-up's requests, too.
    cpu: ((after.cpu - before.cpu) * 1000) / requests,
    batch: (after.rows - before.rows) / (after.runs - before.runs),
  }
}

async function spent(server) {
  const batches = [constant, service].includes(server) ? await server.ask('batches') : {}
  return { cpu: server.cpu(), ...batches }
}
