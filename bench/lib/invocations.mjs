// A process that holds the Lambda handler, and invokes it one event at a time, as an execution environment does. Asked
// by messages; what it logs goes to its standard output.
//
//   node bench/lib/invocations.mjs HANDLER
import { readFileSync } from 'node:fs'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'

process.env.AWS_LAMBDA_FUNCTION_NAME = 'keystroke_based_user_recognition'
const { handler } = await import(pathToFileURL(process.argv[2]).href)
process.send({ cpuMs: cpuMicros() / 1000, ...memory() })

const { keystrokes, summaries } = await import('./typings.mjs')
const file = new URL('../../test/fixtures/events/http-v2-default-stage-predict.json', import.meta.url)
const event = JSON.parse(readFileSync(file, 'utf8'))
let asked = 0

process.on('message', async ({ model, raw, times, restMs }) => {
  const found = []
  for (let i = 0; i < times; i++) {
    const next = eventFor(model, raw ? keystrokes : summaries)
    if (restMs) await sleep(restMs)
    const wall = performance.now()
    const cpu = cpuMicros()
    const { statusCode, body } = await handler(next, { awsRequestId: requestId() })
    const wallMicros = (performance.now() - wall) * 1000
    // The log line is written at the end of the turn.
    await turn()
    found.push({ cpu: cpuMicros() - cpu, wall: wallMicros })
    if (statusCode !== 200 || !body.includes(`"${model}"`)) throw new Error(`${model}: ${body}`)
  }
  process.send({ found, ...memory() })
})

/** Another typing each time, as users would send. */
function eventFor(model, bodies) {
  const body = JSON.stringify({ Model: model.toUpperCase(), ...bodies[asked++ % bodies.length] })
  return { ...event, body, headers: { ...event.headers, 'content-length': String(Buffer.byteLength(body)) } }
}

/** As long as those of AWS, for they are in the log lines. */
function requestId() {
  return `00000000-0000-4000-8000-${String(asked).padStart(12, '0')}`
}

function cpuMicros() {
  const { user, system } = process.cpuUsage()
  return user + system
}

/** Now, and at most since the process began. */
function memory() {
  const status = readFileSync('/proc/self/status', 'utf8')
  const bytes = (name) => Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)[1]) * 1024
  return { rss: bytes('VmRSS'), peak: bytes('VmHWM') }
}
