// What the service does with a request around the model: by keys of the text, and by users. Writes JSON.
//
//   node measure-requests.mjs '{"folder": …, "keys": [8, 13], "users": [10, 110]}'
import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { buildApp } from '../../dist/app.js'
import { loadConfig } from '../../dist/config.js'
import { bestFirst } from '../../dist/inference/candidates.js'
import { featureOrder, summaryRow } from '../../dist/keystroke/features.js'
import { preferPrecompiled } from '../../dist/plugins/compilers.js'

const MODEL = 'rf'
const ROUTE = '/predict/:model'
const TOP = 5
const INJECTED = 8000
const ROUNDS = 60
const ROUND_MS = 3
const WARM_UP_MS = 200
const SUMMARY = {
  HT: { Mean: 48.43, STD: 23.34 },
  PPT: { Mean: 120.43, STD: 37.41 },
  RRT: { Mean: 124.43, STD: 45.34 },
  RPT: { Mean: 132.56, STD: 47.12 },
}

const { folder, keys, users } = JSON.parse(process.argv[2])
const shipped = resolve(loadConfig({}).modelDir)
const manifest = JSON.parse(await readFile(join(shipped, 'manifest.json'), 'utf8'))
// The parser that Fastify has for JSON.
const fromFastify = createRequire(createRequire(import.meta.url).resolve('fastify'))
const { parse } = fromFastify('secure-json-parse')
const refusing = { protoAction: 'error', constructorAction: 'error' }

const requests = [await request('summary', manifest.keys, SUMMARY)]
for (const count of keys) requests.push(await request(count, count, { keystrokes: typing(count) }))
console.log(JSON.stringify({ requests, candidates: users.map((count) => candidates(count)) }))

/** Each stage of a request alone, µs, and all of it with the router and the model but without a socket. */
async function request(name, count, body) {
  const { app, validate } = await service(count)
  const text = JSON.stringify(body)
  const parsed = parse(text, refusing)
  if (validate(parsed) !== true) throw new Error(`${name}: refused by the schema`)
  const query = {
    method: 'POST',
    url: `/predict/${MODEL}`,
    headers: { 'content-type': 'application/json' },
    payload: text,
  }
  const { statusCode, body: answer } = await app.inject(query)
  if (statusCode !== 200) throw new Error(`${name}: answered ${statusCode}: ${answer}`)
  const found = {
    name,
    bytes: text.length,
    parse: micros(() => parse(text, refusing)),
    validate: micros(() => validate(parsed)),
    features: micros(() => summaryRow(parsed, count)),
    whole: await microsOfEach(() => app.inject(query)),
  }
  await app.close()
  return found
}

/** The service with the shipped model, as if its text had so many keys, and the validator of its bodies. */
async function service(count) {
  const modelDir = join(folder, `keys-${count}`)
  await rm(modelDir, { recursive: true, force: true })
  await mkdir(modelDir, { recursive: true })
  const entries = manifest.models.filter(({ name }) => name === MODEL)
  for (const { file } of entries) await symlink(join(shipped, file), join(modelDir, file))
  const features = { ...manifest.features, timings: featureOrder('timings', count) }
  await writeFile(
    join(modelDir, 'manifest.json'),
    JSON.stringify({ ...manifest, keys: count, features, models: entries }),
  )
  let validate
  const compilers = preferPrecompiled()
  const buildValidator = (shared, options) => {
    const compile = compilers.buildValidator(shared, options)
    return (route) => {
      const made = compile(route)
      if (route.url === ROUTE && route.httpPart === 'body') validate = made
      return made
    }
  }
  const config = { ...loadConfig({}), logLevel: 'silent', modelDir, models: [MODEL] }
  const app = buildApp(config, { compilersFactory: { ...compilers, buildValidator } })
  await app.ready()
  return { app, validate }
}

/** What the best candidates cost to find among the scores of so many users, µs. */
function candidates(count) {
  const random = numbers()
  const classes = Array.from({ length: count }, (_, index) => index + 1)
  const rows = Array.from({ length: 20 }, () => Float32Array.from(classes, random))
  const labels = rows.map((scores) => scores.indexOf(Math.max(...scores)))
  let turn = 0
  const find = () => {
    turn = (turn + 1) % rows.length
    return bestFirst(rows[turn], classes.indexOf(classes[labels[turn]]), TOP)
  }
  return { users: count, micros: micros(find) }
}

function typing(count) {
  const random = numbers()
  let press = 0
  return Array.from({ length: count }, () => {
    press += 90 + Math.round(random() * 1500) / 10
    return { press: tenths(press), release: tenths(press + 60 + random() * 70) }
  })
}

function tenths(time) {
  return Math.round(time * 10) / 10
}

/** The same numbers from 0 to 1 every time. */
function numbers() {
  let state = 20
  return () => {
    state = (state * 48271) % 2147483647
    return state / 2147483647
  }
}

/** The median over rounds of so many calls as take some milliseconds. */
function micros(call) {
  const round = (calls) => {
    const began = performance.now()
    for (let made = 0; made < calls; made++) call()
    return performance.now() - began
  }
  // Until V8 has compiled it for good.
  for (const end = performance.now() + WARM_UP_MS; performance.now() < end; ) call()
  let calls = 1
  while (round(calls) < ROUND_MS) calls *= 2
  return median(Array.from({ length: ROUNDS }, () => (round(calls) * 1000) / calls))
}

async function microsOfEach(call) {
  const times = []
  for (let made = 0; made < INJECTED; made++) {
    const began = performance.now()
    await call()
    if (made >= INJECTED / 2) times.push((performance.now() - began) * 1000)
  }
  return median(times)
}

function median(values) {
  return values.toSorted((a, b) => a - b)[values.length >> 1]
}
