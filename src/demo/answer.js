/**
 * What the service answers, as far as the page shows it.
 * @typedef {object} Answer
 * @property {string | number} user
 * @property {'known' | 'unknown'} [decision]
 * @property {number} [confidence]
 * @property {{ fpir: number, fnir: number | null }} [operatingPoint]
 * @property {number} [attempts]
 * @property {boolean} [anotherAttemptHelps]
 * @property {string[]} [quality]
 * @property {{ user: string | number, score?: number }[]} [candidates]
 */

/**
 * What it says of a model, as far as the page reads it.
 * @typedef {object} Card
 * @property {string} name
 * @property {string} title
 * @property {number} keys
 * @property {number} users
 * @property {string[]} accepts
 * @property {string} scores
 * @property {{ identification: { points: { attempts: number }[] } }} [decision]
 */

/**
 * A refusal, RFC 9457.
 * @typedef {object} Problem
 * @property {string} title
 * @property {number} [status]
 * @property {string} detail
 * @property {string} [code]
 * @property {string} [instance]
 * @property {{ pointer: string, message: string }[]} [errors]
 */

/** Where in the page it is said. @typedef {'answer' | 'guess'} Place */

/** @type {Record<string, string>} */
const WARNINGS = {
  'too-regular': 'The keys came as regularly as a script types.',
  'impossible-hold': 'A key was held for no time, or for seconds.',
  'coarse-clock': 'The times lie on a coarse grid: this browser, or something before it, rounds them.',
  'out-of-range': 'Some times are unlike any that the model has seen.',
}

/**
 * What an answer means, in words. The first element is its title, `answer-title`.
 * @param {Answer} answer
 * @param {Card} card of the model that gave it
 * @returns {Node[]}
 */
export function explain(answer, card) {
  const { user, decision, candidates = [] } = answer
  const people = `${card.users} people whom the model knows`
  const typings = typingsOf(answer)
  const unknown = decision === 'unknown'
  const words = unknown
    ? `By ${typings} you are none of the ${people}. Of these, user ${user} types the most like it.`
    : decision === 'known'
      ? `By ${typings} you are user ${user}, one of the ${people}. If you are not, you are one of the mistakes that it makes.`
      : `Of the ${people}, user ${user} types the most like it. This model always names somebody: it can't tell who is a stranger.`
  const scored = candidates.some(({ score }) => score !== undefined)
  return [
    verdict('answer', unknown ? 'unknown' : `user ${user}`),
    paragraph(words),
    ...trust(answer, 'answer', `Probability of user ${user}, if you were one of them`),
    ...ranking(
      answer,
      scored
        ? `Score: ${card.scores}`
        : 'The service leaves scores out: they would tell who was in the training set.',
    ),
  ]
}

/**
 * The same of those who are enrolled. The first element is its title, `guess-title`.
 * @param {Answer} answer
 * @returns {Node[]}
 */
export function explainGuess(answer) {
  const { user, decision } = answer
  const typings = typingsOf(answer)
  const known = decision === 'known'
  return [
    verdict('guess', known ? `${user}` : 'unknown'),
    paragraph(
      known
        ? `By ${typings} it was ${user}.`
        : `By ${typings} it was nobody who is enrolled, or it can't be told. Of those enrolled, ${user} types the most like it.`,
    ),
    ...trust(answer, 'guess', `Probability of ${user}, if it was one of those enrolled`),
    ...ranking(answer, 'Score: the probability of each, if it was one of those enrolled.'),
  ]
}

/** What makes a typing worth less, in words. @param {string[]} quality */
export function warningsOf(quality) {
  return quality.map((name) => WARNINGS[name] ?? name)
}

/**
 * Why there is no answer. The first element is its title.
 * @param {Problem} problem
 * @param {Place} place
 * @returns {Node[]}
 */
export function complain({ title, status, detail, code, instance, errors = [] }, place) {
  /** @type {Node[]} */
  const parts = [verdict(place, status === undefined ? title : `${title} (${status})`), paragraph(detail)]
  if (errors.length > 0) parts.push(list(errors.map(({ pointer, message }) => `${pointer}: ${message}`)))
  if (code !== undefined) parts.push(note(`${code}, request ${instance}`))
  return parts
}

/**
 * How many typings the model answers together.
 * @param {Card} card
 */
export function mostAttempts({ decision }) {
  return Math.max(1, ...(decision?.identification.points ?? []).map(({ attempts }) => attempts))
}

/** @param {Answer} answer */
function typingsOf({ attempts = 1 }) {
  return attempts === 1 ? 'this typing' : `these ${attempts} typings`
}

/** How far to trust an answer. @param {Answer} answer @param {Place} place @param {string} label what the confidence is */
function trust({ confidence, operatingPoint, quality = [] }, place, label) {
  /** @type {Node[]} */
  const parts = []
  if (confidence !== undefined) parts.push(...gauge(confidence, label, `${place}-confidence`))
  if (operatingPoint) parts.push(paragraph(pointInWords(operatingPoint)))
  if (quality.length > 0)
    parts.push(paragraph('What makes this answer worth less:'), list(warningsOf(quality)))
  return parts
}

/** @param {NonNullable<Answer['operatingPoint']>} point */
function pointInWords({ fpir, fnir }) {
  const strangers = `Decided so that ${inHundred(fpir)} strangers are taken for somebody known.`
  if (fnir === null) return `${strangers} How many of those known are then missed could not be measured.`
  return `${strangers} That comes at a price: of typings by people it knows, ${inHundred(fnir)} are not recognised.`
}

/** @param {number} share */
function inHundred(share) {
  return `${Number((100 * share).toPrecision(2))} in 100`
}

/** @param {number} confidence @param {string} label @param {string} id */
function gauge(confidence, label, id) {
  const meter = element('meter', '')
  meter.value = confidence
  meter.id = id
  const name = element('label', `${label}: `)
  name.htmlFor = meter.id
  const percent = 100 * confidence
  name.append(element('strong', `${percent < 1 ? 'below 1' : Math.floor(percent)} %`))
  return [name, meter]
}

/** @param {Answer} answer @param {string} meaning what is to be said of the scores */
function ranking({ candidates = [] }, meaning) {
  if (candidates.length === 0) return []
  const scored = candidates.some(({ score }) => score !== undefined)
  const table = element('table', '')
  table.createCaption().textContent = 'The people who type the most like it'
  const head = table.createTHead().insertRow()
  for (const title of ['', 'user', ...(scored ? ['score'] : [])]) {
    const cell = element('th', title === '' ? 'place' : title)
    cell.scope = 'col'
    head.append(cell)
  }
  const body = table.createTBody()
  for (const [i, { user, score }] of candidates.entries()) {
    const row = body.insertRow()
    row.insertCell().textContent = `${i + 1}.`
    row.insertCell().textContent = String(user)
    if (score !== undefined) row.insertCell().textContent = String(Number(score.toPrecision(4)))
  }
  return [table, note(meaning)]
}

/** @param {Place} place @param {string} title */
function verdict(place, title) {
  // That of who was guessed stands below the title of its part.
  const heading = element(place === 'answer' ? 'h2' : 'h3', title)
  heading.id = `${place}-title`
  heading.className = 'verdict'
  heading.tabIndex = -1
  return heading
}

/** @param {string} content */
function paragraph(content) {
  return element('p', content)
}

/** @param {string} content */
function note(content) {
  const made = paragraph(content)
  made.className = 'note'
  return made
}

/** @param {string[]} items */
function list(items) {
  const made = element('ul', '')
  made.append(...items.map((item) => element('li', item)))
  return made
}

/**
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name
 * @param {string} content
 */
function element(name, content) {
  const made = document.createElement(name)
  made.textContent = content
  return made
}
