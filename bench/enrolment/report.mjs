// The figures of the enrolment benchmark as Markdown.
import { machine } from '../lib/machine.mjs'
import { table } from '../lib/report.mjs'
import { median } from '../lib/statistics.mjs'

const GOALS = { ratio: 1.3, micros: 5000, users: 10_000, samples: 2000, startMs: 1000 }

export function report({ costs, starts, most, ratio, enrolled, rounds, seconds }, args) {
  const rows = costs[0].found.map(({ users }, i) => {
    const of = (kind) => median(costs.map(({ found }) => found[i][kind]))
    return [number(users), micros(of('identify')), micros(of('verify')), millis(of('loadMs'))]
  })
  const rates = Object.fromEntries(Object.entries(ratio).map(([name, all]) => [name, median(all)]))
  const last = median(costs.map(({ found }) => found.at(-1).identify))
  const started = median(starts.map(({ answeredMs }) => answeredMs))
  const ready = median(starts.map(({ readyMs }) => readyMs))
  const goals = [
    [
      'identify among 110, beside `best`',
      `at most ${GOALS.ratio} ×`,
      `${(rates.best / rates.identify).toFixed(2)} ×`,
    ],
    [`identify among ${number(most)}, CPU`, `at most ${micros(GOALS.micros)} µs`, `${micros(last)} µs`],
    [
      'samples enrolled a second, SQLite',
      `at least ${number(GOALS.samples)}`,
      number(Math.round(median(enrolled))),
    ],
    [
      `from nothing to the first answer among ${number(most)}`,
      `at most ${number(GOALS.startMs)} ms`,
      `${millis(started)} ms`,
    ],
  ]
  return `# Users of one's own

Made by \`npm run bench:enrolment${args.length ? ` -- ${args.join(' ')}` : ''}\`: ${rounds} rounds, runs of ${seconds} s, medians. ${machine()}, Node ${process.version}

Made-up people, five samples each. What is asked is typed by nobody who is enrolled.

## Goals

${table(['what', 'goal', 'found'], goals)}

Of the last, ${millis(ready)} ms are until the service answers at all; the rest reads, opens and packs the templates. It is what an image runs,\nwithout the container.

## By the number of users

CPU µs of one request in the process, one after the other, without HTTP; and ms until a text's users are read the first time.

${table(['users', 'identify, µs', 'verify, µs', 'first read, ms'], rows)}

![Cost against users](enrolment.svg)

\`best\` alone, the same way: ${micros(median(costs.map(({ stateless }) => stateless)))} µs.

## Over HTTP

One core, 32 connections, requests per second.

${table(
  ['route', 'requests/s'],
  [
    ['POST /predict/best', number(Math.round(rates.best))],
    ['POST /texts/:text/identify, 110 users', number(Math.round(rates.identify))],
    ['POST /texts/:text/verify', number(Math.round(rates.verify))],
    ['POST /texts/:text/users/:user/samples', number(Math.round(median(enrolled)))],
  ],
)}
`
}

const number = (value) => value.toLocaleString('en')
const micros = (value) => number(Math.round(value))
const millis = (value) => number(Math.round(value))
