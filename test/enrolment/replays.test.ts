import { readFileSync } from 'node:fs'
import t from 'tap'
import { isReplay } from '../../src/enrolment/replays.js'
import { timingsRow } from '../../src/keystroke/features.js'
import { type FeatureRow, timesOf } from '../../src/keystroke/times.js'

type Typing = { press: number; release: number }[]

const path = process.env.KEYSTROKE_DATA
const skip = path === undefined && 'KEYSTROKE_DATA does not name the data set that the constants come from'
const typists = readTypings(
  readFileSync(new URL('../fixtures/typists/keystrokes.csv', import.meta.url), 'utf8'),
)

t.test('a typing is a replay of itself, moved a little, faster and slower', (t) => {
  const random = randomFrom(1)
  for (let trial = 0; trial < 200; trial++) {
    const typing = madeUp(13, random)
    const known = [rowOf(madeUp(13, random)), rowOf(typing)]
    t.ok(isReplay(rowOf(typing), known))
    for (const tempo of [0.5, 0.9, 1, 1.1, 2]) {
      if (!isReplay(rowOf(moved(typing, 3, tempo, random)), known)) t.fail(`trial ${trial}, tempo ${tempo}`)
    }
  }
  t.end()
})

t.test('another typing is none, nor is the first of all', (t) => {
  const random = randomFrom(2)
  const known = Array.from({ length: 200 }, () => rowOf(madeUp(13, random)))
  t.notOk(isReplay(rowOf(madeUp(13, random)), known))
  t.notOk(isReplay(rowOf(madeUp(13, random)), []))
  for (const [user, typings] of typists) {
    const rows = typings.map(rowOf)
    for (const [i, row] of rows.entries()) t.notOk(isReplay(row, rows.toSpliced(i, 1)), `${user}, ${i}`)
  }
  t.end()
})

t.test('where some keys are moved far it is no replay: that may be the same person again', (t) => {
  const typing = madeUp(13, randomFrom(3))
  const later = typing.map(({ press, release }, i) => ({
    press: press + i * (i % 3) * 12,
    release: release + i * (i % 3) * 12,
  }))
  t.notOk(isReplay(rowOf(later), [rowOf(typing)]))
  t.end()
})

t.test('of a short text only what is closer is a replay, of two keys nothing', (t) => {
  const random = randomFrom(4)
  for (const [keys, by, found] of [
    [4, 0.5, true],
    [4, 20, false],
    [2, 0, false],
  ] as const) {
    const typing = madeUp(keys, random)
    t.equal(isReplay(rowOf(moved(typing, by, 1, random)), [rowOf(typing)]), found, `${keys} keys, ±${by} ms`)
  }
  t.end()
})

t.test(
  'in the data set no typing is a replay of another one, and each is found when it is moved by ±5 ms',
  { skip },
  (t) => {
    const users = [...readTypings(readFileSync(path as string, 'utf8')).values()]
    const rows = users.map((typings) => typings.map(rowOf))
    const random = randomFrom(5)
    let moves = 0
    let found = 0
    for (const [user, own] of rows.entries()) {
      for (const [i, row] of own.entries()) {
        if (isReplay(row, own.slice(i + 1))) t.fail(`user ${user}: ${i} is one of a later typing`)
        if (isReplay(row, rows.slice(user + 1).flat())) t.fail(`user ${user}: ${i} is one of somebody else`)
        for (const by of [1, 2, 3, 5]) {
          for (const tempo of [0.9, 1, 1.1]) {
            moves++
            if (isReplay(rowOf(moved(users[user]?.[i] as Typing, by, tempo, random)), own)) found++
          }
        }
      }
    }
    t.equal(moves, 880 * 12)
    t.ok(found / moves > 0.999, `${found} of ${moves}`)
    t.end()
  },
)

function rowOf(typing: Typing): FeatureRow {
  return timingsRow(timesOf(typing, typing.length))
}

/** A typing of somebody who is neither fast nor slow. */
function madeUp(keys: number, random: () => number): Typing {
  let press = 0
  return Array.from({ length: keys }, () => {
    press += 80 + 400 * random()
    return { press, release: press + 60 + 120 * random() }
  })
}

/** Every event by up to so many ms, and all in another tempo. */
function moved(typing: Typing, by: number, tempo: number, random: () => number): Typing {
  const move = (time: number) => time * tempo + by * (2 * random() - 1)
  let last = Number.NEGATIVE_INFINITY
  return typing.map((keystroke) => {
    last = Math.max(last, move(keystroke.press))
    return { press: last, release: Math.max(last, move(keystroke.release)) }
  })
}

function readTypings(csv: string): Map<string, Typing[]> {
  const users = new Map<string, Typing[]>()
  for (const line of csv.trimEnd().split('\n').slice(1)) {
    const [user, ...cells] = line.split(',') as [string, ...string[]]
    const times = cells.map(Number)
    const typing = times.flatMap((press, i) =>
      i % 2 === 0 ? [{ press, release: times[i + 1] as number }] : [],
    )
    users.set(user, [...(users.get(user) ?? []), typing])
  }
  return users
}

/** Mulberry32: the same numbers in every run. */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
