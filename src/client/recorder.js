// Records when the keys of a known text go down and up in a field of a page, as the service wants it. What is typed is
// never kept: of a key there is only its place on the keyboard, and that only while it is down.

/**
 * One key going down and up, in ms since the first key went down.
 * @typedef {object} Keystroke
 * @property {number} press
 * @property {number} release
 */

/**
 * A keystroke whose key may still be down: then there is no release.
 * @typedef {object} PendingKeystroke
 * @property {number} press
 * @property {number} [release]
 */

/**
 * Why a typing has to start over:
 *
 * - `deleted`: something was deleted or cut
 * - `moved`: a key was pressed where the cursor was not at the end, or something was selected
 * - `pasted`: text was pasted or dropped
 * - `composed`: an input method or a dead key made the text, so that keys and characters do not go together
 * - `untimed`: text came from no key that can be timed: a keyboard on the screen, autocompletion, dictation, undo
 * - `left`: the field lost the focus
 * - `lost`: a key went down again of which nobody had seen that it came up
 * @typedef {'deleted' | 'moved' | 'pasted' | 'composed' | 'untimed' | 'left' | 'lost'} RestartReason
 */

/**
 * @typedef {object} RecordOptions
 * @property {number} keys How many keys the text has.
 * @property {(keystrokes: Keystroke[]) => void} onComplete Called once all keys were pressed and are up again. What is
 * typed after that is not recorded before `restart()`.
 * @property {(reason: RestartReason) => void} [onRestart] Called when what was recorded is worth nothing and the typing
 * starts over: the place to empty the field and to say why.
 * @property {(keystrokes: PendingKeystroke[]) => void} [onProgress] Called whenever a key goes down or up, with all so far.
 */

/**
 * @typedef {object} Recording
 * @property {() => void} restart Forgets what was recorded and waits for the first key. The field is the caller's to empty.
 * @property {() => void} stop Stops listening.
 */

/** Old browsers give the time of an event since 1970, or none. */
const LONGEST_UPTIME_MS = 1e12

/** @type {[RegExp, RestartReason][]} */
const REASONS = [
  [/^delete/, 'deleted'],
  [/^insertFrom(Paste|Drop|Yank)/, 'pasted'],
]

/**
 * Records one typing after another in a field, beginning with the next key.
 *
 *     const recording = record(field, {
 *       keys: 13,
 *       onComplete: (keystrokes) => send({ keystrokes }),
 *       onRestart: () => { field.value = '' },
 *     })
 *
 * @param {HTMLInputElement | HTMLTextAreaElement} field
 * @param {RecordOptions} options
 * @returns {Recording}
 */
export function record(field, { keys, onComplete, onRestart, onProgress }) {
  /** @type {PendingKeystroke[]} */
  let keystrokes = []
  /** The keys that are down, by their place on the keyboard. @type {Map<string, PendingKeystroke>} */
  const down = new Map()
  let origin = 0
  let complete = false
  /** Whether the text that comes next is that of a key which was recorded. */
  let expected = false

  const listening = new AbortController()
  const { signal } = listening
  /** @type {HTMLElement} */
  const element = field
  element.addEventListener('keydown', pressed, { signal })
  element.addEventListener('keyup', released, { signal })
  element.addEventListener('input', (event) => changed(/** @type {InputEvent} */ (event)), { signal })
  element.addEventListener('compositionstart', () => startOver('composed'), { signal })
  // Once more: only now there is all of the text that it left in the field.
  element.addEventListener('compositionend', () => startOver('composed', true), { signal })
  element.addEventListener('blur', () => startOver('left'), { signal })
  return { restart, stop: () => listening.abort() }

  /** @param {KeyboardEvent} event */
  function pressed(event) {
    if (complete || event.isComposing || event.keyCode === 229) return
    if (event.key === 'Dead') return startOver('composed')
    // Without a code nobody could tell which key comes up: its text is taken for what it is, untimed.
    if (!writes(event) || event.code === '') return
    // A key that is held writes once.
    if (event.repeat) return event.preventDefault()
    if (down.has(event.code)) return refuse(event, 'lost')
    if (!atEnd()) return refuse(event, 'moved')
    expected = true
    if (keystrokes.length === keys) return
    const time = timeOf(event)
    if (keystrokes.length === 0) origin = time
    const keystroke = { press: sinceOrigin(time) }
    keystrokes.push(keystroke)
    down.set(event.code, keystroke)
    onProgress?.([...keystrokes])
  }

  /** @param {KeyboardEvent} event */
  function released(event) {
    const keystroke = down.get(event.code)
    if (keystroke === undefined) return
    down.delete(event.code)
    keystroke.release = sinceOrigin(timeOf(event))
    onProgress?.([...keystrokes])
    if (keystrokes.length < keys || down.size > 0) return
    complete = true
    onComplete(/** @type {Keystroke[]} */ (keystrokes))
  }

  /** @param {InputEvent} event */
  function changed({ inputType, isComposing }) {
    const wasExpected = expected
    expected = false
    if (isComposing || /Composition/.test(inputType)) return
    if (wasExpected && inputType === 'insertText') return
    startOver(REASONS.find(([pattern]) => pattern.test(inputType))?.[1] ?? 'untimed', true)
  }

  /** Has a key that belongs to nothing write nothing either. @param {KeyboardEvent} event @param {RestartReason} reason */
  function refuse(event, reason) {
    event.preventDefault()
    startOver(reason, true)
  }

  /** @param {RestartReason} reason @param {boolean} [hasText] whether there is something to empty, even if nothing was recorded */
  function startOver(reason, hasText = false) {
    if (complete || (keystrokes.length === 0 && !hasText)) return
    restart()
    onRestart?.(reason)
  }

  function restart() {
    keystrokes = []
    down.clear()
    complete = false
    expected = false
  }

  /** Whether what is written next is added at the end; fields of some types don't tell. */
  function atEnd() {
    return field.selectionStart === null || field.selectionStart === field.value.length
  }

  /** @param {number} time */
  function sinceOrigin(time) {
    return Math.round((time - origin) * 1000) / 1000
  }
}

/** Whether a key writes a character: neither one such as Shift, Enter or an arrow, nor a part of a shortcut. @param {KeyboardEvent} event */
function writes(event) {
  // On Windows, AltGr is Ctrl and Alt as well.
  const shortcut = (event.ctrlKey || event.metaKey) && !event.getModifierState('AltGraph')
  return !shortcut && [...event.key].length === 1
}

/** When a key moved, by the clock of `performance.now()`: nearer to the key than the time at which a script hears of it. @param {KeyboardEvent} event */
function timeOf({ timeStamp }) {
  return timeStamp > 0 && timeStamp < LONGEST_UPTIME_MS ? timeStamp : performance.now()
}
