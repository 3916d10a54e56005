// Measures the service beside itself with a classifier that does nothing, and beside a bare Fastify: bench/README.md
//
//   node bench/throughput.mjs [--rounds 5] [--seconds 0.7] [--write] [--check]
import { writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { GOALS, misses, report } from './lib/goals.mjs'
import { saturate, steady } from './lib/load.mjs'
import { moveToClientCore, node, startServer, stopAll } from './lib/server.mjs'
import { median, percentile } from './lib/statistics.mjs'
import { keystrokes, predictions, summaries } from './lib/typings.mjs'

const MODELS = ['svm', 'rf', 'xgb']
const CONNECTIONS = 32
const SHARE_OF_SATURATION = 0.7
const WARM_UP_S = 0.15

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '0.7' },
    write: { type: 'boolean', default: false },
    check: { type: 'boolean', default: false },
  },
})
const rounds = Number(options.rounds)
const seconds = Number(options.seconds)

moveToClientCore()
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))
process.once('exit', stopAll)

const bare = await startServer(node('bare'))
const constant = await startServer(node('service', { CONSTANT: '1' }))
const service = await startServer(node('service'))
const rest = service.rss()
const nobody = { check: false }

const loads = {
  bare: { server: bare, ...predictions('constant', nobody) },
  constant: { server: constant, ...predictions('constant', nobody) },
  'constant raw': { server: constant, ...predictions('constant', { bodies: keystrokes }) },
}
for (const model of MODELS) {
  loads[model] = { server: service, ...predictions(model) }
  loads[`${model} top`] = { server: service, ...predictions(model, { query: '?top=5' }) }
  loads[`${model} raw`] = { server: service, ...predictions(model, { bodies: keystrokes }) }
  loads[`${model} same`] = { server: service, ...predictions(model, { bodies: summaries.slice(0, 1) }) }
}

const saturated = await alternate(loads, (load) =>
  measured(load, () => saturate({ ...load, port: load.server.port }, full(CONNECTIONS))),
)
const busy = service.rss()
const single = await alternate(pick(['bare', 'constant', ...MODELS]), (load) =>
  measured(load, () => saturate({ ...load, port: load.server.port }, full(1))),
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

const results = { saturated, single, tails, memory: { rest, busy }, rounds, seconds }
const text = report(results, process.argv.slice(2))
console.log(text)
if (options.write) {
  await writeFile(new URL('results/throughput.md', import.meta.url), text)
}
if (options.check) {
  const missed = misses(results, 0.5)
  for (const line of missed) console.error(`less than half the goal: ${line}`)
  console.log(`${GOALS.length - missed.length} passed, ${missed.length} failed`)
  process.exitCode = missed.length > 0 ? 1 : 0
}
for (const server of [bare, constant, service]) await server.stop()

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

async function measured({ server }, load) {
  const before = await spent(server)
  const { rate, latencies, requests } = await load()
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
  const batches = server === bare ? {} : await server.ask('batches')
  return { cpu: server.cpu(), ...batches }
}
