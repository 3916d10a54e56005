import { complain, explain, mostAttempts } from './answer.js'
import { enrolment } from './enrolment.js'
import { draw, tabulate } from './picture.js'
import { sentenceOf } from './sentence.js'
import { sentenceField } from './sentence-field.js'
import { ask, askWho, showCredentials } from './service.js'

/** @import { Card, Problem } from './answer.js' */
/** @import { Keystroke, PendingKeystroke } from './recorder.js' */

/** The model that knows most, where it is there. */
const FAVOURITE = 'best'

const find = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id))
const field = /** @type {HTMLInputElement} */ (find('text'))
const select = /** @type {HTMLSelectElement} */ (find('model'))
const secret = /** @type {HTMLInputElement} */ (find('secret'))
const kind = /** @type {HTMLSelectElement} */ (find('kind'))
const again = /** @type {HTMLButtonElement} */ (find('again'))
const access = /** @type {HTMLDetailsElement} */ (find('access'))
const answerCard = find('answer')
const still = matchMedia('(prefers-reduced-motion: reduce)')
const {
  take,
  again: typeAgain,
  tell,
} = sentenceField(
  { field, place: find('sentence'), status: find('status') },
  { onTyped: answerTyping, onProgress: progress },
)
const own = enrolment({ onUnauthorized: askForCredentials })

/** @type {Map<string, Card>} */
let cards = new Map()
/** The typings that are answered together. @type {{ keystrokes: Keystroke[] }[]} */
let typings = []
let sentence = ''
/** What is recorded, and when by the clock of the page it began. @type {readonly PendingKeystroke[]} */
let shown = []
let began = 0
/** Who goes on once there are credentials. @type {HTMLElement} */
let asking = field

find('form').addEventListener('submit', (event) => event.preventDefault())
find('credentials').addEventListener('submit', (event) => {
  event.preventDefault()
  showCredentials(
    kind.value === 'key' ? { 'x-api-key': secret.value } : { authorization: `Bearer ${secret.value}` },
  )
  own.refresh()
  openModels().then(() => asking.focus())
})
select.addEventListener('change', chooseModel)
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
  take(sentence)
  startAgain(false)
}

/** Forgets what was typed, for another person or from the beginning. */
function startAgain(focus = true) {
  typings = []
  answerCard.hidden = true
  typeAgain(focus)
  tell('Ready: the first key starts the clock.')
}

/** @param {readonly PendingKeystroke[]} keystrokes */
function progress(keystrokes) {
  if (shown.length === 0 && keystrokes.length > 0) {
    began = performance.now()
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

/** @param {Keystroke[]} keystrokes */
async function answerTyping(keystrokes) {
  const asked = [...typings, { keystrokes }]
  typings = asked
  tell('Asking the service…')
  const card = chosen()
  try {
    const answer = await askWho(`predict/${card.name}`, asked)
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
  show([...complain(problem, 'answer'), ...more])
  if (problem.status === 401) askForCredentials(field)
}

/** @param {HTMLElement} asked where it goes on with them */
function askForCredentials(asked) {
  asking = asked
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
