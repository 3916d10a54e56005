import { complain, explainGuess, warningsOf } from './answer.js'
import { sentenceOf } from './sentence.js'
import { sentenceField } from './sentence-field.js'
import { ask, askWho } from './service.js'

/** @import { Problem } from './answer.js' */
/** @import { Keystroke } from './recorder.js' */

/** @typedef {{ user: string, state: 'collecting' | 'ready' | 'stale', samples: number }} Enrolled */

/** The page's own: what is forgotten here is nothing that somebody else has made. */
const TEXT = 'texts/demo-page'
const SENTENCE = sentenceOf(13)
/** It takes three typings to recognise somebody; with five there are less mistakes. */
const WANTED = 5

const STATES = {
  collecting: 'too few to be recognised',
  ready: 'can be recognised',
  stale: 'better enrolled anew',
}

const find = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id))

/**
 * The walk-through: people are enrolled and guessed.
 * @param {{ onUnauthorized: (asked: HTMLElement) => void }} listeners given what to go on with once there are credentials
 * @returns {{ refresh: () => void }} to be called where the service is asked by somebody else from now on
 */
export function enrolment({ onUnauthorized }) {
  const begin = /** @type {HTMLButtonElement} */ (find('begin'))
  const who = /** @type {HTMLInputElement} */ (find('who'))
  const guess = /** @type {HTMLButtonElement} */ (find('guess'))
  const form = find('own-form')
  const guessed = find('guessed')
  const field = /** @type {HTMLInputElement} */ (find('own-text'))
  const { take, again, tell } = sentenceField(
    { field, place: find('own-sentence'), status: find('own-status') },
    { onTyped: (keystrokes) => send(keystrokes) },
  )
  /** @type {Enrolled[]} */
  let enrolled = []
  /** What becomes of a typing; another one for each time that somebody begins something. */
  let send = /** @type {(keystrokes: Keystroke[]) => unknown} */ (() => {})

  take(SENTENCE)
  begin.addEventListener('click', open)
  form.addEventListener('submit', (event) => event.preventDefault())
  find('enrol').addEventListener('submit', (event) => {
    event.preventDefault()
    enrol(who.value)
  })
  guess.addEventListener('click', () => guessWho([]))
  find('forget-all').addEventListener('click', () => forget(TEXT, 'All are forgotten.'))
  return {
    refresh() {
      if (!find('enrol').hidden) showEnrolled().catch((problem) => refuse(problem))
    },
  }

  /** Only now the service is asked: a visit has it make nothing. */
  async function open() {
    try {
      await showEnrolled()
    } catch (problem) {
      const { status, code, detail } = /** @type {Problem} */ (problem)
      tell(detail)
      if (code === 'KSR_NO_ENROLMENT') begin.hidden = true
      if (status === 401) onUnauthorized(begin)
      return
    }
    begin.hidden = true
    for (const id of ['enrol', 'enrolled-part']) find(id).hidden = false
    tell('')
    who.focus()
  }

  /** @param {string} name */
  function enrol(name) {
    const { samples = 0 } = enrolled.find(({ user }) => user === name) ?? {}
    if (samples >= WANTED)
      return tell(`There is one of the name ${name} already: take another, or have them forgotten.`)
    prepare(`${name}, typing ${samples + 1} of ${WANTED}`, async (keystrokes, isCurrent) => {
      await ask(TEXT, { keys: SENTENCE.length, prior: 'general' }, 'PUT')
      const answer = await ask(`${TEXT}/users/${encodeURIComponent(name)}/samples`, { keystrokes })
      const { samples, quality } = /** @type {{ samples: number, quality: string[] }} */ (answer)
      await showEnrolled()
      if (!isCurrent()) return
      const warnings = warningsOf(quality).join(' ')
      if (samples < WANTED) {
        enrol(name)
        tell(`${samples} of ${WANTED} typings are kept. ${warnings}`)
      } else {
        form.hidden = true
        who.value = ''
        guess.focus()
        tell(
          `${name} is enrolled. Have somebody else enrol, or have the service guess who types. ${warnings}`,
        )
      }
    })
  }

  /** @param {{ keystrokes: Keystroke[] }[]} typings those of before, of the same person */
  function guessWho(typings) {
    prepare('Whoever it is', async (keystrokes, isCurrent) => {
      const asked = [...typings, { keystrokes }]
      const answer = await askWho(`${TEXT}/identify`, asked)
      if (!isCurrent()) return
      form.hidden = true
      const open = answer.anotherAttemptHelps === true
      show([...explainGuess(answer), ...(open ? [button('Type it once more', () => guessWho(asked))] : [])])
      tell(open ? 'Guessed. Another typing of the same person may tell more.' : 'Guessed.')
    })
  }

  /**
   * Waits for a typing.
   * @param {string} task what is to be typed
   * @param {(keystrokes: Keystroke[], isCurrent: () => boolean) => Promise<void>} then what is done with it; asks whether it is
   * still that which is waited for
   */
  function prepare(task, then) {
    const mine = async (/** @type {Keystroke[]} */ keystrokes) => {
      const isCurrent = () => send === mine
      tell('Asking the service…')
      try {
        await then(keystrokes, isCurrent)
      } catch (problem) {
        if (!isCurrent()) return
        form.hidden = true
        refuse(
          /** @type {Problem} */ (problem),
          button('Type it again', () => prepare(task, then)),
        )
      }
    }
    send = mine
    guessed.hidden = true
    form.hidden = false
    find('own-task').textContent = task
    again()
    tell('Ready: the first key starts the clock.')
  }

  /** @param {string} path @param {string} said */
  async function forget(path, said) {
    // Nobody waits for a typing of who is no longer there.
    send = () => {}
    form.hidden = true
    guessed.hidden = true
    try {
      await orNothing(ask(path, undefined, 'DELETE'))
      await showEnrolled()
      tell(said)
      who.focus()
    } catch (problem) {
      refuse(/** @type {Problem} */ (problem))
    }
  }

  /** @throws {Problem} */
  async function showEnrolled() {
    enrolled = await listEnrolled()
    find('enrolled').replaceChildren(
      ...enrolled.map(({ user, state, samples }) => {
        const item = document.createElement('li')
        const path = `${TEXT}/users/${encodeURIComponent(user)}`
        const typings = samples === 1 ? '1 typing' : `${samples} typings`
        const forgetting = button('Forget', () => forget(path, `${user} is forgotten.`))
        forgetting.ariaLabel = `Forget ${user}`
        forgetting.className = 'quiet'
        item.append(`${user}: ${typings}, ${STATES[state]}`, forgetting)
        return item
      }),
    )
    find('nobody').hidden = enrolled.length > 0
    find('forget-all').hidden = enrolled.length === 0
    guess.disabled = enrolled.every(({ state }) => state === 'collecting')
  }

  /** @param {Problem} problem @param {Node[]} more */
  function refuse(problem, ...more) {
    show([...complain(problem, 'guess'), ...more])
    tell('')
    if (problem.status === 401) onUnauthorized(who)
  }

  /** @param {Node[]} parts */
  function show(parts) {
    guessed.replaceChildren(...parts)
    guessed.hidden = false
    find('guess-title').focus({ preventScroll: true })
    guessed.scrollIntoView({ block: 'nearest' })
  }
}

/** @returns {Promise<Enrolled[]>} */
async function listEnrolled() {
  // More than that nobody enrols by hand.
  const answer = await orNothing(ask(`${TEXT}/users?limit=1000`))
  return /** @type {{ users: Enrolled[] } | undefined} */ (answer)?.users ?? []
}

/** What is answered; undefined where there is nothing, as before the first typing. @param {Promise<unknown>} asked */
function orNothing(asked) {
  return asked.catch((/** @type {Problem} */ problem) => {
    if (problem.status !== 404) throw problem
  })
}

/** @param {string} label @param {() => void} pressed */
function button(label, pressed) {
  const made = document.createElement('button')
  made.type = 'button'
  made.textContent = label
  made.addEventListener('click', pressed)
  return made
}
