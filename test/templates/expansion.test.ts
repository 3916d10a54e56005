import t from 'tap'
import { featureOrder, timingsRow } from '../../src/keystroke/features.js'
import { timesOf } from '../../src/keystroke/times.js'
import { counterparts, countsOf, expand, KINDS, kindsOf, widthOf } from '../../src/templates/expansion.js'
import { person } from '../fixtures/people.js'

t.test('a template has nine numbers a key but for seven, in the order of their kinds', (t) => {
  for (const keys of [2, 3, 5, 13, 128]) {
    t.equal(widthOf(keys), 9 * keys - 7, `${keys} keys`)
    t.equal(kindsOf(keys).length, widthOf(keys))
  }
  t.same(countsOf(3), [3, 2, 2, 2, 3, 2, 1, 1, 2, 1, 1])
  t.same([...kindsOf(2)], [0, 0, 1, 2, 3, 4, 4, 5, 6, 7, 8], 'of two keys there is no change between pairs')
  t.end()
})

t.test('before the changes the kinds are those of the rows that come in', (t) => {
  for (const keys of [2, 5, 13]) {
    const kinds = featureOrder('timings', keys).map((name) => name.replace(/\[.*/, ''))
    t.same(
      [...kindsOf(keys)].slice(0, kinds.length).map((kind) => KINDS[kind]),
      kinds,
    )
  }
  t.end()
})

t.test('behind a row stand the changes of its holds, press-press and release-press times', (t) => {
  // Three keys: logHT ×3, logPPT ×2, logRRT ×2, asinhRPT ×2, relativeHT ×3, relativePPT ×2, medianHT, medianPPT.
  const row = Float32Array.of(1, 2, 4, 10, 13, 20, 25, 30, 37, 0, 1, 2, 3, 4, 5, 6)
  t.same([...expand(row, 3)], [...row, 1, 2, 3, 7])
  t.same([...expand(row.slice(0, 10), 2)], [...row.slice(0, 10), 1], 'two keys have one change of holds')
  t.end()
})

t.test('each change is what follows less what was before, as training names them', (t) => {
  for (const keys of [2, 3, 13]) {
    const row = timingsRow(timesOf(person(1, keys)(), keys))
    const names = featureOrder('timings', keys)
    const value = (name: string, key: number) => row[names.indexOf(`${name}[${key}]`)] as number
    const expected = ['logHT', 'logPPT', 'asinhRPT'].flatMap((name) =>
      Array.from(
        { length: keys - (name === 'logHT' ? 1 : 2) },
        (_, key) => value(name, key + 1) - value(name, key),
      ),
    )
    t.same([...expand(row, keys)], [...row, ...expected], `${keys} keys`)
  }
  t.end()
})

t.test('the like of a feature is of its kind, and as far along the text', (t) => {
  t.same(
    [...counterparts(13, 13)],
    Array.from({ length: widthOf(13) }, (_, f) => f),
    'of as many keys it is itself',
  )
  for (const [keys, known] of [
    [2, 13],
    [8, 13],
    [40, 13],
    [5, 3],
  ] as const) {
    const [own, others] = [kindsOf(keys), kindsOf(known)]
    const places = counterparts(keys, known)
    t.same(
      [...places].map((place) => others[place]),
      [...own],
      `${keys} keys as ${known}`,
    )
    const holds = [...places].slice(0, keys)
    t.same([holds[0], holds.at(-1)], [0, known - 1], 'from the first key to the last')
    t.same(
      holds,
      holds.toSorted((a, b) => a - b),
    )
  }
  t.same([...counterparts(3, 5)].slice(0, 5), [0, 2, 4, 5, 8])
  t.same([...counterparts(4, 13)].slice(0, 4), [0, 4, 8, 12])
  t.equal(counterparts(2, 13)[2], 13, 'the only pair is like the first')
  t.end()
})
