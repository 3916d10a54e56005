// Sends twice as many requests as the service can answer, and looks at what becomes of them: bench/README.md
//
//   node bench/overload.mjs [--seconds 60] [--models best,rf] [--write] [--check]
import { writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { parseArgs } from 'node:util'
import { flood } from './lib/flood.mjs'
import { saturate } from './lib/load.mjs'
import { positive } from './lib/options.mjs'
import { overloadGoals, overloadReport } from './lib/overload-report.mjs'
import { moveToClientCore, service, startServer, stopAll } from './lib/server.mjs'
import { median, percentile, theilSen } from './lib/statistics.mjs'
import { keystrokes, predictions, summaries } from './lib/typings.mjs'

const CONNECTIONS = 64
/** As many as callers of their own would have. */
const FLOOD_CONNECTIONS = 512
const PEAK = { runs: 5, seconds: 1, warmUp: 0.5 }
const UNLOADED_SHARE = 0.1
const OVERLOAD = 2
const REST_MS = 3000

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    models: { type: 'string', default: 'best,rf' },
    write: { type: 'boolean', default: false },
    check: { type: 'boolean', default: false },
  },
})
const seconds = positive(options, 'seconds')

moveToClientCore()
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))
process.once('exit', stopAll)

const figures = {}
for (const model of options.models.split(',')) figures[model] = await measure(model)

const goals = overloadGoals(figures, options.check)
if (options.check) {
  for (const { met, line } of goals) console.log(`${met ? 'ok' : 'not ok'} ${line}`)
  const passed = goals.filter(({ met }) => met).length
  console.log(`${passed} passed, ${goals.length - passed} failed`)
  process.exit(passed < goals.length ? 1 : 0)
}
const text = overloadReport(figures, goals, { seconds, connections: FLOOD_CONNECTIONS })
console.log(text)
if (options.write) await writeFile(new URL('results/overload.md', import.meta.url), text)
process.exit()

async function measure(model) {
  // The eight numbers where that is what the model looks at: their answers are held against those of training.
  const bodies = ['svm', 'rf', 'xgb', 'summary'].includes(model) ? summaries : keystrokes
  const server = await startServer(service())
  const load = { ...predictions(model, { bodies }), port: server.port }
  const peaks = []
  const measurePeak = async () => {
    for (let run = 0; run < PEAK.runs; run++) {
      const before = server.cpu()
      const { rate, requests } = await saturate(load, { connections: CONNECTIONS, ...PEAK })
      peaks.push({ rate, micros: ((server.cpu() - before) * 1000) / requests })
    }
    return median(peaks.map(({ rate }) => rate))
  }
  const before = await measurePeak()
  const rate = before * UNLOADED_SHARE
  const unloaded = await flood(load, { connections: CONNECTIONS, rate, seconds: Math.min(seconds, 20) })

  const watch = watchServer(server)
  const cpu = server.cpu()
  const found = await flood(load, { connections: FLOOD_CONNECTIONS, rate: OVERLOAD * before, seconds })
  const busy = (server.cpu() - cpu) / (seconds * 1000)
  const { rss, health } = watch.stop()
  await new Promise((rested) => setTimeout(rested, REST_MS))
  const after = await askHealth(server.port)
  // A machine that others use, too, is not as fast at all times.
  const peak = await measurePeak()
  await server.stop()
  return {
    peak,
    sent: OVERLOAD * before,
    micros: median(peaks.map(({ micros }) => micros)),
    busy,
    goodput: found.answered / seconds,
    refusedShare: found.refused / found.due,
    unloaded: spread(unloaded.latencies),
    accepted: spread(found.latencies),
    refused: spread(found.refusalLatencies),
    broken: found.broken,
    unanswered: found.unanswered,
    lateMs: found.lateMs,
    rss: { first: rss[0], last: rss.at(-1), perMinute: 60 * growth(rss.slice(rss.length >> 2)) },
    health: {
      asked: health.length,
      inTime: health.filter(({ status, ms }) => status === 200 && ms < 1000).length,
      // It takes a moment to be sure of an overload.
      truthful: health.slice(2).filter(({ body }) => body.status === 'overloaded').length,
      slowest: Math.max(...health.map(({ ms }) => ms)),
      after: after.body.status,
    },
  }
}

/** Bytes a second; a short look can't tell. */
function growth(rss) {
  return rss.length < 10 ? 0 : theilSen(rss.map((bytes, second) => [second, bytes])).slope
}

function spread(latencies) {
  return { p50: percentile(latencies, 0.5), p99: percentile(latencies, 0.99) }
}

/** Looks every second at how much memory the server has, and asks it how it is. */
function watchServer(server) {
  const rss = []
  const health = []
  const timer = setInterval(() => {
    rss.push(server.rss())
    askHealth(server.port).then((answer) => health.push(answer))
  }, 1000)
  return {
    stop() {
      clearInterval(timer)
      return { rss, health }
    },
  }
}

function askHealth(port) {
  const began = performance.now()
  return new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port, path: '/health' }, async (answer) => {
      let body = ''
      for await (const chunk of answer) body += chunk
      resolve({ status: answer.statusCode, ms: performance.now() - began, body: JSON.parse(body) })
    })
      .on('error', reject)
      .end()
  })
}
