import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { build, SUMMARY } from './fixtures/build.js'
import { startCollector } from './fixtures/collector.js'
import { Connection } from './fixtures/connection.js'
import { blockThat } from './fixtures/document.js'
import { checkEmf } from './fixtures/emf.js'
import { captureLog } from './fixtures/log.js'
import { copyModels, editManifest } from './fixtures/models.js'
import { openReader } from './fixtures/reader.js'
import { parseScrape, type Scraped } from './fixtures/scrape.js'
import { output, start } from './fixtures/server.js'

const read = (file: string) => readFileSync(new URL(`../${file}`, import.meta.url), 'utf8')
const page = read('docs/observability.md')

interface Test {
  teardown(close: () => unknown): void
}

/** The rows of the table with this head, cell by cell. */
function rows(head: string): string[][] {
  const [table = ''] = page.split(`\n| ${head} |`)[1]?.split('\n\n') ?? []
  return table
    .split('\n')
    .slice(2)
    .filter((row) => row.startsWith('|'))
    .map((row) =>
      row
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    )
}

/** What stands in code in a text: names. */
const names = (text = '') => [...text.matchAll(/`([^`]+)`/g)].map(([, name]) => name as string)

async function scrapeOf(t: Test): Promise<Map<string, Scraped>> {
  const app = build(t)
  await app.inject({ method: 'POST', url: '/predict/rf', payload: SUMMARY })
  return parseScrape((await app.inject('/metrics')).body)
}

/** The labels of a metric, but for the bounds of buckets. */
function labelsOf({ samples }: Scraped): string[] {
  return [...new Set(samples.flatMap(({ labels }) => Object.keys(labels)))]
    .filter((name) => name !== 'le')
    .sort()
}

t.test('every metric of a scrape is on the page, with its type, unit and labels, and no other', async (t) => {
  const described = rows('metric | type | unit | labels').map(([name, type, unit, labels]) => [
    ...names(name),
    type,
    unit,
    names(labels).sort(),
  ])
  const unitOf = (name: string, type: string) => {
    if (name.endsWith('_info')) return '1'
    const [, unit = 'requests'] = /_(seconds|bytes|rows)(?:_|$)/.exec(name) ?? []
    return type === 'histogram' && name.includes('rows') ? 'rows' : unit
  }
  const found = [...(await scrapeOf(t))].map(([name, family]) => [
    name,
    family.type,
    unitOf(name, family.type),
    labelsOf(family),
  ])
  t.same(described, found)
})

t.test('every action that is audited is on the page, and no other', async (t) => {
  const routes = readdirSync(new URL('../src/routes', import.meta.url)).map((file) =>
    read(`src/routes/${file}`),
  )
  const audited = routes.flatMap((source) =>
    [...source.matchAll(/audit: '([a-z-]+)'/g)].map(([, action]) => action),
  )
  t.same(
    rows('action | outcomes')
      .flatMap(([actions]) => names(actions))
      .sort(),
    [...new Set(audited)].sort(),
  )
})

t.test('names are as Prometheus wants them', async (t) => {
  for (const [name, { type, help }] of await scrapeOf(t)) {
    t.match(name, /^(keystroke|process|nodejs)_[a-z][a-z0-9_]*$/)
    t.equal(name.endsWith('_total'), type === 'counter', name)
    t.notMatch(name, /_(ms|milliseconds|kb|mb)\b/, name)
    t.match(help, /\.$/, name)
  }
})

t.test('the reasons on the page are those that there are', async (t) => {
  const [row] = rows('metric | type | unit | labels').filter(([name]) => name?.includes('refused'))
  const samples = (await scrapeOf(t)).get('keystroke_requests_refused_total')?.samples
  t.same(
    names(row?.at(-1)),
    samples?.map(({ labels }) => labels.reason),
  )
})

t.test('the dashboard asks for metrics that there are, by labels that they have', async (t) => {
  const scraped = await scrapeOf(t)
  const dashboard = JSON.parse(read('docs/grafana.json'))
  const targets = dashboard.panels.flatMap(({ targets }: { targets: { expr: string }[] }) => targets)
  const expressions: string[] = targets.map(({ expr }: { expr: string }) => expr)
  t.ok(expressions.length >= 20)
  const asked = new Set<string>()
  const check = (name: string, labels: string[]) => {
    const family = scraped.get(name) ?? scraped.get(name.replace(/_(bucket|sum|count)$/, ''))
    t.ok(
      family?.samples.some((sample) => sample.name === name),
      name,
    )
    asked.add(name)
    // The instance is added by the scraper.
    const known = [...labelsOf(family as Scraped), ...(name.endsWith('_bucket') ? ['le'] : []), 'instance']
    for (const label of labels) t.ok(known.includes(label), `${label} of ${name}`)
  }
  for (const expression of expressions) {
    const selectors = expression.matchAll(/\b((?:keystroke|process|nodejs)_\w+)(?:\{([^}]*)\})?/g)
    for (const [, name = '', matchers = ''] of selectors) {
      const matched = [...matchers.matchAll(/(\w+)[=!]/g)].map(([, label]) => label as string)
      t.ok(matched.includes('instance'), `${name}: the variable has a say`)
      check(name, matched)
    }
    for (const [, labels = '', name = ''] of expression.matchAll(/by \(([^)]*)\) \((?:rate\()?(\w+)/g)) {
      check(name, labels.split(', '))
    }
  }
  for (const name of scraped.keys()) {
    const found = [...asked].some((one) => one === name || one.replace(/_(bucket|sum|count)$/, '') === name)
    t.ok(found || name === 'nodejs_external_memory_bytes', `${name} is on it`)
  }
  t.match(JSON.stringify(dashboard.templating), /label_values\(keystroke_build_info, instance\)/)
})

t.test('every message that is logged is on the page, and no other', async (t) => {
  const described = rows('message | level | when | fields of its own').map(([message]) => names(message)[0])
  const files = readdirSync(new URL('../src', import.meta.url), { recursive: true }) as string[]
  const sources = files.filter((file) => file.endsWith('.ts')).map((file) => read(`src/${file}`))
  const calls = /\blog\.(?:trace|debug|info|warn|error|fatal)\(\s*(?:\{[^}]*\},|\w+,)?\s*(['"`])(.*?)\1/g
  const logged = sources.flatMap((source) => [...source.matchAll(calls)].map(([, , message]) => message))
  const count = sources.flatMap(
    (source) => source.match(/\blog\.(trace|debug|info|warn|error|fatal)\(/g) ?? [],
  )
  t.equal(logged.length, count.length, 'every call is understood')
  // Fastify's own.
  t.same(described.sort(), [...new Set(logged), 'Server listening at …'].sort())
})

t.test('every field of a line is on the page', async (t) => {
  const described = rows('field').flatMap(([name]) => names(name))
  const lines = [
    ...(await linesOfApp(t)),
    ...(await linesOfServer(t)),
    ...(await linesOfAccess(t)),
    ...(await linesOfReloads(t)),
    ...OF_OVERLOAD,
    ...OF_STORES,
  ]
  const fields = new Set<string>()
  const messages = rows('message | level | when | fields of its own')
  for (const line of lines) {
    const { msg, level } = line
    const row = messages.find(([message]) => names(message)[0] === messageOf(line))
    const levels: Record<number, string> = { 20: 'debug', 30: 'info', 40: 'warn', 50: 'error', 60: 'fatal' }
    t.ok(row?.[1]?.includes(levels[level] as string), `${msg} at ${level}`)
    const own = names(row?.[3])
    for (const field of Object.keys(line)) {
      fields.add(field)
      const common = COMMON.includes(field)
      t.ok(common || own.includes(field), `${field} of ${msg}`)
    }
  }
  const seen = new Set(lines.map(messageOf))
  t.same([...seen].sort(), messages.map(([message]) => names(message)[0]).sort(), 'every message was seen')
  t.same([...fields].sort(), described.sort())
})

const COMMON = ['level', 'time', 'pid', 'hostname', 'reqId', 'traceId', 'caller', 'address', 'msg']

/** As test/plugins/overload.test.ts sees them, which takes its time. */
const OF_OVERLOAD: Line[] = [
  { level: 40, msg: 'overloaded: what can not be answered in time is refused' },
  { level: 40, msg: 'still overloaded', refused: 2 },
  { level: 30, msg: 'no longer overloaded', refused: 3 },
]

/** As test/plugins/idempotency.test.ts sees them, and whoever has a store that fails. */
const OF_STORES: Line[] = [
  { level: 50, msg: 'the answer is not kept for its idempotency key', err: {} },
  { level: 50, msg: 'what is to be forgotten could not be', err: {} },
]

interface Line extends Record<string, unknown> {
  level: number
  msg: string
}
/** The message as the page has it: without the address in it. */
const messageOf = ({ msg }: Line) => msg.replace(/ at http.*/, ' at …')
const parsed = (text: string): Line[] =>
  text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))

/** Every kind of line that requests make. */
async function linesOfApp(t: Test): Promise<Line[]> {
  const logTo = new PassThrough()
  const collector = await startCollector(t)
  const settings = { LOG_LEVEL: 'trace', OTEL_EXPORTER_OTLP_ENDPOINT: collector.url }
  const app = build(t, settings, { logTo })
  app.get('/fails', () => {
    throw new Error('a fault')
  })
  app.get('/never', () => new Promise(() => {}))
  collector.refuse = true
  await app.inject('/health')
  await app.inject({ method: 'POST', url: '/predict/knn', payload: SUMMARY })
  await app.inject({ method: 'PUT', url: '/texts/motto', payload: { keys: 13 } })
  // A file is a place where no store can be.
  const DATA_DIR = fileURLToPath(import.meta.url)
  await build(t, { LOG_LEVEL: 'trace', DATA_DIR }, { logTo }).inject('/texts')
  await app.inject('/fails')
  await app.flushTraces()
  // Where there are hooks on answers, Fastify forgets what broke them off.
  const untraced = build(t, { LOG_LEVEL: 'trace' }, { logTo })
  untraced.get('/broken', (_request, reply) => {
    reply.raw.destroy(new Error('gone'))
  })
  await untraced.inject('/broken').catch(() => {})
  collector.refuse = false
  const connection = await Connection.open(await app.listen({ port: 0 }))
  connection.write('GET /never HTTP/1.1\r\nhost: test\r\n\r\n')
  let text = ''
  logTo.on('data', (lines) => {
    text += lines
  })
  const until = async (message: string) => {
    for (let i = 0; i < 200 && !text.includes(message); i++) {
      await app.inject('/')
      await app.flushTraces()
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }
  await until('traces are sent again')
  connection.destroy()
  await until('request given up')
  return parsed(text)
}

/** What is said of who asks, and of whoever could. */
async function linesOfAccess(t: Test): Promise<Line[]> {
  const { logTo, text } = captureLog()
  const hash = createHash('sha256').update('secret').digest('hex')
  const guarded = build(t, { LOG_LEVEL: 'info', API_KEYS: `app:${hash}` }, { logTo })
  await guarded.inject({ url: '/', headers: { 'x-api-key': 'secret' } })
  await guarded.inject('/')
  const connection = await Connection.open(await guarded.listen({ port: 0, host: '127.0.0.1' }))
  connection.write('no request\r\n\r\n')
  await connection.answer()
  await build(t, { LOG_LEVEL: 'info' }, { logTo }).listen({ port: 0, host: '0.0.0.0' })
  return parsed(text())
}

/** What is said of reloads that exchange something, nothing, or fail. */
async function linesOfReloads(t: Test & Parameters<typeof copyModels>[0]): Promise<Line[]> {
  const { logTo, text } = captureLog()
  const MODEL_DIR = copyModels(t)
  const app = build(t, { LOG_LEVEL: 'info', MODEL_DIR, MODELS: 'rf' }, { logTo })
  await app.ready()
  await app.reload()
  app.onReload(async () => ({
    commit() {},
    release() {
      throw new Error('it can not be freed')
    },
  }))
  editManifest(MODEL_DIR, (manifest) => {
    manifest.ranges.HT = [0, 349]
  })
  await app.reload()
  rmSync(join(MODEL_DIR, 'manifest.json'))
  await app.reload()
  return parsed(text())
}

/** What a process says that is told to stop, and one in which something fails. */
async function linesOfServer(t: Test): Promise<Line[]> {
  const fault = "process.once('message', () => { throw new Error('a fault') })"
  const [told, failing] = [start({}), start({}, `--import=data:text/javascript,${encodeURIComponent(fault)}`)]
  const texts = await Promise.all(
    [told, failing].map(async (server) => {
      t.teardown(() => server.kill('SIGKILL'))
      const exited = once(server, 'exit')
      const listening = await output(server.stdout, /Server listening.*\n/)
      const rest = output(server.stdout)
      if (server === told) server.kill('SIGTERM')
      else server.send('now')
      await exited
      return listening + (await rest)
    }),
  )
  return texts.flatMap(parsed)
}

t.test('every metric of CloudWatch is on the page, with its unit and dimensions, and no other', async (t) => {
  const written: string[] = []
  const settings = { AWS_LAMBDA_FUNCTION_NAME: 'recognition', METRICS: 'on' }
  const app = build(t, settings, { logTo: { write: (line) => written.push(line) } })
  await app.inject({ method: 'POST', url: '/predict/rf', payload: SUMMARY })
  app.metrics.refused('overload')
  app.metrics.flush()
  const found = written
    .map((line) => checkEmf(JSON.parse(line)))
    .flatMap((line) => line._aws.CloudWatchMetrics)
    .flatMap(({ Metrics, Dimensions }) => Metrics.map(({ Name, Unit }) => [Name, Unit, Dimensions[0]]))
  const described = rows('metric | unit | dimensions').map(([name, unit, dimensions]) => [
    ...names(name),
    unit,
    names(dimensions),
  ])
  const byName = (a: unknown[], b: unknown[]) => String(a[0]).localeCompare(String(b[0]))
  t.same(described.sort(byName), found.sort(byName))
})

t.test('every attribute of a span is on the page, and no other', async (t) => {
  const collector = await startCollector(t)
  const app = build(t, { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url })
  await app.inject({ method: 'POST', url: '/predict/rf', payload: SUMMARY })
  await app.flushTraces()
  const found = collector.spans().map(({ name, attributes }) => [name, Object.keys(attributes).sort()])
  const described = rows('span | attributes').map(([name, attributes]) => [
    ...names(name),
    names(attributes).sort(),
  ])
  t.same(described.sort(), found.sort())
})

t.test('the command of the page has the service send traces', async (t) => {
  const collector = await startCollector(t)
  const { text } = blockThat(page, 'OTEL_EXPORTER_OTLP_ENDPOINT')
  t.match(text, 'http://localhost:4318 ')
  const { type } = openReader(t)
  await type(text.replace('http://localhost:4318', collector.url))
  await type(
    "curl -s localhost:3000/predict -H 'content-type: application/json' -d @docs/examples/summary.json",
  )
  while (collector.spans().length < 2) await new Promise((resolve) => setTimeout(resolve, 50))
  const names = collector.spans().map(({ name }) => name)
  t.same(names.sort(), ['POST /predict', 'inference'])
})
