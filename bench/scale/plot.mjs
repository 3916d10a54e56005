// The cost of a row against users as SVG, the same text for the same figures.
import { MODELS } from './models.mjs'

// Those of training/keystroke_training/figures.py.
const COLOURS = { svm: '#0072B2', rf: '#D55E00', xgb: '#009E73' }
const [INK, FAINT, GRID] = ['#333333', '#999999', '#e6e6e6']
const DASHES = { 1: '', 32: '6 4' }
const LABELS = { 1: 'alone', 32: '32 at once' }

const [WIDTH, HEIGHT] = [700, 440]
const AREA = { left: 70, right: 560, top: 44, bottom: 384 }
const LEGEND = 578

/** @param points `model`, `users`, `batch`, µs per row as `micros`, and whether the model was `built`, not fitted */
export function plot(points) {
  const x = scale(decades(points.map(({ users }) => users)), AREA.left, AREA.right)
  const y = scale(decades(points.map(({ micros }) => micros)), AREA.bottom, AREA.top)
  const title = 'CPU time of one feature row against the users of the model'
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img" aria-labelledby="title" font-family="DejaVu Sans, Verdana, sans-serif" font-size="13" fill="${INK}">
<title id="title">${title}</title>
<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>
<text x="${(AREA.left + AREA.right) / 2}" y="26" text-anchor="middle" font-size="15">${title}</text>
${axes(x, y)}
${linear(x, y)}
${MODELS.flatMap((model) => Object.keys(DASHES).map((batch) => curve(points, model, Number(batch), x, y)))
  .filter(Boolean)
  .join('\n')}
${legend()}
</svg>
`
}

/** The powers of ten around some values. */
function decades(values) {
  const first = Math.floor(Math.log10(Math.min(...values)) + 1e-9)
  const last = Math.ceil(Math.log10(Math.max(...values)) - 1e-9)
  return Array.from({ length: Math.max(2, last - first + 1) }, (_, step) => 10 ** (first + step))
}

function scale(ticks, from, to) {
  const [first, last] = [ticks[0], ticks.at(-1)].map(Math.log10)
  const place = (value) => from + ((Math.log10(value) - first) / (last - first)) * (to - from)
  return { ticks, place }
}

function axes(x, y) {
  const lines = [
    ...x.ticks.map((tick) => line(x.place(tick), AREA.top, x.place(tick), AREA.bottom, GRID)),
    ...y.ticks.map((tick) => line(AREA.left, y.place(tick), AREA.right, y.place(tick), GRID)),
    line(AREA.left, AREA.top, AREA.left, AREA.bottom, FAINT),
    line(AREA.left, AREA.bottom, AREA.right, AREA.bottom, FAINT),
  ]
  const labels = [
    ...x.ticks.map((tick) => text(x.place(tick), AREA.bottom + 20, number(tick), 'middle')),
    ...y.ticks.map((tick) => text(AREA.left - 8, y.place(tick) + 4.5, duration(tick), 'end')),
    text((AREA.left + AREA.right) / 2, AREA.bottom + 44, 'users', 'middle'),
  ]
  return [...lines, ...labels].join('\n')
}

/** What growth in proportion to the users looks like, from the lower left corner. */
function linear(x, y) {
  const last = Math.min(x.ticks.at(-1), (x.ticks[0] * y.ticks.at(-1)) / y.ticks[0])
  const start = `${round(x.place(x.ticks[0]))},${round(y.place(y.ticks[0]))}`
  const end = `${round(x.place(last))},${round(y.place((last / x.ticks[0]) * y.ticks[0]))}`
  return `<polyline points="${start} ${end}" fill="none" stroke="${FAINT}" stroke-width="1.2" stroke-dasharray="1.5 4"/>`
}

function curve(points, model, batch, x, y) {
  const own = points.filter((point) => point.model === model && point.batch === batch)
  if (own.length === 0) return ''
  const places = own.map((point) => ({
    ...point,
    at: [round(x.place(point.users)), round(y.place(point.micros))],
  }))
  const path = places.map(({ at }) => at.join()).join(' ')
  const dash = DASHES[batch] && ` stroke-dasharray="${DASHES[batch]}"`
  const dots = places.map(({ at: [cx, cy], built }) => dot(cx, cy, COLOURS[model], built))
  return [
    `<polyline points="${path}" fill="none" stroke="${COLOURS[model]}" stroke-width="2"${dash}/>`,
    ...dots,
  ].join('\n')
}

function legend() {
  const rows = [
    ...MODELS.map((model) => [model, dot(LEGEND + 12, 0, COLOURS[model])]),
    [],
    ...Object.entries(DASHES).map(([batch, dash]) => [LABELS[batch], sample(INK, dash)]),
    ['linear', sample(FAINT, '1.5 4')],
    [],
    ['fitted', dot(LEGEND + 12, 0, INK)],
    ['built', dot(LEGEND + 12, 0, INK, true)],
  ]
  return rows
    .map(([label, sign], row) => {
      const body = label && `${sign}${text(LEGEND + 32, 4.5, label, 'start', 12)}`
      return body && `<g transform="translate(0 ${AREA.top + 14 + row * 22})">${body}</g>`
    })
    .filter(Boolean)
    .join('\n')
}

function sample(colour, dash) {
  return `<line x1="${LEGEND}" y1="0" x2="${LEGEND + 25}" y2="0" stroke="${colour}" stroke-width="2"${dash && ` stroke-dasharray="${dash}"`}/>`
}

function dot(cx, cy, colour, built = false) {
  return `<circle cx="${cx}" cy="${cy}" r="4" fill="${built ? '#ffffff' : colour}" stroke="${colour}" stroke-width="1.8"/>`
}

function line(x1, y1, x2, y2, colour) {
  return `<line x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}" stroke="${colour}"/>`
}

function text(x, y, content, anchor, size) {
  return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}"${size ? ` font-size="${size}"` : ''}>${content}</text>`
}

function duration(micros) {
  if (micros < 1000) return `${number(micros)} µs`
  return micros < 1e6 ? `${number(micros / 1000)} ms` : `${number(micros / 1e6)} s`
}

function number(value) {
  return value.toLocaleString('en')
}

function round(value) {
  return Number(value.toFixed(1))
}
