// The figures as Markdown.
import { KIND_NAMES } from './sizes.mjs'
import { median } from './statistics.mjs'

const MB = 1e6

/** @param runs what each run of a target measured, by the target's name; the first is what the others are compared to */
export function timesTable(runs, goals) {
  const [first] = runs.values()
  const rows = [...runs].map(([name, all]) => {
    const ratio = (key) => `${over(middle, all, first, key)} (${over(smallest, all, first, key)})`
    const ms = (key) => spread(all, key, 1)
    return [name, ms('ready'), ms('wall'), ratio('wall'), ms('cpu'), ratio('cpu'), spread(all, 'rss', MB)]
  })
  const names = ['image', 'ready, ms', 'answered (wall), ms', '× hello', 'CPU, ms', '× hello', 'RSS, MB']
  const goal = ['*goal*', '', '', `≤ ${goals.time}`, '', `≤ ${goals.time}`, `≤ ${goals.rss}`]
  return table(names, [...rows, goal])
}

/** @param images what `sizes` found, by name */
export function sizesTable(images, goals) {
  const all = [...images.values()]
  const kinds = KIND_NAMES.map((kind) => [kind, ...all.map(({ kinds }) => (kinds[kind] / MB).toFixed(2))])
  const added = ['**all layers**', ...all.map(({ added }) => `**${(added / MB).toFixed(1)}**`)]
  const goal = ['*goal*', ...[...images.keys()].map((name) => (name in goals ? `≤ ${goals[name]}` : ''))]
  return table(['MB', ...images.keys()], [...kinds, added, goal])
}

function over(figure, runs, others, key) {
  return (figure(runs, key) / figure(others, key)).toFixed(2)
}

/** Median, and from smallest to largest. */
function spread(runs, key, unit) {
  const format = (value) => (value / unit).toFixed(0)
  return `${format(middle(runs, key))} (${format(smallest(runs, key))}–${format(largest(runs, key))})`
}

function middle(runs, key) {
  return median(runs.map((run) => run[key]))
}

function smallest(runs, key) {
  return Math.min(...runs.map((run) => run[key]))
}

function largest(runs, key) {
  return Math.max(...runs.map((run) => run[key]))
}

/** @returns a Markdown table; all columns but the first are numbers */
export function table(names, rows) {
  const lines = [names, names.map((_, i) => (i ? '---:' : '---')), ...rows]
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}
