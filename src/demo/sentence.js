const PASSAGE = ['the', 'quick', 'brown', 'small', 'happy', 'clean', 'green', 'sunny', 'early']
/** By their length: a sentence ends with the one that fills it. */
const LAST = ['', 'a', 'ox', 'fox', 'deer', 'tiger', 'rabbit', 'dolphin', 'squirrel']

/**
 * A sentence to type, of lower-case words.
 * @param {number} keys how many characters it has
 * @returns {string}
 */
export function sentenceOf(keys) {
  const words = []
  let left = keys
  for (let i = 0; left >= LAST.length; i++) {
    const word = /** @type {string} */ (PASSAGE[i % PASSAGE.length])
    words.push(word)
    left -= word.length + 1
  }
  return [...words, LAST[left]].join(' ')
}
