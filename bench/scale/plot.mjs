// The cost of a row against users as SVG, the same text for the same figures.
import {
  AREA,
  axes,
  decades,
  FAINT,
  figure,
  INK,
  LEGEND,
  linear,
  round,
  scale,
  text,
} from '../lib/loglog.mjs'
import { MODELS } from './models.mjs'

// Those of training/keystroke_training/figures.py.
const COLOURS = { svm: '#0072B2', rf: '#D55E00', xgb: '#009E73' }
const DASHES = { 1: '', 32: '6 4' }
const LABELS = { 1: 'alone', 32: '32 at once' }

/** @param points `model`, `users`, `batch`, µs per row as `micros`, and whether the model was `built`, not fitted */
export function plot(points) {
  const x = scale(decades(points.map(({ users }) => users)), AREA.left, AREA.right)
  const y = scale(decades(points.map(({ micros }) => micros)), AREA.bottom, AREA.top)
  const title = 'CPU time of one feature row against the users of the model'
  return figure(
    title,
    [
      axes(x, y),
      linear(x, y),
      ...MODELS.flatMap((model) =>
        Object.keys(DASHES).map((batch) => curve(points, model, Number(batch), x, y)),
      ),
      legend(),
    ]
      .filter(Boolean)
      .join('\n'),
  )
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
