// What the overload bench asks for, and what it found, as Markdown.
import { machine } from './machine.mjs'
import { table } from './report.mjs'
import { pinned } from './server.mjs'

const MB = 1e6
/** The model that the goals are for; of others they are told. */
const HELD = 'best'

/**
 * Each holds `of` of a model's figures against `least` or `most`, or, in CI, where the machine is anybody's, against
 * `checkLeast` or `checkMost`.
 */
const GOALS = [
  {
    title: 'answered in time, of the peak',
    of: ({ goodput, peak }) => goodput / peak,
    least: 0.9,
    checkLeast: 0.5,
  },
  {
    title: 'p99 of what is answered, to that without load',
    of: ({ accepted, unloaded }) => accepted.p99 / unloaded.p99,
    most: 5,
    checkMost: 50,
  },
  {
    title: 'growth of the memory, share in a minute',
    of: ({ rss }) => rss.perMinute / rss.last,
    most: 0.05,
    checkMost: 2,
  },
  {
    title: '`/health` answered 200 within a second, share of the times that it was asked',
    of: ({ health }) => health.inTime / health.asked,
    least: 1,
  },
  {
    title: '`/health` said that it is overloaded, share from the third second on',
    of: ({ health }) => health.truthful / Math.max(1, health.asked - 2),
    least: 0.95,
    checkLeast: 0.5,
  },
  {
    title: 'connections broken, requests without an answer',
    of: ({ broken, unanswered }) => broken + unanswered,
    most: 0,
  },
]

/** @returns `met` and a line for every goal */
export function overloadGoals(figures, check) {
  return Object.entries(figures)
    .filter(([model]) => check || model === HELD)
    .flatMap(([model, found]) =>
      GOALS.map(({ title, of, least, most, checkLeast = least, checkMost = most }) => {
        const value = of(found)
        const [low, high] = check ? [checkLeast, checkMost] : [least, most]
        const goal = low === undefined ? `at most ${high}` : `at least ${low}`
        const met = low === undefined ? value <= high : value >= low
        return { met, line: `${model}: ${title}: ${value.toFixed(3)} (${goal})` }
      }),
    )
}

export function overloadReport(figures, goals, { seconds, connections }) {
  const ms = (value) => value.toFixed(2)
  const rows = [
    ['peak, requests/s', ({ peak }) => peak.toFixed(0)],
    ['CPU of a request there, µs', ({ micros }) => micros.toFixed(0)],
    ['sent in overload, requests/s', ({ sent }) => sent.toFixed(0)],
    ['of which answered 200, requests/s', ({ goodput }) => goodput.toFixed(0)],
    ['**of the peak**', ({ goodput, peak }) => `**${(goodput / peak).toFixed(3)}**`],
    ['refused', ({ refusedShare }) => `${(100 * refusedShare).toFixed(1)} %`],
    ['latency without load, p50 and p99, ms', ({ unloaded: { p50, p99 } }) => `${ms(p50)}, ${ms(p99)}`],
    ['of what is answered in overload', ({ accepted: { p50, p99 } }) => `${ms(p50)}, ${ms(p99)}`],
    ['**p99 to p99**', ({ accepted, unloaded }) => `**${(accepted.p99 / unloaded.p99).toFixed(1)}**`],
    ['of refusals', ({ refused: { p50, p99 } }) => `${ms(p50)}, ${ms(p99)}`],
    [
      'memory, first and last, MB',
      ({ rss }) => `${(rss.first / MB).toFixed(0)}, ${(rss.last / MB).toFixed(0)}`,
    ],
    ['its growth, MB a minute', ({ rss }) => (rss.perMinute / MB).toFixed(1)],
    [
      '`/health` in time, of times asked',
      ({ health }) => `${health.inTime} of ${health.asked}, ${health.slowest.toFixed(0)} ms at most`,
    ],
    ['said overloaded; 3 s after', ({ health }) => `${health.truthful} times; ${health.after}`],
    ['cores that the service had', ({ busy }) => busy.toFixed(2)],
    ['the generator late by at most, ms', ({ lateMs }) => lateMs.toFixed(0)],
  ].map(([title, cell]) => [title, ...Object.values(figures).map(cell)])
  return `# Overload

Made by \`npm run bench:overload\`. [What is measured](../README.md#overload)

- ${machine()}; Node ${process.version}; server and generator ${pinned ? 'on a core each' : 'not bound to cores'}
- ${seconds} s at twice the peak, over ${connections} connections

${table(['', ...Object.keys(figures)], rows)}

The goals are for \`${HELD}\`:

${goals.map(({ met, line }) => `- ${met ? 'met' : '**not met**'}: ${line}`).join('\n')}
`
}
