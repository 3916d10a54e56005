import { monitorEventLoopDelay } from 'node:perf_hooks'
import { methodLabel, REFUSALS, type Recorder, type Refusal, type Run, routeLabel } from './recorder.js'

export type Labels = Record<string, string>
/** What stands behind the family's name, the labels, the number. */
export type Sample = [suffix: string, labels: Labels, value: number]

/** The numbers of one name. */
export interface Family {
  name: string
  type: 'counter' | 'gauge' | 'histogram'
  help: string
  samples: Sample[]
}

/** What is looked up when somebody asks, and costs nothing before. */
export interface Sources {
  /** The version of the service. */
  version: string
  models(): readonly { name: string; version: string; sha256?: string }[]
  /** How many requests are being answered. */
  inFlight(): number
  /** How many rows wait for a model, or are in one. */
  rowsWaiting(): number
}

/** Half a millisecond is usual; nobody waits for more than the last. */
const REQUEST_SECONDS = [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]
const RUN_SECONDS = [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1]
const ROWS = [1, 2, 4, 8, 16, 32]

/** How often the event loop is looked at: it is late by what it is late beyond that. */
const LOOK_EVERY_MS = 10
const QUANTILES = [0.5, 0.9, 0.99, 1]

/** Counts numbers by the buckets that they fall into. */
class Histogram {
  readonly #bounds: readonly number[]
  readonly #counts: number[]
  #sum = 0
  count = 0

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds
    this.#counts = bounds.map(() => 0)
  }

  observe(value: number): void {
    this.count++
    this.#sum += value
    const bucket = this.#bounds.findIndex((bound) => value <= bound)
    if (bucket !== -1) (this.#counts[bucket] as number)++
  }

  /** Each bucket holds all that the ones before it do. */
  samples(labels: Labels): Sample[] {
    let below = 0
    const buckets = this.#bounds.map((bound, i): Sample => {
      below += this.#counts[i] as number
      return ['_bucket', { ...labels, le: String(bound) }, below]
    })
    return [
      ...buckets,
      ['_bucket', { ...labels, le: '+Inf' }, this.count],
      ['_sum', labels, this.#sum],
      ['_count', labels, this.count],
    ]
  }
}

/**
 * Counts what happens in a process, for Prometheus. Nothing of it is global, and a request costs no more than to look
 * up where it is counted: names and labels are put together when somebody asks.
 */
export class Metrics implements Recorder {
  readonly #sources: Sources
  readonly #started = Date.now() / 1000 - process.uptime()
  /** By route, method and status. */
  readonly #requests = new Map<string | undefined, Map<string, Histogram[]>>()
  readonly #runs = new Map<string, { rows: Histogram; seconds: Histogram }>()
  readonly #refused = new Map<Refusal, number>(REFUSALS.map((reason) => [reason, 0]))
  readonly #delay = monitorEventLoopDelay({ resolution: LOOK_EVERY_MS })
  #aborted = 0

  constructor(sources: Sources) {
    this.#sources = sources
  }

  /** Begins to look at the event loop. */
  open(): void {
    this.#delay.enable()
  }

  completed(method: string, route: string | undefined, status: number, ms: number): void {
    const statuses = entry(entry(this.#requests, route, newMap), methodLabel(method), newList)
    statuses[status] ??= new Histogram(REQUEST_SECONDS)
    statuses[status].observe(ms / 1000)
  }

  aborted(): void {
    this.#aborted++
  }

  refused(reason: Refusal): void {
    this.#refused.set(reason, (this.#refused.get(reason) as number) + 1)
  }

  ran({ model, rows, ms }: Run): void {
    const of = entry(this.#runs, model, newRuns)
    of.rows.observe(rows)
    of.seconds.observe(ms / 1000)
  }

  /** All that there is to say. The delays of the event loop are those since the last time. */
  collect(): Family[] {
    const { version, models, inFlight, rowsWaiting } = this.#sources
    const requests = [...this.#requests].flatMap(([route, methods]) =>
      [...methods].flatMap(([method, statuses]) =>
        Object.entries(statuses).map(([status, seconds]) => ({
          labels: { method, route: routeLabel(route), status },
          seconds,
        })),
      ),
    )
    const runs = [...this.#runs].map(([model, of]) => ({ labels: { model }, ...of }))
    const delays = QUANTILES.map((quantile): Sample => {
      const late = this.#delay.percentile(100 * quantile) / 1e6 - LOOK_EVERY_MS
      return ['', { quantile: String(quantile) }, Math.max(0, late) / 1000]
    })
    this.#delay.reset()
    const { user, system } = process.cpuUsage()
    const { rss, heapUsed, external } = process.memoryUsage()
    return [
      counter(
        'keystroke_http_requests_total',
        'Requests that were answered.',
        requests.map(({ labels, seconds }) => ['', labels, seconds.count]),
      ),
      histogram(
        'keystroke_http_request_duration_seconds',
        'Time from the head of a request to the end of its answer.',
        requests.flatMap(({ labels, seconds }) => seconds.samples(labels)),
      ),
      gauge('keystroke_http_requests_in_flight', 'Requests that are being answered.', inFlight()),
      counter(
        'keystroke_http_requests_aborted_total',
        'Requests whose callers went away before they were answered.',
        this.#aborted,
      ),
      counter(
        'keystroke_requests_refused_total',
        'Requests that were refused although nothing was wrong with them.',
        [...this.#refused].map(([reason, count]) => ['', { reason }, count]),
      ),
      histogram(
        'keystroke_batch_rows',
        'Rows that shared a run of a model.',
        runs.flatMap(({ labels, rows }) => rows.samples(labels)),
      ),
      histogram(
        'keystroke_inference_duration_seconds',
        'Time of a run of a model.',
        runs.flatMap(({ labels, seconds }) => seconds.samples(labels)),
      ),
      gauge(
        'keystroke_rows_waiting',
        'Rows that wait for a run of their model, or are in one.',
        rowsWaiting(),
      ),
      gauge(
        'keystroke_event_loop_delay_seconds',
        'How late the event loop was, by quantile, since the last scrape.',
        delays,
      ),
      gauge(
        'keystroke_model_info',
        'The models that are served.',
        models().map(({ name, version, sha256 = '' }) => ['', { model: name, version, sha256 }, 1]),
      ),
      gauge('keystroke_build_info', 'The version of the service, and of Node.', [
        ['', { version, node: process.version }, 1],
      ]),
      counter('process_cpu_seconds_total', 'CPU time of the process.', (user + system) / 1e6),
      gauge('process_resident_memory_bytes', 'Memory that the process holds.', rss),
      gauge('process_start_time_seconds', 'When the process started, since 1970.', this.#started),
      gauge('nodejs_heap_size_used_bytes', "Memory that the process's objects take.", heapUsed),
      gauge('nodejs_external_memory_bytes', 'Memory outside the heap that belongs to objects.', external),
    ]
  }

  close(): void {
    this.#delay.disable()
  }
}

/** What processes have collected, each with labels of its own, in the text format of Prometheus. */
export function exposition(processes: readonly { labels: Labels; families: readonly Family[] }[]): string {
  const lines = new Map<string, string[]>()
  for (const { labels: own, families } of processes) {
    for (const { name, type, help, samples } of families) {
      const of = entry(lines, name, () => [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`])
      for (const [suffix, labels, value] of samples)
        of.push(`${name}${suffix}${text({ ...labels, ...own })} ${value}`)
    }
  }
  return `${[...lines.values()].flat().join('\n')}\n`
}

function text(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}

const of =
  (type: Family['type']) =>
  (name: string, help: string, values: number | Sample[]): Family => ({
    name,
    type,
    help,
    samples: typeof values === 'number' ? [['', {}, values]] : values,
  })
const [counter, gauge, histogram] = [of('counter'), of('gauge'), of('histogram')]

const newMap = () => new Map<string, Histogram[]>()
const newList = (): Histogram[] => []
const newRuns = () => ({ rows: new Histogram(ROWS), seconds: new Histogram(RUN_SECONDS) })

/** What a map has under a key, made where there is nothing yet. */
function entry<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  const found = map.get(key)
  if (found !== undefined) return found
  const made = make()
  map.set(key, made)
  return made
}
