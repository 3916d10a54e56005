// Made-up people: a rhythm each, and typings that are never twice alike.

const KEYS = 13

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
export function randomness(seed) {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** @returns what makes typings of one person: times around 95 ms held, and 190 ms from key to key */
export function typist(random) {
  const pace = Math.exp(0.35 * normal(random))
  const holds = Array.from({ length: KEYS }, () => 95 * Math.exp(0.25 * normal(random)))
  const steps = Array.from({ length: KEYS }, () => 190 * pace * Math.exp(0.35 * normal(random)))
  return () => {
    let press = 0
    const keystrokes = holds.map((hold, key) => {
      if (key > 0) press += steps[key] * Math.exp(0.18 * normal(random))
      return { press: rounded(press), release: rounded(press + hold * Math.exp(0.15 * normal(random))) }
    })
    return { keystrokes }
  }
}

/** Box and Muller 1958. */
function normal(random) {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
}

const rounded = (time) => Math.round(time * 10) / 10
