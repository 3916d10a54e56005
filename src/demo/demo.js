import { complain, explain, mostAttempts } from './answer.js'
import { draw, tabulate } from './picture.js'
import { record } from './recorder.js'
import { sentenceOf } from './sentence.js'

/** @import { Answer, Card, Problem } from './answer.js' */
/** @import { Keystroke, PendingKeystroke, Recording, RestartReason } from './recorder.js' */

/** The model that knows most, where it is there. */
const FAVOURITE = 'best'
const MOST_CANDIDATES = 5

/** @type {Record<RestartReason, string>} */
const RESTARTS = {
  deleted: 'Something was deleted, and only typings without a slip compare.',
  moved: 'That was not at the end of the text.',
  pasted: 'Pasted text has no times.',
  composed: 'An input method or a dead key made that: the keys behind it can not be timed one by one.',
  untimed:
    'That text came from no key that could be timed, as with keyboards on a screen. It takes a real one.',
  left: 'You left the field.',
  lost: 'A key came up unseen.',
}

const find = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id))
const field = /** @type {HTMLInputElement} */ (find('text'))
const select = /** @type {HTMLSelectElement} */ (find('model'))
const secret = /** @type {HTMLInputElement} */ (find('secret'))
const kind = /** @type {HTMLSelectElement} */ (find('kind'))
const again = /** @type {HTMLButtonElement} */ (find('again'))
const access = /** @type {HTMLDetailsElement} */ (find('access'))
const answerCard = find('answer')
const still = matchMedia('(prefers-reduced-motion: reduce)')

/** What a guarded service is shown of the caller, in memory only. @type {Record<string, string>} */
let credentials = {}
/** @type {Map<string, Card>} */
let cards = new Map()
/** The typings that are answered together. @type {{ keystrokes: Keystroke[] }[]} */
let typings = []
let sentence = ''
/** @type {Recording | undefined} */
let recording
/** What is recorded, and when by the clock of the page it began. @type {readonly PendingKeystroke[]} */
let shown = []
let began = 0
/** Fewer where the service gives no more. */
let top = MOST_CANDIDATES

find('form').addEventListener('submit', (event) => event.preventDefault())
find('credentials').addEventListener('submit', (event) => {
  event.preventDefault()
  credentials =
    kind.value === 'key' ? { 'x-api-key': secret.value } : { authorization: `Bearer ${secret.value}` }
  openModels().then(() => field.focus())
})
select.addEventListener('change', chooseModel)
field.addEventListener('input', markSentence)
again.addEventListener('click', () => startAgain())
addEventListener('resize', redraw)
openModels()

/** Asks which models there are, and lets those be chosen that take keystrokes. */
async function openModels() {
  try {
    const { models } = /** @type {{ models: { name: string }[] }} */ (await ask('models'))
    const asked = models.map(({ name }) => /** @type {Promise<Card>} */ (ask(`models/${name}`)))
    const usable = (await Promise.all(asked)).filter(({ accepts }) => accepts.includes('keystrokes'))
    showModels(usable)
  } catch (problem) {
    tell('The service does not say which models there are.')
    refused(/** @type {Problem} */ (problem))
  }
}

/** @param {Card[]} usable */
function showModels(usable) {
  if (usable.length === 0) return tell('No model that takes keystrokes is loaded.')
  cards = new Map(usable.map((card) => [card.name, card]))
  const raw = usable
    .filter(takesAttempts)
    .sort((a, b) => Number(b.name === FAVOURITE) - Number(a.name === FAVOURITE))
  const others = usable.filter((card) => !takesAttempts(card))
  const groups = [
    group('They look at every key', raw),
    group('They look at means and deviations', others),
  ].filter(({ children }) => children.length > 0)
  select.replaceChildren(...groups)
  select.disabled = false
  field.disabled = false
  again.disabled = false
  access.open = false
  chooseModel()
}

/** @param {string} label @param {Card[]} members */
function group(label, members) {
  const made = document.createElement('optgroup')
  made.label = label
  made.append(...members.map(({ name }) => new Option(name)))
  return made
}

/** @param {Card} card */
function takesAttempts({ accepts }) {
  return accepts.includes('attempts')
}

function chosen() {
  return /** @type {Card} */ (cards.get(select.value))
}

function chooseModel() {
  const card = chosen()
  const note = find('model-note')
  const none = ![...cards.values()].some(takesAttempts)
  const limits = takesAttempts(card)
    ? ''
    : ' It is given means and deviations of the times, and always names somebody.'
  note.textContent = `${none ? 'No model of raw keystrokes is loaded. ' : ''}${card.name}: ${card.title}.${limits}`
  sentence = sentenceOf(card.keys)
  field.maxLength = sentence.length
  recording?.stop()
  recording = record(field, {
    keys: card.keys,
    onProgress: progress,
    onComplete: complete,
    onRestart: restarted,
  })
  startAgain(false)
}

/** Forgets what was typed, for another person or from the beginning. */
function startAgain(focus = true) {
  typings = []
  answerCard.hidden = true
  typeAgain(focus)
  tell('Ready: the first key starts the clock.')
}

/** Waits for a typing, beside those that there are. */
function typeAgain(focus = true) {
  recording?.restart()
  emptyField()
  if (focus) field.focus()
}

function emptyField() {
  field.readOnly = false
  field.value = ''
  shown = []
  markSentence()
  redraw()
}

/** @param {RestartReason} reason */
function restarted(reason) {
  emptyField()
  tell(`${RESTARTS[reason]} It starts over: type the sentence from its beginning.`)
}

/** @param {readonly PendingKeystroke[]} keystrokes */
function progress(keystrokes) {
  if (shown.length === 0) {
    began = performance.now()
    tell('Recording…')
    requestAnimationFrame(grow)
  }
  shown = keystrokes
  redraw()
}

/** Has keys that are held grow from frame to frame, where a person likes things that move. */
function grow() {
  if (field.readOnly || shown.length === 0) return
  if (!still.matches) redraw()
  requestAnimationFrame(grow)
}

function redraw() {
  const last = shown.at(-1)
  const now = shown.some(({ release }) => release === undefined)
    ? performance.now() - began
    : (last?.release ?? 0)
  draw(find('picture'), sentence, shown, now)
  tabulate(/** @type {Element} */ (document.querySelector('#times tbody')), sentence, shown)
}

/** Tells in the sentence what is typed, and what is typed otherwise. */
function markSentence() {
  const typed = field.value
  const parts = [...sentence].map((character, i) => {
    const part = document.createElement('span')
    part.textContent = character
    if (i < typed.length) part.className = typed[i] === character ? 'right' : 'wrong'
    else if (i === typed.length) part.className = 'next'
    return part
  })
  find('sentence').replaceChildren(...parts)
}

/** @param {Keystroke[]} keystrokes */
async function complete(keystrokes) {
  if (field.value !== sentence) {
    typeAgain()
    tell('That was another text. Type the sentence as it stands, in small letters.')
    return
  }
  field.readOnly = true
  redraw()
  const asked = [...typings, { keystrokes }]
  typings = asked
  tell('Asking the service…')
  const card = chosen()
  try {
    const answer = await predict(card, asked.length === 1 ? asked[0] : { attempts: asked })
    // Who has started again meanwhile does not wait for it.
    if (typings !== asked) return
    const open = answer.anotherAttemptHelps === true && asked.length < mostAttempts(card)
    const offer = 'The same person, the same sentence: all typings are weighed together.'
    show([...explain(answer, card), ...(open ? [typeMore('Type it once more', offer)] : [])])
    tell(open ? 'Answered. Another typing may tell more.' : 'Answered.')
  } catch (problem) {
    if (typings !== asked) return
    // The next one does not stand beside what was not answered.
    typings = asked.slice(0, -1)
    refused(/** @type {Problem} */ (problem), typeMore('Type it again', ''))
    tell('Not answered.')
  }
}

/** @param {Card} card @param {unknown} sample @returns {Promise<Answer>} */
async function predict(card, sample) {
  for (;;) {
    const query = top > 0 ? `?top=${top}` : ''
    try {
      return /** @type {Answer} */ (await ask(`predict/${card.name}${query}`, sample))
    } catch (problem) {
      const { errors = [] } = /** @type {Problem} */ (problem)
      if (top === 0 || !errors.some(({ pointer }) => pointer === '/querystring/top')) throw problem
      // How many there may be is a setting of the service.
      top--
    }
  }
}

/** @param {string} label @param {string} offer */
function typeMore(label, offer) {
  const row = document.createElement('p')
  const button = document.createElement('button')
  button.type = 'button'
  button.textContent = label
  button.addEventListener('click', () => {
    typeAgain()
    tell(`Ready for typing ${typings.length + 1}.`)
  })
  row.append(button, ` ${offer}`)
  return row
}

/** Shows why there is no answer, and where to mend it. @param {Problem} problem @param {Node[]} more */
function refused(problem, ...more) {
  show([...complain(problem), ...more])
  if (problem.status !== 401) return
  access.open = true
  secret.focus()
}

/** Puts the answer there, and a reader who goes by the keyboard to it. @param {Node[]} parts */
function show(parts) {
  answerCard.replaceChildren(...parts)
  answerCard.hidden = false
  find('answer-title').focus({ preventScroll: true })
  answerCard.scrollIntoView({ block: 'nearest' })
}

/** @param {string} message */
function tell(message) {
  find('status').textContent = message
}

/**
 * Asks the service, at a path beside this page's.
 * @param {string} path
 * @param {unknown} [body] what is posted; without one it is a GET
 * @returns {Promise<unknown>}
 * @throws {Problem}
 */
async function ask(path, body) {
  const headers = {
    ...credentials,
    accept: 'application/json',
    ...(body !== undefined && { 'content-type': 'application/json' }),
  }
  const request = body === undefined ? { headers } : { method: 'POST', headers, body: JSON.stringify(body) }
  const response = await fetch(path, request).catch(() => {
    throw { title: 'No answer', detail: 'The service can not be reached.' }
  })
  const answer = await response.json().catch(() => {
    throw {
      title: 'No answer',
      status: response.status,
      detail: 'What answered is not the service: its answers are JSON.',
    }
  })
  if (response.ok) return answer
  throw answer
}
