// What plots on two logarithmic scales are drawn of, as SVG: the same text for the same figures.

// Those of training/keystroke_training/figures.py.
export const [INK, FAINT, GRID] = ['#333333', '#999999', '#e6e6e6']
export const AREA = { left: 70, right: 560, top: 44, bottom: 384 }
export const LEGEND = 578
const [WIDTH, HEIGHT] = [700, 440]

/** @param body what is drawn between frame and edge */
export function figure(title, body) {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img" aria-labelledby="title" font-family="DejaVu Sans, Verdana, sans-serif" font-size="13" fill="${INK}">
<title id="title">${title}</title>
<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>
<text x="${(AREA.left + AREA.right) / 2}" y="26" text-anchor="middle" font-size="15">${title}</text>
${body}
</svg>
`
}

/** The powers of ten around some values. */
export function decades(values) {
  const first = Math.floor(Math.log10(Math.min(...values)) + 1e-9)
  const last = Math.ceil(Math.log10(Math.max(...values)) - 1e-9)
  return Array.from({ length: Math.max(2, last - first + 1) }, (_, step) => 10 ** (first + step))
}

export function scale(ticks, from, to) {
  const [first, last] = [ticks[0], ticks.at(-1)].map(Math.log10)
  const place = (value) => from + ((Math.log10(value) - first) / (last - first)) * (to - from)
  return { ticks, place }
}

export function axes(x, y) {
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
export function linear(x, y) {
  const last = Math.min(x.ticks.at(-1), (x.ticks[0] * y.ticks.at(-1)) / y.ticks[0])
  const start = `${round(x.place(x.ticks[0]))},${round(y.place(y.ticks[0]))}`
  const end = `${round(x.place(last))},${round(y.place((last / x.ticks[0]) * y.ticks[0]))}`
  return `<polyline points="${start} ${end}" fill="none" stroke="${FAINT}" stroke-width="1.2" stroke-dasharray="1.5 4"/>`
}

export function line(x1, y1, x2, y2, colour) {
  return `<line x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}" stroke="${colour}"/>`
}

export function text(x, y, content, anchor, size) {
  return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}"${size ? ` font-size="${size}"` : ''}>${content}</text>`
}

function duration(micros) {
  if (micros < 1000) return `${number(micros)} µs`
  return micros < 1e6 ? `${number(micros / 1000)} ms` : `${number(micros / 1e6)} s`
}

function number(value) {
  return value.toLocaleString('en')
}

export function round(value) {
  return Number(value.toFixed(1))
}
