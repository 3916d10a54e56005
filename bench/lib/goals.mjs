// What the throughput bench asks for, and what it found, as Markdown.
import { machine } from './machine.mjs'
import { table } from './report.mjs'
import { pinned } from './server.mjs'
import { median } from './statistics.mjs'

const rate = (runs) => median(runs.map((run) => run.rate))
const latency = (runs) => median(runs.map((run) => run.median))
const p99 = (runs) => median(runs.map((run) => run.p99))
const share =
  (name, of) =>
  ({ saturated }) =>
    rate(saturated[name]) / rate(saturated[of])
const slower =
  (name) =>
  ({ single }) =>
    latency(single[name]) / latency(single.constant)
const tail =
  (name) =>
  ({ tails }) =>
    p99(tails[name][name]) / p99(tails[name].constant)

/** Each a ratio, with `least` or `most` for a goal. */
export const GOALS = [
  { title: 'empty route, of a bare Fastify route', of: share('constant', 'bare'), least: 0.85 },
  { title: 'svm, of the empty route', of: share('svm', 'constant'), least: 0.8 },
  { title: 'rf, of the empty route', of: share('rf', 'constant'), least: 0.95 },
  { title: 'xgb, of the empty route', of: share('xgb', 'constant'), least: 0.4 },
  ...['svm', 'rf', 'xgb'].flatMap((model) => [
    { title: `${model} with ?top=5, of ${model}`, of: share(`${model} top`, model), least: 0.95 },
    { title: `${model} of raw keystrokes, of ${model}`, of: share(`${model} raw`, model), least: 0.9 },
  ]),
  { title: 'svm, latency at one connection, to the empty route', of: slower('svm'), most: 1.6 },
  { title: 'rf, latency at one connection, to the empty route', of: slower('rf'), most: 1.6 },
  { title: 'xgb, latency at one connection, to the empty route', of: slower('xgb'), most: 2.5 },
  ...['svm', 'rf', 'xgb'].map((model) => ({
    title: `${model}, p99 at 70 % of saturation, to the empty route at that rate`,
    of: tail(model),
    most: 2,
  })),
]

/** The goals that are missed even by a margin: a share of a least, or a multiple of a most. */
export function misses(results, margin) {
  return GOALS.filter(({ of, least = 0, most = Number.POSITIVE_INFINITY }) => {
    const found = of(results)
    return !(found >= least * margin && found <= most / margin)
  }).map(({ title, of }) => `${title}: ${of(results).toFixed(2)}`)
}

export function report(results, args) {
  const { saturated, single, tails, memory, rounds, seconds } = results
  const goals = GOALS.map(({ title, of, least, most }) => {
    const found = of(results)
    const met = least === undefined ? found <= most : found >= least
    return [title, found.toFixed(2), least === undefined ? `≤ ${most}` : `≥ ${least}`, met ? 'yes' : '**no**']
  })
  const loads = Object.entries(saturated).map(([name, runs]) => [
    name,
    rate(runs).toFixed(0),
    (rate(runs) / rate(saturated.constant)).toFixed(2),
    median(runs.map((run) => run.cpu)).toFixed(1),
    latency(runs).toFixed(2),
    p99(runs).toFixed(2),
    number(median(runs.map((run) => run.batch)), 1),
  ])
  const singles = Object.entries(single).map(([name, runs]) => [
    name,
    (latency(runs) * 1000).toFixed(0),
    (p99(runs) * 1000).toFixed(0),
  ])
  const steadies = Object.entries(tails).flatMap(([model, { constant, [model]: own }]) =>
    [
      ['empty route', constant],
      [model, own],
    ].map(([name, runs]) => [
      `${name} at ${own[0].rate.toFixed(0)}/s`,
      latency(runs).toFixed(2),
      p99(runs).toFixed(2),
    ]),
  )
  return `# Throughput and latency

Medians of ${rounds} runs of ${seconds} s each, in turn. What is measured, and how: [README](../README.md).

## Ratios

${table(['', 'ratio', 'goal', 'met'], goals)}

## At saturation: 32 connections, each with its next request after its last answer

"constant" is the empty route; "same" sends one typing again and again, the others different ones in turn.

${table(['', 'requests/s', 'of the empty route', 'CPU, µs each', 'median, ms', 'p99, ms', 'rows a run'], loads)}

## One connection

${table(['', 'median, µs', 'p99, µs'], singles)}

## Constant rate, 70 % of the model's saturation

${table(['', 'median, ms', 'p99, ms'], steadies)}

## Memory

RSS of the process with all three models: ${(memory.rest / 1e6).toFixed(0)} MB at rest, ${(memory.busy / 1e6).toFixed(0)} MB at saturation.

## Where

- ${machine()}
- Node ${process.version}; ${pinned ? 'the server on one core, the client on another' : 'neither server nor client bound to a core'}

\`\`\`sh
${['npm run bench', ...(args.length ? ['--'] : []), ...args].join(' ')}
\`\`\`
`
}

function number(value, digits) {
  return Number.isFinite(value) ? value.toFixed(digits) : ''
}
