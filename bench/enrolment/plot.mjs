// The cost of identification and verification against the users of a text as SVG.
import { AREA, axes, decades, FAINT, figure, LEGEND, linear, round, scale, text } from '../lib/loglog.mjs'
import { median } from '../lib/statistics.mjs'

const COLOURS = { identify: '#0072B2', verify: '#D55E00' }
const LABELS = { identify: 'identify', verify: 'verify' }

/** @param costs what each round found */
export function plot(costs) {
  const points = costs[0].found.map(({ users }, i) => ({
    users,
    ...Object.fromEntries(
      Object.keys(COLOURS).map((kind) => [kind, median(costs.map(({ found }) => found[i][kind]))]),
    ),
  }))
  const kinds = Object.keys(COLOURS)
  const x = scale(decades(points.map(({ users }) => users)), AREA.left, AREA.right)
  const y = scale(decades(points.flatMap((point) => kinds.map((kind) => point[kind]))), AREA.bottom, AREA.top)
  const curves = kinds.map((kind) => {
    const path = points.map((point) => `${round(x.place(point.users))},${round(y.place(point[kind]))}`)
    return `<polyline points="${path.join(' ')}" fill="none" stroke="${COLOURS[kind]}" stroke-width="2"/>`
  })
  const legend = [...kinds.map((kind) => [LABELS[kind], COLOURS[kind], '']), ['linear', FAINT, '1.5 4']].map(
    ([label, colour, dash], row) =>
      `<g transform="translate(0 ${AREA.top + 14 + row * 22})"><line x1="${LEGEND}" y1="0" x2="${LEGEND + 25}" y2="0" stroke="${colour}" stroke-width="2"${dash && ` stroke-dasharray="${dash}"`}/>${text(LEGEND + 32, 4.5, label, 'start', 12)}</g>`,
  )
  return figure(
    'CPU time of one request against the users of the text',
    [axes(x, y), linear(x, y), ...curves, ...legend].join('\n'),
  )
}
