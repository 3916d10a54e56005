// What is sent: the typings whose answers training published in models/golden.json.
import { readFileSync } from 'node:fs'
import { post } from './load.mjs'

const golden = JSON.parse(readFileSync(new URL('../../models/golden.json', import.meta.url), 'utf8'))

/** Bodies of eight numbers, and of raw keystrokes; and the rows of the latter's models. */
export const summaries = golden.rows.map(toSummary)
export const keystrokes = golden.keystrokes.map(({ keystrokes }) => ({ keystrokes }))
export const timingRows = golden.timingRows.map((row) => Float32Array.from(row))

/**
 * What `load.mjs` sends to the service.
 * @param check also holds each answer to a summary against the one of training
 */
export function predictions(model, { bodies = summaries, query = '', check = true } = {}) {
  const labels = bodies === summaries && check ? golden.models[model]?.labels : undefined
  return {
    requests: bodies.map((body) => post(`/predict/${model}${query}`, body)),
    check(answer, index) {
      if (labels && !answer.startsWith(`{"user":${labels[index]},`)) {
        throw new Error(`${model}: ${answer}, not ${labels[index]}`)
      }
    },
  }
}

function toSummary(row) {
  const times = ['HT', 'PPT', 'RRT', 'RPT'].map((name, i) => [
    name,
    { Mean: row[2 * i], STD: row[2 * i + 1] },
  ])
  return Object.fromEntries(times)
}
