import { record } from './recorder.js'

/** @import { Keystroke, PendingKeystroke, Recording, RestartReason } from './recorder.js' */

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

/**
 * @typedef {object} SentenceField
 * @property {(sentence: string) => void} take Takes typings of another sentence from now on.
 * @property {(focus?: boolean) => void} again Forgets what was typed, and waits for the first key.
 * @property {(message: string) => void} tell Says something of it.
 */

/**
 * A field in which a sentence is typed, the sentence, in which one sees how far one is, and what is said of it. What is no
 * typing of the sentence starts over, and it says why.
 * @param {object} elements
 * @param {HTMLInputElement} elements.field
 * @param {HTMLElement} elements.place where the sentence stands
 * @param {HTMLElement} elements.status
 * @param {object} listeners
 * @param {(keystrokes: Keystroke[]) => void} listeners.onTyped Called once the sentence was typed; the field takes nothing more
 * before `again()`.
 * @param {(keystrokes: readonly PendingKeystroke[]) => void} [listeners.onProgress] Called whenever a key goes down or up, with
 * all so far, and when they are forgotten.
 * @returns {SentenceField}
 */
export function sentenceField({ field, place, status }, { onTyped, onProgress }) {
  let sentence = ''
  /** @type {Recording | undefined} */
  let recording
  let begun = false
  field.addEventListener('input', mark)
  return { take, again, tell }

  /** @param {string} wanted */
  function take(wanted) {
    sentence = wanted
    field.maxLength = sentence.length
    recording?.stop()
    recording = record(field, {
      keys: sentence.length,
      onProgress: progress,
      onComplete: complete,
      onRestart: restarted,
    })
  }

  function again(focus = true) {
    recording?.restart()
    empty()
    if (focus) field.focus()
  }

  function empty() {
    begun = false
    field.readOnly = false
    field.value = ''
    mark()
    onProgress?.([])
  }

  /** @param {RestartReason} reason */
  function restarted(reason) {
    empty()
    tell(`${RESTARTS[reason]} It starts over: type the sentence from its beginning.`)
  }

  /** @param {readonly PendingKeystroke[]} keystrokes */
  function progress(keystrokes) {
    if (!begun) tell('Recording…')
    begun = true
    onProgress?.(keystrokes)
  }

  /** @param {Keystroke[]} keystrokes */
  function complete(keystrokes) {
    if (field.value !== sentence) {
      again()
      tell('That was another text. Type the sentence as it stands, in small letters.')
      return
    }
    field.readOnly = true
    onTyped(keystrokes)
  }

  /** Tells in the sentence what is typed, and what is typed otherwise. */
  function mark() {
    const typed = field.value
    const parts = [...sentence].map((character, i) => {
      const part = document.createElement('span')
      part.textContent = character
      if (i < typed.length) part.className = typed[i] === character ? 'right' : 'wrong'
      else if (i === typed.length) part.className = 'next'
      return part
    })
    place.replaceChildren(...parts)
  }

  /** @param {string} message */
  function tell(message) {
    status.textContent = message
  }
}
