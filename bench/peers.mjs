// Measures the service beside what others would build of the same models: bench/README.md
//
//   node bench/peers.mjs [--rounds 5] [--seconds 1] [--only fastapi,mlserver] [--write]
import { mkdir, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { barChart } from './lib/bars.mjs'
import { post, saturate } from './lib/load.mjs'
import { machine } from './lib/machine.mjs'
import { count, positive } from './lib/options.mjs'
import { table } from './lib/report.mjs'
import { moveToClientCore, node, pinned, startServer, stopAll } from './lib/server.mjs'
import { median, percentile } from './lib/statistics.mjs'
import { predictions, summaries } from './lib/typings.mjs'
import { peers, preparePeers, versions } from './peers/targets.mjs'

const MODELS = ['svm', 'rf', 'xgb']
const CONNECTIONS = 32
const WARM_UP_S = 0.3
// The answer of the slowest takes so long that a run would count only a handful.
const SECONDS_OF_SLOW = 3
/** What the service does of a peer's requests/s, at least. */
const GOALS = { fastapi: { svm: 6, rf: 8, xgb: 4 } }

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '1' },
    only: { type: 'string', default: peers.map(({ name }) => name).join() },
    write: { type: 'boolean', default: false },
  },
})
const rounds = count(options, 'rounds')
const seconds = positive(options, 'seconds')
const asked = peers.filter(({ name }) => options.only.split(',').includes(name))

const folder = fileURLToPath(new URL('peers/.models/', import.meta.url))
await mkdir(folder, { recursive: true })
await preparePeers(folder)

moveToClientCore()
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))
process.once('exit', stopAll)

const targets = [await ours(), ...(await Promise.all(asked.map(started)))]
const loads = targets.flatMap(({ models, ...target }) => models.map((model) => ({ ...target, model })))
for (const load of loads) load.runs = []
for (let round = 0; round <= rounds; round++) {
  for (let turn = 0; turn < loads.length; turn++) {
    const load = loads[(turn + round) % loads.length]
    const figures = await measured(load)
    if (round > 0) load.runs.push(figures)
  }
  console.error(`round ${round} of ${rounds}${round ? '' : ' (not counted)'}`)
}
const memory = new Map(targets.map(({ name, server }) => [name, server.rss()]))
const text = report()
console.log(text)
if (options.write) {
  await writeFile(new URL('results/peers.md', import.meta.url), text)
  const bars = loads.map(({ name, model, runs }) => [
    `${name}, ${model}`,
    median(runs.map((run) => run.rate)),
  ])
  const chart = barChart('One core, 32 connections', bars, 'requests/s')
  await writeFile(new URL('results/peers.svg', import.meta.url), chart)
}
await Promise.all(targets.map(({ server }) => server.stop()))

async function ours() {
  const server = await startServer(node('service'))
  // The one body that the peers are sent, too.
  const load = (model) => predictions(model, { bodies: summaries.slice(0, 1) })
  return { name: 'this service', title: 'this service', models: MODELS, server, load }
}

async function started({ command, request, check, ...peer }) {
  const server = await startServer((port) => command(port, folder))
  const load = (model) => {
    const { path, body, headers } = request(model)
    return { requests: [post(path, body, headers)], check: (answer) => check(model, JSON.parse(answer)) }
  }
  return { ...peer, server, load }
}

async function measured({ server, model, load, connections = {}, keepAlive = true }) {
  const before = server.cpu()
  const slow = !keepAlive
  const settings = {
    connections: connections[model] ?? CONNECTIONS,
    warmUp: WARM_UP_S,
    seconds: slow ? SECONDS_OF_SLOW : seconds,
  }
  const { rate, latencies, requests } = await saturate({ ...load(model), port: server.port }, settings)
  return {
    rate,
    p99: percentile(latencies, 0.99),
    cpu: ((server.cpu() - before) * 1000) / requests,
  }
}

function report() {
  const of = (name, model, figure) => {
    const load = loads.find((one) => one.name === name && one.model === model)
    return load && median(load.runs.map((run) => run[figure]))
  }
  const cells = (name, cell) => MODELS.map((model) => cell(model, of(name, model, 'rate')))
  const rates = targets.map(({ name, title }) => [
    title,
    ...cells(name, (_model, rate) => rate?.toFixed(0) ?? ''),
    ...cells(name, (model) => of(name, model, 'cpu')?.toFixed(0) ?? ''),
    (memory.get(name) / 1e6).toFixed(0),
  ])
  const ratios = asked.map(({ name, title }) => [
    title,
    ...cells(name, (model, rate) => {
      if (rate === undefined) return ''
      const ratio = of('this service', model, 'rate') / rate
      const goal = GOALS[name]?.[model]
      return `${ratio < 10 ? ratio.toFixed(1) : ratio.toFixed(0)} ×${goal ? ` (goal ${goal}: ${ratio >= goal ? 'met' : '**missed**'})` : ''}`
    }),
  ])
  const used = Object.entries(versions).map(([name, version]) => `${name} ${version}`)
  return `# Beside others

Medians of ${rounds} runs of ${seconds} s each, in turn; ${CONNECTIONS} connections, each with its next request after its last
answer, all with the same typing. What the peers are, and why it is fair: [peers](../peers/README.md).

The original's Flask is measured for 3 s a run, and its rf and xgb over 4 connections. One typing again and again is the
forest's best case: of different ones the service answers a fifth less (see [throughput](throughput.md)).

## Requests per second

${table(['', ...MODELS, ...MODELS.map((model) => `${model}, CPU µs`), 'RSS, MB'], rates)}

![Requests per second](peers.svg)

## This service, times the peer

${table(['', ...MODELS], ratios)}

## Where

- ${machine()}
- Node ${process.version}; ${used.join(', ')}
- ${pinned ? 'The server on one core, the client on another' : 'Neither server nor client bound to a core'}

\`\`\`sh
${['npm run bench:peers', ...(process.argv.length > 2 ? ['--'] : []), ...process.argv.slice(2)].join(' ')}
\`\`\`
`
}
