// Measures what users of one's own cost, by how many there are: bench/README.md
//
//   node bench/enrolment.mjs [--users 10,110,1000,10000] [--rounds 5] [--seconds 0.5] [--write]
import { fork } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { plot } from './enrolment/plot.mjs'
import { report } from './enrolment/report.mjs'
import { randomness, typist } from './enrolment/typists.mjs'
import { bundle, images } from './lib/bundle.mjs'
import { post, saturate } from './lib/load.mjs'
import { count, positive } from './lib/options.mjs'
import { BOTH_CORES, moveToClientCore, service, startServer, stopAll } from './lib/server.mjs'
import { keystrokes, predictions } from './lib/typings.mjs'

const CONNECTIONS = 32
const WARM_UP_S = 0.15
/** As many as the shipped models know: with so many `best` is compared. */
const COMPARED = 110
const STARTS = 11

const { values: options } = parseArgs({
  options: {
    users: { type: 'string', default: '10,110,1000,10000' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '0.5' },
    write: { type: 'boolean', default: false },
  },
})
const users = [...new Set([COMPARED, ...options.users.split(',').map(Number)])].sort((a, b) => a - b)
const rounds = count(options, 'rounds')
const seconds = positive(options, 'seconds')

moveToClientCore()
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))
process.once('exit', stopAll)
const folder = await mkdtemp(join(tmpdir(), 'keystroke-recognition-enrolment-'))
try {
  await run('fill', folder, ...users)
  const costs = []
  for (let round = 0; round < rounds; round++) costs.push(await run('cost', folder, ...users))
  const most = users.at(-1)
  const starts = []
  await bundle(join(folder, 'image'))
  // The first one brings the files into memory.
  for (let start = 0; start <= STARTS; start++) starts.push(await started(most))
  starts.shift()
  const ratio = await compared()
  const enrolled = await enrolments()
  const results = { costs, starts, most, ratio, enrolled, rounds, seconds }
  const text = report(results, process.argv.slice(2))
  console.log(text)
  if (options.write) {
    await writeFile(new URL('results/enrolment.md', import.meta.url), text)
    await writeFile(new URL('results/enrolment.svg', import.meta.url), plot(costs))
  }
} finally {
  await rm(folder, { recursive: true })
}

/** What a script of enrolment/ says at last. */
function run(name, ...args) {
  return new Promise((resolve, reject) => {
    let said
    const child = fork(fileURLToPath(new URL(`enrolment/${name}.mjs`, import.meta.url)), args.map(String))
    child.on('message', (message) => {
      said = message
    })
    child.once('exit', (code) =>
      code === 0 ? resolve(said) : reject(new Error(`${name} ended with ${code}`)),
    )
  })
}

/** From no process to the first answer among so many users, of what an image runs: ms. */
async function started(users) {
  const [file, settings] = [join(folder, 'image/dist/server.js'), { DATA_DIR: folder, LOG_LEVEL: 'warn' }]
  const began = performance.now()
  const server = await startServer(
    (port) => ({ file: process.execPath, args: [file], env: images({ ...settings, PORT: String(port) }) }),
    BOTH_CORES,
  )
  const readyMs = performance.now() - began
  const answer = await asked(server.port, `/texts/text-${users}/identify`, typist(randomness(1))())
  if (!answer.ok) throw new Error(await answer.text())
  const answeredMs = performance.now() - began
  await server.stop()
  return { readyMs, answeredMs }
}

/** Identification among COMPARED users beside the stateless route, by turns: requests per second of each. */
async function compared() {
  const server = await startServer(service({ DATA_DIR: folder, LOG_LEVEL: 'warn', VERIFY_FAILURES: '0' }))
  const check = () => {}
  const text = `/texts/text-${COMPARED}`
  const claims = keystrokes.map((body, i) => ({ user: `user-${i % COMPARED}`, ...body }))
  const loads = {
    best: predictions('best', { bodies: keystrokes }),
    identify: { requests: await unrecognised(server.port, `${text}/identify`, keystrokes), check },
    verify: { requests: await unrecognised(server.port, `${text}/verify`, claims), check },
  }
  const rates = Object.fromEntries(Object.keys(loads).map((name) => [name, []]))
  for (let round = 0; round <= rounds; round++) {
    for (const [name, load] of Object.entries(loads)) {
      const { rate } = await saturate(
        { ...load, port: server.port },
        { connections: CONNECTIONS, warmUp: WARM_UP_S, seconds },
      )
      if (round > 0) rates[name].push(rate)
    }
  }
  await server.stop()
  return rates
}

/** Those of the bodies in which nobody is recognised: who is can't send the same again. */
async function unrecognised(port, path, bodies) {
  const kept = []
  for (const body of bodies) {
    const { decision, match } = await (await asked(port, path, body)).json()
    if (decision === 'unknown' || match === false) kept.push(post(path, body))
  }
  return kept
}

function asked(port, path, body) {
  const headers = { 'content-type': 'application/json' }
  return fetch(`http://127.0.0.1:${port}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
}

/** Samples a second that are enrolled and durable. */
async function enrolments() {
  const own = await mkdtemp(join(tmpdir(), 'keystroke-recognition-enrolment-'))
  const server = await startServer(service({ DATA_DIR: own, LOG_LEVEL: 'warn', MAX_ENROLLED: '100000' }))
  try {
    await fetch(`http://127.0.0.1:${server.port}/texts/text`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ keys: 13 }),
    })
    const random = randomness(7)
    const rates = []
    for (let round = 0; round < rounds; round++) {
      // More than can be enrolled in the time: each is sent once.
      const requests = Array.from({ length: Math.ceil(6000 * (seconds + WARM_UP_S)) }, (_, i) =>
        post(`/texts/text/users/user-${round}-${i}/samples`, typist(random)()),
      )
      const statuses = requests.map(() => 201)
      const load = { port: server.port, requests, statuses, check() {} }
      rates.push((await saturate(load, { connections: CONNECTIONS, warmUp: WARM_UP_S, seconds })).rate)
    }
    return rates
  } finally {
    await server.stop()
    await rm(own, { recursive: true })
  }
}
