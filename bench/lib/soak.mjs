// A server under an even load for long: what it holds meanwhile, and whether that grows.
import { steady } from './load.mjs'
import { median, minima, theilSen } from './statistics.mjs'

/** Between collections of garbage memory rises; what it falls back to is what is kept. */
const BLOCKS = 60
const FEWEST_BLOCKS = 12
/** Connections that close and are opened again come and go between two samples. */
const SPARE_FILES = 4

/**
 * Sends requests at a rate, and notes what the server holds, `samples` times a second.
 * @param load as for `steady`
 * @returns the latencies in ms, and from the end of the warm-up on the samples: `requests` answered, `rss`, `files`, `threads`
 */
export async function soak(server, load, { connections, rate, warmUp, seconds, every = 1000 }) {
  const samples = []
  let answered = 0
  const check = (body, index) => {
    answered++
    load.check(body, index)
  }
  const begun = performance.now()
  const timer = setInterval(() => {
    if (performance.now() - begun < warmUp * 1000) return
    const { rss, files, threads } = server
    samples.push({ requests: answered, rss: rss(), files: files(), threads: threads() })
  }, every)
  try {
    const { latencies } = await steady(
      { ...load, check, port: server.port },
      { connections, rate, warmUp, seconds },
    )
    return { latencies, samples, answered }
  } finally {
    clearInterval(timer)
  }
}

/**
 * Whether what is held stays as it is: memory by the upper end of the 95 % interval of its slope, so that too short a look
 * proves nothing; file descriptors and threads by their medians at the end and at the beginning.
 * @param bound what may be kept `ofRequest`, and what the heap may grow by as it settles, `inAll`, bytes: the larger counts
 * @returns `memory`, the slope in bytes a request with its interval, and `checks`, `[what, figure, bound, met]` each
 */
export function judge(samples, bound) {
  const size = Math.max(1, Math.floor(samples.length / BLOCKS))
  const kept = minima(
    samples.map(({ rss }) => rss),
    size,
  )
  if (kept.length < FEWEST_BLOCKS) throw new Error(`${samples.length} samples are too few`)
  const memory = theilSen(kept.map((rss, i) => [samples[(i + 1) * size - 1].requests, rss]))
  const quarter = Math.ceil(samples.length / 4)
  const growth = (key) => {
    const values = samples.map((sample) => sample[key])
    return median(values.slice(-quarter)) - median(values.slice(0, quarter))
  }
  const most = Math.max(bound.ofRequest, bound.inAll / (samples.at(-1).requests - samples[0].requests))
  const checks = [
    ['memory kept of a request, bytes, at the most', memory.high, most],
    ['file descriptors more at the end', growth('files'), SPARE_FILES],
    ['threads more at the end', growth('threads'), 0],
  ].map(([what, figure, bound]) => [what, figure, bound, figure <= bound])
  return { memory, checks }
}
