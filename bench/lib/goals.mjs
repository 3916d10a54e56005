// What the throughput bench asks for, and what it found, as Markdown.
import { machine } from './machine.mjs'
import { table } from './report.mjs'
import { pinned } from './server.mjs'
import { median } from './statistics.mjs'

// List prices of Lambda in us-east-1, x86_64, 2026.
const REQUEST_DOLLARS = 0.2e-6
const GB_SECOND_DOLLARS = 16.6667e-6
const MEMORY_GB = 0.5
/** How much of a vCPU 512 MB get. */
const VCPU = 512 / 1769

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

/**
 * Each a ratio, with `least` or `most` for a goal. Those with `checked` don't hang on the machine's mood, and are held
 * against half the goal in CI; `reached` stands for a goal that is too far away for that.
 */
export const GOALS = [
  {
    title: 'empty route, of a bare Fastify route',
    of: share('constant', 'bare'),
    least: 0.85,
    checked: true,
  },
  {
    title: 'empty route, of a bare Fastify route that logs its requests',
    of: share('constant', 'bare, with a log'),
    least: 0.85,
    checked: true,
  },
  {
    title: 'svm, of the empty route',
    of: share('svm', 'constant'),
    least: 0.8,
    reached: 0.36,
    checked: true,
  },
  { title: 'rf, of the empty route', of: share('rf', 'constant'), least: 0.95, checked: true },
  { title: 'xgb, of the empty route', of: share('xgb', 'constant'), least: 0.4, checked: true },
  ...['svm', 'rf', 'xgb'].flatMap((model) => [
    {
      title: `${model} with ?top=5, of ${model}`,
      of: share(`${model} top`, model),
      least: 0.95,
      checked: true,
    },
    {
      title: `${model} of raw keystrokes, of ${model}`,
      of: share(`${model} raw`, model),
      least: 0.9,
      checked: true,
    },
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

/** How the checked ratios stand to half their goals. */
export function checks(results) {
  return GOALS.filter(({ checked }) => checked).map(({ title, of, least, reached = least }) => {
    const found = of(results)
    return { passed: found >= reached / 2, line: `${title}: ${found.toFixed(2)}, at least ${reached / 2}` }
  })
}

/** How what the sessions of `best` cost stands to its goals. */
export function sessionGoals({ openMs, rowMicros }) {
  return [
    ['best, µs a row in a batch of 64', rowMicros.toFixed(1), '≤ 50', met(rowMicros <= 50)],
    ['best, opening, ms', openMs.toFixed(0), '≤ 200', met(openMs <= 200)],
  ]
}

function met(reached) {
  return reached ? 'yes' : '**no**'
}

/** What an invocation costs: the CPU time, at the share of a vCPU there is, is billed in whole milliseconds. */
function dollars(micros) {
  const billedMs = Math.ceil(micros / VCPU / 1000)
  return { billedMs, dollars: REQUEST_DOLLARS + (billedMs / 1000) * MEMORY_GB * GB_SECOND_DOLLARS }
}

export function report(results, args) {
  const { scaled, invocations, sessions, saturated, single, tails, memory, rounds, seconds } = results
  const goals = GOALS.map(({ title, of, least, most }) => {
    const found = of(results)
    const reached = least === undefined ? found <= most : found >= least
    return [title, found.toFixed(2), least === undefined ? `≤ ${most}` : `≥ ${least}`, met(reached)]
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
  const costs = invocations.map(({ model, micros }) => {
    const cost = dollars(micros)
    return [model, micros.toFixed(0), cost.billedMs, (1 / cost.dollars / 1e6).toFixed(1)]
  })
  return `# Throughput and latency

Medians of ${rounds} runs of ${seconds} s each, in turn. What is measured, and how: [README](../README.md).

## Ratios

${table(['', 'ratio', 'goal', 'met'], goals)}

## At saturation: 32 connections, each with its next request after its last answer

"constant" is the empty route; "same" sends one typing again and again, the others different ones in turn.
\`templates\`, \`trees\` and \`best\` are sent raw keystrokes.

${table(['', 'requests/s', 'of the empty route', 'CPU, µs each', 'median, ms', 'p99, ms', 'rows a run'], loads)}

![Requests per second](throughput.svg)

## The sessions of best

Those of its members, without the service around them: CPU time of one thread.

${table(['', 'found', 'goal', 'met'], sessionGoals(sessions))}

## One connection

${table(['', 'median, µs', 'p99, µs'], singles)}

## Constant rate, 70 % of the model's saturation

${table(['', 'median, ms', 'p99, ms'], steadies)}

## Workers

\`WORKERS=2\` on two cores, of which the client takes its share, answers ${(rate(scaled[2]) / rate(scaled[1])).toFixed(2)} times as many requests to xgb as one process on
one core: ${rate(scaled[2]).toFixed(0)}/s against ${rate(scaled[1]).toFixed(0)}/s.

## Cost

CPU time of one invocation of the Lambda handler with the event of a console trigger, warm, and what a dollar buys at
512 MB (0.29 vCPU), us-east-1 list prices for x86_64 without the gateway's: the price of the request itself is most of it.

${table(['', 'CPU, µs', 'billed, ms', 'million predictions per dollar'], costs)}

## Memory

RSS of the process with all models: ${(memory.rest / 1e6).toFixed(0)} MB at rest, ${(memory.busy / 1e6).toFixed(0)} MB at saturation.

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
