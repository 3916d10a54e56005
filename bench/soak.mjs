// Holds the service under load for minutes, and tells whether it keeps anything of what passes: bench/README.md
//
//   node bench/soak.mjs [--minutes 10] [--write]
import { writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { saturate } from './lib/load.mjs'
import { machine } from './lib/machine.mjs'
import { mixture } from './lib/mixture.mjs'
import { positive } from './lib/options.mjs'
import { table } from './lib/report.mjs'
import { moveToClientCore, pinned, service, startServer, stopAll } from './lib/server.mjs'
import { judge, soak } from './lib/soak.mjs'
import { median, percentile } from './lib/statistics.mjs'

const CONNECTIONS = 32
const SHARE_OF_SATURATION = 0.7
const MB = 1e6
const BOUND = {
  // Nothing that could be kept is smaller than an empty object's 24 bytes: this is one for every sixth request.
  ofRequest: 4,
  // In ten minutes that is more; in half of one the heap does this as it settles.
  inAll: 16 * MB,
}

const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    write: { type: 'boolean', default: false },
  },
})
const minutes = positive(options, 'minutes')
const seconds = minutes * 60

moveToClientCore()
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))
process.once('exit', stopAll)

// Pauses after false claims, and refusals of a busy machine, would be other answers than those that are checked.
const server = await startServer(service({ LOG_LEVEL: 'info', VERIFY_FAILURES: '0', OVERLOAD_MS: '0' }))
const load = { ...mixture, port: server.port }
const begun = server.rss()
// The heap grows to its size under more than it will have to bear.
const full = await saturate(load, { connections: CONNECTIONS, warmUp: seconds / 20, seconds: seconds / 20 })
const rate = SHARE_OF_SATURATION * full.rate
const settings = { connections: CONNECTIONS, rate, warmUp: seconds / 5, seconds }
const found = await soak(server, load, { ...settings, every: Math.min(1000, (seconds * 1000) / 60) })
await server.stop()

const { memory, checks } = judge(found.samples, BOUND)
const text = report()
console.log(text)
if (options.write) await writeFile(new URL('results/soak.md', import.meta.url), text)
for (const [what, figure, most, met] of checks) {
  console.log(`${met ? 'ok' : 'not ok'} ${what}: ${figure.toFixed(2)}, ≤ ${most.toFixed(2)}`)
}
const passed = checks.filter(([, , , met]) => met).length
console.log(`${passed} passed, ${checks.length - passed} failed`)
process.exit(passed < checks.length ? 1 : 0)

function report() {
  const { latencies, samples, answered } = found
  const last = samples.at(-1).rss
  const anHour = (slope) => `${((100 * slope * rate * 3600) / last).toFixed(1)} %`
  const rows = checks.map(([what, figure, most, met]) => [
    what,
    figure.toFixed(2),
    `≤ ${most.toFixed(2)}`,
    met ? 'yes' : '**no**',
  ])
  const tenths = Array.from({ length: 11 }, (_, i) => samples[Math.round((i * (samples.length - 1)) / 10)])
  return `# Soak

${minutes} minutes at ${(100 * SHARE_OF_SATURATION).toFixed(0)} % of the saturating rate, after a warm-up. What is measured, and how: [README](../README.md).

${table(['', 'found', 'bound', 'met'], rows)}

- ${rate.toFixed(0)} requests/s of ${full.rate.toFixed(0)} at saturation, ${answered} in all, ${mixture.described}. Every one was answered as it has to be.
- Memory by the request, Theil–Sen: ${memory.slope.toFixed(2)} bytes, 95 % interval ${memory.low.toFixed(2)} to ${memory.high.toFixed(2)}; of all of it ${anHour(memory.slope)} an hour (${anHour(memory.low)} to ${anHour(memory.high)}).
- Latency: median ${median(latencies).toFixed(2)} ms, p99 ${percentile(latencies, 0.99).toFixed(2)} ms, p99.9 ${percentile(latencies, 0.999).toFixed(2)} ms.
- RSS at rest, before the first request: ${(begun / MB).toFixed(0)} MB.

${table(
  ['million requests', 'RSS, MB', 'file descriptors', 'threads'],
  tenths.map(({ requests, rss, files, threads }) => [
    (requests / 1e6).toFixed(2),
    (rss / MB).toFixed(1),
    files,
    threads,
  ]),
)}

## Where

- ${machine()}
- Node ${process.version}; ${pinned ? 'the server on one core, the client on another' : 'server and client on all cores'}

\`\`\`sh
npm run bench:soak -- ${process.argv.slice(2).join(' ')}
\`\`\`
`
}
