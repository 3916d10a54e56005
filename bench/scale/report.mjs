// The figures of the scale benchmark as Markdown.
import { table } from '../lib/report.mjs'
import { MODELS } from './models.mjs'

const MB = 1e6
/** Growth with the users by a higher power is called worse than linear: measurements are no better than that. */
const LINEAR = 1.15
/** Of fewer users everything is small, whatever its growth. */
const MANY = 1000
/** A row of a large batch that costs so many times one of another size is told of. */
const DEARER = 1.3
const BODY_LIMIT = 64 * 1024 // of src/app.ts

const FIGURES = [
  { name: 'file', of: ({ bytes }) => bytes },
  { name: 'open', of: ({ open }) => open },
  { name: 'memory of the open session', of: ({ rss }) => rss },
  { name: 'a row alone', of: (found) => rowMicros(found, 1) },
  { name: 'a row of 32', of: (found) => rowMicros(found, 32) },
]

/** CPU µs of a row in a batch of that size; undefined where it was not measured. */
export function rowMicros(found, batch, outputs = 'label') {
  return found.runs.find((run) => run.batch === batch)?.micros?.[outputs]
}

/** What was made how, and what it costs to have it. */
export function filesTable(models) {
  const rows = models.map((entry) => {
    const { model, users, found } = entry
    if (!found) return [model, number(users), '', '', '', '', '']
    const { bytes, check, open, rss, peak } = found
    return [
      model,
      number(users),
      megabytes(bytes),
      millis(check),
      millis(open),
      megabytes(rss),
      megabytes(peak),
    ]
  })
  const names = ['model', 'users', 'file, MB', 'check, ms', 'open, ms', 'memory, MB', 'at most, MB']
  return table(names, rows)
}

/** µs of a row by the size of its batch. */
export function rowsTable(models, batches, outputs) {
  const measured = models.filter(({ found }) => found)
  const rows = measured.map(({ model, users, found }) => {
    const cells = batches.map((batch) => {
      const micros = rowMicros(found, batch, outputs)
      const { needed } = found.runs.find((run) => run.batch === batch)
      return micros === undefined ? `*${(needed / 1e9).toFixed(0)} GB*` : significant(micros)
    })
    const { batch, used } = found.runs.findLast(({ micros }) => micros)
    return [model, number(users), ...cells, megabytes(used / batch)]
  })
  return table(['model', 'users', ...batches.map((batch) => number(batch)), 'MB a row'], rows)
}

/** How the figures grow from one number of users to the next, and with which power of it. */
export function growthTable(models) {
  const rows = steps(models).map(({ model, from, to, powers }) => {
    const cells = powers.map(({ ratio, power }) => {
      if (ratio === undefined) return ''
      const text = `×${significant(ratio)} (${power.toFixed(2)})`
      return power > LINEAR ? `**${text}**` : text
    })
    return [`${model}, ${number(from)} → ${number(to)}: ×${significant(to / from)}`, ...cells]
  })
  return table(['users', ...FIGURES.map(({ name }) => name)], rows)
}

export function keysTable(requests) {
  const rows = requests.map(({ name, bytes, parse, validate, features, whole }) => [
    name === 'summary' ? 'a summary' : `${name} keystrokes`,
    number(bytes),
    ...[parse, validate, features, parse + validate + features, whole].map(significant),
  ])
  const names = ['body', 'bytes', 'JSON, µs', 'schema, µs', 'features, µs', 'these together, µs', 'all, µs']
  return table(names, rows)
}

export function candidatesTable(candidates) {
  return table(
    ['users', 'best five, µs'],
    candidates.map(({ users, micros }) => [number(users), significant(micros)]),
  )
}

/** How each model that is not simply fitted came about, and each that is not there. */
export function remarks(models) {
  const odd = models.filter(({ how }) => how !== 'fitted')
  return odd.map(({ model, users, how, file }) => {
    return `- \`${model}\`, ${number(users)} users: ${file ? how : `**none**: ${how}`}.`
  })
}

/** What grows worse than linear, or can't be had. */
export function limits(models, memory) {
  const growth = steps(models)
    .filter(({ to }) => to >= MANY)
    .flatMap(({ model, from, to, powers }) => {
      const worse = powers.filter(({ power }) => power > LINEAR)
      const named = worse.map(({ name, power }) => `${name} ${power.toFixed(2)}`).join(', ')
      return named
        ? [`- \`${model}\`, ${number(from)} → ${number(to)} users, as powers of them: ${named}.`]
        : []
    })
  return [...growth, ...models.flatMap((entry) => [...refusals(entry), ...batchLimits(entry, memory)])]
}

function refusals({ model, users, how, file, found }) {
  if (!file) return [`- \`${model}\`, ${number(users)} users: no model: ${how}.`]
  return found ? [] : [`- \`${model}\`, ${number(users)} users: not opened in time.`]
}

function batchLimits({ model, users, found }, memory) {
  if (!found) return []
  const lines = []
  const asked = found.runs.filter(({ micros }) => micros)
  const best = asked.toSorted((a, b) => a.micros.label - b.micros.label)[0]
  const last = asked.at(-1)
  const ratio = last.micros.label / best.micros.label
  if (ratio > DEARER) {
    lines.push(
      `- \`${model}\`, ${number(users)} users: a row of ${number(last.batch)} costs ×${significant(ratio)} of a row of ${best.batch}.`,
    )
  }
  const refused = found.runs.find(({ needed }) => needed)
  if (refused) {
    lines.push(
      `- \`${model}\`, ${number(users)} users: a batch takes ${megabytes(refused.needed / refused.batch)} MB a row; ${number(refused.batch)} rows would take more than ${memory / 1e9} GB.`,
    )
  }
  return lines
}

/** How the work before the model grows with the keys. */
export function keysGrowth(requests) {
  const [first, ...others] = requests.filter(({ name }) => name !== 'summary')
  const last = others.at(-1)
  const work = ({ parse, validate, features }) => parse + validate + features
  const [keys, micros] = [last.name / first.name, work(last) / work(first)]
  const bytes = (last.bytes - first.bytes) / (last.name - first.name)
  return {
    growth: `×${significant(keys)} keys are ×${significant(micros)} µs, the power ${(Math.log(micros) / Math.log(keys)).toFixed(2)}`,
    most: number(Math.floor((BODY_LIMIT - first.bytes) / bytes / 100 + first.name / 100) * 100),
  }
}

function steps(models) {
  return MODELS.flatMap((model) => {
    const own = models.filter((entry) => entry.model === model && entry.found)
    return own.slice(1).map((entry, before) => {
      const { users: from, found: smaller } = own[before]
      const { users: to, found: larger } = entry
      const powers = FIGURES.map(({ name, of }) => {
        const ratio = of(larger) / of(smaller)
        if (!(ratio > 0 && Number.isFinite(ratio))) return { name }
        return { name, ratio, power: Math.log(ratio) / Math.log(to / from) }
      })
      return { model, from, to, powers }
    })
  })
}

function megabytes(bytes) {
  const size = bytes / MB
  return size < 10 ? size.toFixed(2) : number(Math.round(size))
}

function millis(time) {
  return time < 10 ? time.toFixed(1) : number(Math.round(time))
}

function significant(value) {
  return value < 100 ? String(Number(value.toPrecision(2))) : number(Math.round(value))
}

function number(value) {
  return value.toLocaleString('en')
}
