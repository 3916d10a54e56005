// Exchanges models and restarts the service, under load, and counts what becomes of every request: bench/README.md
//
//   node bench/reload.mjs [--reloads 100] [--restarts 20] [--memory 500] [--write]
import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { startCallers } from './lib/callers.mjs'
import { killServices, startService } from './lib/lifecycle.mjs'
import { machine } from './lib/machine.mjs'
import { count } from './lib/options.mjs'
import { table } from './lib/report.mjs'
import { freePort, moveToClientCore } from './lib/server.mjs'
import { median, minima, theilSen } from './lib/statistics.mjs'
import { predictions } from './lib/typings.mjs'

const SHIPPED = fileURLToPath(new URL('../models', import.meta.url))
const TYPISTS = fileURLToPath(new URL('../test/fixtures/typists/models', import.meta.url))
const RESULTS = new URL('results/reload.md', import.meta.url)
const MODEL = 'rf'
const CONNECTIONS = 32
// Of a process that reloads for the first times, not all memory is there to stay.
const WARM_UP = 100
// Less than 10 MB in 500 reloads: what one that kept its sessions would keep in a few.
const MOST_KB = 20
const ANSWERS_BETWEEN = 200

const { values: options } = parseArgs({
  options: {
    reloads: { type: 'string', default: '100' },
    restarts: { type: 'string', default: '20' },
    memory: { type: 'string', default: '500' },
    write: { type: 'boolean', default: false },
  },
})
const reloads = count(options, 'reloads')
const restarts = count(options, 'restarts')
const memory = count(options, 'memory')

const folder = mkdtempSync(join(tmpdir(), 'bench-reload-'))
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))
process.once('exit', () => {
  killServices()
  rmSync(folder, { recursive: true })
})
moveToClientCore()

const current = join(folder, 'current')
const spoilt = spoiltSet()
const exchanged = await exchange()
const flat = await remember()
const restarted = [await restart('1'), await restart('2')]

const lines = report()
console.log(lines)
if (options.write) writeFileSync(RESULTS, lines)
const counts = [exchanged, ...restarted].map((one) => one.counts)
const clean = counts.every(({ lost, failed }) => lost + failed === 0)
process.exit(clean && flat.perReload.most < MOST_KB * 1000 ? 0 : 1)

/** Reloads under load, another set each time and one that is not right after each. */
async function exchange() {
  serve(SHIPPED)
  const port = await freePort()
  const service = await startService({ PORT: String(port), MODEL_DIR: current })
  const sets = new Map()
  const callers = callersOf(port, ({ version }) => sets.set(version, (sets.get(version) ?? 0) + 1))
  const took = []
  for (let i = 0; i < reloads; i++) {
    serve(i % 2 === 0 ? TYPISTS : SHIPPED)
    took.push(await service.reload('reloaded'))
    await answers(callers)
    serve(spoilt)
    await service.reload('reload refused')
    await answers(callers)
  }
  const counts = await callers.stop()
  await service.stop()
  return { counts, took: median(took), sets: sets.size }
}

/** Reloads without load, two sets in turn, and the memory after each second one. */
async function remember() {
  serve(SHIPPED)
  const service = await startService({ PORT: String(await freePort()), MODEL_DIR: current })
  const rss = [service.rss()]
  for (let i = 0; i < WARM_UP + memory; i++) {
    serve(i % 2 === 0 ? TYPISTS : SHIPPED)
    await service.reload('reloaded')
    if (i % 2 === 1) rss.push(service.rss())
  }
  await service.stop()
  const [first] = rss
  const counted = rss.slice(1 + WARM_UP / 2)
  // The least of five: memory goes up and down with collections of garbage.
  const points = minima(counted, 5).map((bytes, i) => [10 * i, bytes])
  const { slope: each, low: least, high: most } = theilSen(points)
  return {
    first,
    counted,
    highest: Math.max(...rss),
    perReload: { each, least, most },
  }
}

/** Stops and starts under load, on the same port. */
async function restart(workers) {
  serve(SHIPPED)
  const port = await freePort()
  const settings = { PORT: String(port), MODEL_DIR: current, WORKERS: workers }
  let service = await startService(settings)
  const callers = callersOf(port, () => {})
  const took = []
  for (let i = 0; i < restarts; i++) {
    await answers(callers)
    const { code, ms } = await service.stop()
    if (code !== 0) throw new Error(`the service ended with ${code}`)
    took.push(ms)
    service = await startService(settings)
  }
  await answers(callers)
  const counts = await callers.stop()
  await service.stop()
  return { workers, counts, took: median(took) }
}

/** What is served is a link, moved in one step. */
function serve(target) {
  const next = join(folder, 'next')
  symlinkSync(target, next)
  renameSync(next, current)
}

/** A set the last model of which does not answer as in training, so that all are opened before it is refused. */
function spoiltSet() {
  const dir = join(folder, 'spoilt')
  cpSync(SHIPPED, dir, { recursive: true })
  const file = join(dir, 'manifest.json')
  const manifest = JSON.parse(readFileSync(file, 'utf8'))
  manifest.models.at(-1).check.score += 1
  writeFileSync(file, JSON.stringify(manifest))
  return dir
}

/** Callers that know what the shipped models answer, and that the others' users have names. */
function callersOf(port, note) {
  const { requests, check } = predictions(MODEL)
  const load = {
    port,
    requests,
    check(body, index) {
      const answer = JSON.parse(body)
      if (typeof answer.user === 'number') check(body, index)
      note(answer)
    },
  }
  return startCallers(load, { connections: CONNECTIONS })
}

async function answers({ counts }) {
  for (const until = counts.answered + ANSWERS_BETWEEN; counts.answered < until; ) await sleep(5)
}

function report() {
  const { first, counted, highest, perReload } = flat
  const mb = (bytes) => `${(bytes / 1e6).toFixed(0)} MB`
  const kb = (bytes) => `${(bytes / 1000).toFixed(1)} kB`
  const row = (name, { counts, took }) => [
    name,
    counts.answered,
    counts.lost,
    counts.failed,
    `${counts.slowestMs.toFixed(0)} ms`,
    `${took.toFixed(0)} ms`,
  ]
  return `# Reloads and restarts

\`npm run bench:reload\`: ${machine()}, Node ${process.version}.

${table(
  ['under load', 'answered', 'lost', 'failed', 'slowest answer', 'took'],
  [
    row(`${reloads} reloads of other models, ${reloads} refused`, exchanged),
    ...restarted.map((one) => row(`${restarts} restarts, WORKERS=${one.workers}`, one)),
  ],
)}

${CONNECTIONS} connections, each with its next request after its last answer, and again on another one where the service has
announced that it closes. *Lost* is what was sent over a connection that was not announced to close, and never answered;
*failed* what was answered with another status than 200, or wrongly. Answers came from ${exchanged.sets} sets.
A reload took so long until the log said so, a restart until the process had ended; medians.

| memory (RSS) | |
| --- | ---: |
| before any reload | ${mb(first)} |
| after ${WARM_UP}, and after ${memory} more | ${mb(counted[0])}, ${mb(counted.at(-1))} |
| at most, after any | ${mb(highest)} |
| growth per reload, of the last ${memory} | ${kb(perReload.each)} |
| between, in 95 of 100 cases | ${kb(perReload.least)} and ${kb(perReload.most)} |
| *goal* | below ${MOST_KB} kB |
`
}
