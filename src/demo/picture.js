/** @import { PendingKeystroke } from './recorder.js' */

const SVG = 'http://www.w3.org/2000/svg'
const LEFT = 28
const RIGHT = 12
const TOP = 24
/** The picture begins with so much time, and grows with the typing. */
const SHORTEST_MS = 2000
const TALLEST = 480
const ROW = 18
/** The distance of the lines of the grid, by what is to be seen: the first that gives no more than so many. */
const GRID_MS = [100, 250, 500, 1000, 2000, 5000, 10000, 30000, 60000]
const MOST_LINES = 6

/**
 * Draws a typing: a row for each key, in which a bar lasts as long as the key is held, and between the rows when the next
 * key follows.
 * @param {Element} place what to put it into, in the place of what is there
 * @param {string} sentence
 * @param {readonly PendingKeystroke[]} keystrokes
 * @param {number} now ms since the first key went down, for keys that are down yet
 */
export function draw(place, sentence, keystrokes, now) {
  // A unit is a pixel, so that letters are as large on a narrow screen.
  const width = place.clientWidth
  const row = Math.min(ROW, (TALLEST - TOP) / sentence.length)
  const height = TOP + row * sentence.length + 6
  const shown = Math.max(SHORTEST_MS, now, ...keystrokes.map(({ release = now }) => release))
  const x = (/** @type {number} */ ms) => LEFT + (ms / shown) * (width - LEFT - RIGHT)
  const y = (/** @type {number} */ i) => TOP + row * i

  const picture = element('svg', {
    viewBox: `0 0 ${width} ${height}`,
    role: 'img',
    'aria-label': summary(keystrokes),
  })
  const step = GRID_MS.find((ms) => shown / ms <= MOST_LINES) ?? shown
  for (let ms = 0; ms <= shown; ms += step) {
    picture.append(
      element('line', { class: 'grid', x1: x(ms), x2: x(ms), y1: TOP - 4, y2: height }),
      text(`${ms / 1000} s`, {
        class: 'axis',
        x: x(ms),
        y: 12,
        'text-anchor': ms === 0 ? 'start' : 'middle',
      }),
    )
  }
  for (const [i, character] of [...sentence].entries()) {
    const middle = y(i) + row / 2
    const label = character === ' ' ? '·' : character
    picture.append(
      text(label, {
        class: 'letter',
        x: 10,
        y: middle,
        'font-size': Math.min(13, row),
        'dominant-baseline': 'central',
      }),
    )
  }
  for (const [i, { press, release }] of keystrokes.entries()) {
    const end = release ?? now
    const kind = release === undefined ? 'hold pending' : 'hold'
    const bar = {
      x: x(press),
      y: y(i) + row * 0.15,
      width: Math.max(2, x(end) - x(press)),
      height: row * 0.7,
      rx: 3,
    }
    picture.append(element('rect', { class: kind, ...bar }))
    const next = keystrokes[i + 1]
    if (next === undefined || release === undefined) continue
    // From where this key came up to where the next one went down: to the left where that was before.
    const path = `M${x(release)} ${y(i) + row / 2}H${x(next.press)}V${y(i + 1) + row / 2}`
    picture.append(element('path', { class: next.press < release ? 'overlap' : 'flight', d: path }))
  }
  place.replaceChildren(picture)
}

/**
 * The same as rows of a table.
 * @param {Element} place
 * @param {string} sentence
 * @param {readonly PendingKeystroke[]} keystrokes
 */
export function tabulate(place, sentence, keystrokes) {
  const rows = keystrokes.map(({ press, release }, i) => {
    const next = keystrokes[i + 1]
    const row = document.createElement('tr')
    const key = document.createElement('th')
    key.scope = 'row'
    key.textContent = sentence[i] === ' ' ? 'space' : (sentence[i] ?? '')
    row.append(key)
    const times = [
      release === undefined ? undefined : release - press,
      next && release !== undefined ? next.press - release : undefined,
    ]
    for (const ms of times) row.insertCell().textContent = ms === undefined ? '' : ms.toFixed(0)
    return row
  })
  place.replaceChildren(...rows)
}

/** @param {readonly PendingKeystroke[]} keystrokes */
function summary(keystrokes) {
  const holds = keystrokes.flatMap(({ press, release }) => (release === undefined ? [] : [release - press]))
  if (holds.length === 0) return 'No key has been typed yet.'
  const flights = keystrokes.flatMap(({ release }, i) => {
    const next = keystrokes[i + 1]
    return next === undefined || release === undefined ? [] : [next.press - release]
  })
  const overlaps = flights.filter((ms) => ms < 0).length
  const between =
    flights.length > 0 ? `, ${mean(flights)} ms until the next, ${overlaps} times before it was up` : ''
  return `${holds.length} keys, held ${mean(holds)} ms on average${between}.`
}

/** @param {number[]} values */
function mean(values) {
  return Math.round(values.reduce((sum, value) => sum + value, 0) / values.length)
}

/** @param {string} name @param {Record<string, string | number>} attributes */
function element(name, attributes) {
  const made = document.createElementNS(SVG, name)
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value))
  return made
}

/** @param {string} content @param {Record<string, string | number>} attributes */
function text(content, attributes) {
  const made = element('text', attributes)
  made.textContent = content
  return made
}
