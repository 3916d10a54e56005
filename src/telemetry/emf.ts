import { type Recorder, type Refusal, type Run, routeLabel } from './recorder.js'

const NAMESPACE = 'KeystrokeRecognition'

/** Numbers that are counted under the same names and values of dimensions. */
interface Part {
  dimensions: Record<string, string>
  metrics: Record<string, [value: number, unit: 'Count' | 'Milliseconds' | 'Bytes']>
}

/**
 * Says what happened in an invocation of Lambda in a line of the log from which CloudWatch makes metrics: its embedded
 * metric format. Each costs money, so there is none that only counts: how many there were is every metric's own
 * sample count.
 */
export class EmfLog implements Recorder {
  readonly #function: string
  readonly #write: (line: string) => void
  #parts: Part[] = []
  #invocations = 0

  constructor(functionName: string, write: (line: string) => void) {
    this.#function = functionName
    this.#write = write
  }

  completed(_method: string, route: string | undefined, status: number, ms: number): void {
    const dimensions = { route: routeLabel(route), status: String(status) }
    this.#parts.push({ dimensions, metrics: { Latency: [ms, 'Milliseconds'] } })
  }

  /** Nobody can: the invocation goes on. */
  aborted(): void {}

  refused(reason: Refusal): void {
    this.#parts.push({ dimensions: { reason }, metrics: { Refused: [1, 'Count'] } })
  }

  ran({ model, rows, ms }: Run): void {
    const metrics: Part['metrics'] = { BatchRows: [rows, 'Count'], InferenceTime: [ms, 'Milliseconds'] }
    this.#parts.push({ dimensions: { model }, metrics })
  }

  /** Ends an invocation: writes its line, and one more for each further model that it ran. */
  flush(): void {
    const cold = this.#invocations++ === 0 ? 1 : 0
    this.#parts.push({
      dimensions: {},
      metrics: { ColdStart: [cold, 'Count'], MemoryUsed: [process.memoryUsage.rss(), 'Bytes'] },
    })
    for (const parts of withoutClash(this.#parts)) this.#write(`${JSON.stringify(this.#line(parts))}\n`)
    this.#parts = []
  }

  #line(parts: readonly Part[]) {
    const own = { function: this.#function }
    return {
      _aws: {
        Timestamp: Date.now(),
        CloudWatchMetrics: parts.map(({ dimensions, metrics }) => ({
          Namespace: NAMESPACE,
          Dimensions: [Object.keys({ ...own, ...dimensions })],
          Metrics: Object.entries(metrics).map(([Name, [, Unit]]) => ({ Name, Unit })),
        })),
      },
      ...own,
      ...Object.assign({}, ...parts.map(({ dimensions }) => dimensions)),
      ...Object.assign({}, ...parts.map(({ metrics }) => values(metrics))),
    }
  }
}

function values(metrics: Part['metrics']): Record<string, number> {
  return Object.fromEntries(Object.entries(metrics).map(([name, [value]]) => [name, value]))
}

/** The parts on as few lines as can be: a line has one value of a name. */
function withoutClash(parts: readonly Part[]): Part[][] {
  const lines: Part[][] = []
  for (const part of parts) {
    const names = Object.keys(part.metrics).join()
    const free = lines.find((line) => line.every(({ metrics }) => Object.keys(metrics).join() !== names))
    if (free) free.push(part)
    else lines.push([part])
  }
  return lines
}
