// What test/fuzz/run runs once schemathesis is installed. Ends with 1 where an answer is not what openapi.yaml says, where
// the service logged a fault of its own, or where fewer cases were sent than were asked for.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { parse } from 'yaml'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const SCHEMATHESIS = join(ROOT, 'test/fuzz/.venv/bin/schemathesis')
// Cases that one example more of each operation makes, at the least: those without a parameter have few.
const CASES_AN_EXAMPLE = 11
const PROPERTIES = ['test/lambda-fuzz.test.ts', 'test/routes/any-body.test.ts']

const { values: options } = parseArgs({
  options: {
    cases: { type: 'string', default: '20000' },
    properties: { type: 'string', default: '100000' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
  },
})
const [cases, properties, seed] = ['cases', 'properties', 'seed'].map(whole)
console.log(`cases ${cases}, properties ${properties}, seed ${seed}`)

const folder = await mkdtemp(join(tmpdir(), 'fuzz-'))
const faults = []
try {
  if (cases > 0) faults.push(...(await askService()))
  if (properties > 0) faults.push(...(await askProperties()))
} finally {
  await rm(folder, { recursive: true })
}
for (const fault of faults) console.log(`FAULT: ${fault}`)
process.exitCode = faults.length > 0 ? 1 : 0

/** @returns what is wrong with the service, by its answers to schemathesis, and by its log */
async function askService() {
  const { server, url, log } = await startService()
  await enrol(url)
  const report = join(folder, 'report.json')
  const words = [
    ...['--config-file', join(ROOT, 'schemathesis.toml'), 'run', join(ROOT, 'openapi.yaml'), '--url', url],
    ...['--checks', 'all', '--seed', seed, '--max-examples', Math.ceil(cases / CASES_AN_EXAMPLE)],
    ...['--report', 'json', '--report-json-path', report, '--no-color'],
  ]
  // The configuration names its hooks from here.
  const tester = spawn(SCHEMATHESIS, words.map(String), {
    cwd: ROOT,
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  const [status] = await once(tester, 'exit')
  const health = await fetch(`${url}/health`).then(
    (answer) => answer.status,
    (error) => error.message,
  )
  const ended = once(server, 'exit')
  server.kill()
  const [code] = await ended

  const found = []
  if (status !== 0) found.push(`schemathesis ended with ${status}`)
  if (health !== 200) found.push(`after it health was ${health}`)
  if (code !== 0) found.push(`the service ended with ${code}`)
  const lines = log().trim().split('\n')
  found.push(...lines.filter((line) => JSON.parse(line).level >= 50).slice(0, 10))
  const answers = lines
    .filter((line) => line.includes('"msg":"request completed"'))
    .map((line) => JSON.parse(line))
  console.log(table(answers))
  if (!existsSync(report)) return [...found, 'there is no report']
  const { test_cases, operations, failures, errors, phases } = JSON.parse(await readFile(report, 'utf8'))
  console.log(
    `${test_cases.generated} cases for ${operations.tested} of ${operations.total} operations, ` +
      `${answers.length} requests answered, ${test_cases.unique_failures} failures, seed ${seed}`,
  )
  // The report's own word, and the service's: neither may be less.
  if (Math.min(test_cases.generated, answers.length) < cases)
    found.push(`fewer than ${cases} cases were sent`)
  if (operations.tested < operations.total) found.push('not every operation was tested')
  if (failures.length + errors.length > 0) found.push('there are failures')
  for (const [phase, { status }] of Object.entries(phases)) {
    if (status !== 'success') found.push(`the phase ${phase}: ${status}`)
  }
  return found
}

/** How often each route answered what. */
function table(answers) {
  const counts = new Map()
  for (const { method, route = 'nowhere', status } of answers) {
    const answer = `${method} ${route}: ${status}`
    counts.set(answer, (counts.get(answer) ?? 0) + 1)
  }
  const rows = [...counts].map(([answer, count]) => `${answer} × ${count}`)
  return rows.sort().join('\n')
}

async function startService() {
  const server = spawn(process.execPath, [join(ROOT, 'dist/server.js')], {
    env: {
      ...process.env,
      PORT: '0',
      DATA_DIR: join(folder, 'data'),
      // As many samples as may be are more bytes than are read: an operator's setting, and no fault.
      BATCH_BODY_LIMIT: String(64 * 1024 * 1024),
      LOG_LEVEL: 'info',
      // Pauses after false claims, and what an overloaded machine refuses, are no matter of the contract.
      VERIFY_FAILURES: '0',
      OVERLOAD_MS: '0',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  process.once('exit', () => server.kill('SIGKILL'))
  let log = ''
  server.stdout.setEncoding('utf8').on('data', (chunk) => {
    log += chunk
  })
  const listening = /Server listening at (http:\/\/127\.0\.0\.1:\d+)/
  while (!listening.test(log)) {
    if (server.exitCode !== null) throw new Error('the service does not start')
    await Promise.race([once(server.stdout, 'data'), once(server, 'exit')])
  }
  return { server, url: listening.exec(log)[1], log: () => log }
}

/** Makes the text of the examples, and enrols their user: of texts that are not there nothing is reached. */
async function enrol(url) {
  const { paths } = parse(await readFile(join(ROOT, 'openapi.yaml'), 'utf8'))
  const text = paths['/texts/{text}'].put
  const samples = paths['/texts/{text}/users/{user}/samples'].post
  for (const [method, path, { requestBody }] of [
    ['PUT', '/texts/motto', text],
    ['POST', '/texts/motto/users/anna/samples', samples],
  ]) {
    const [{ value }] = Object.values(requestBody.content['application/json'].examples)
    const headers = { 'content-type': 'application/json' }
    const { ok, status } = await fetch(url + path, { method, headers, body: JSON.stringify(value) })
    if (!ok) throw new Error(`${method} ${path} was answered ${status}`)
  }
}

async function askProperties() {
  const words = ['tap', 'run', '--disable-coverage', '--jobs=1', '--timeout=3600', ...PROPERTIES]
  const env = { ...process.env, FUZZ_RUNS: properties, FUZZ_SEED: seed }
  const [status] = await once(spawn('npx', words, { cwd: ROOT, env, stdio: 'inherit' }), 'exit')
  return status === 0 ? [] : [`tap ended with ${status}`]
}

function whole(name) {
  if (!/^\d+$/.test(options[name])) throw new Error(`--${name} ${options[name]}: not a whole number`)
  return Number(options[name])
}
