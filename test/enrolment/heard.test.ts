import t from 'tap'
import { Heard } from '../../src/enrolment/heard.js'
import { timingsRow } from '../../src/keystroke/features.js'
import { timesOf } from '../../src/keystroke/times.js'
import { jittered, person, times } from '../fixtures/people.js'

const KEYS = 13
const row = (keystrokes: ReturnType<ReturnType<typeof person>>) => timingsRow(timesOf(keystrokes, KEYS))
const type = person(1)
const typings = times(12, type)
const rows = typings.map(row)

t.test('a typing is heard once: not as it was sent, nor moved a little, nor in another tempo', (t) => {
  const heard = new Heard()
  t.equal(heard.hear('anna', rows.slice(0, 1), [], 0, false), -1)
  const [typing] = typings as [(typeof typings)[0]]
  for (const again of [typing, jittered(typing, 3), jittered(typing, 3, 2, 1.1)]) {
    t.equal(heard.hear('anna', [row(again)], [], 0, false), 0)
  }
  t.equal(heard.hear('anna', rows.slice(1, 2), [], 0, false), -1)
  t.equal(heard.hear('ben', rows.slice(0, 1), [], 0, false), -1)
  t.end()
})

t.test('nor is one that is known, or that is sent twice at once', (t) => {
  const heard = new Heard()
  const known = rows.slice(0, 1)
  t.equal(heard.hear('anna', [rows[1], rows[0]] as Float32Array[], known, 0, false), 1)
  t.equal(heard.hear('anna', [rows[2], rows[3], rows[2]] as Float32Array[], [], 0, false), 2)
  t.equal(heard.hear('anna', rows.slice(1, 4), [], 0, false), -1, 'of what was refused nothing was heard')
  t.end()
})

t.test('of each user the last eight are remembered, until they are forgotten', (t) => {
  const heard = new Heard()
  for (const [i, row] of rows.slice(0, 9).entries()) heard.hear('anna', [row], [], i, false)
  t.equal(heard.hear('anna', rows.slice(0, 1), [], 9, false), -1)
  t.equal(heard.hear('anna', rows.slice(8, 9), [], 10, false), 0)
  heard.forget('anna')
  t.equal(heard.hear('anna', rows.slice(8, 9), [], 11, false), -1)
  t.equal(heard.hear('ben', rows.slice(8, 9), [], 12, false), -1)
  heard.forgetBefore(12)
  t.equal(heard.hear('anna', rows.slice(8, 9), [], 13, false), -1)
  t.equal(heard.hear('ben', rows.slice(8, 9), [], 14, false), 0)
  heard.forgetBefore(99)
  t.equal(heard.hear('ben', rows.slice(8, 9), [], 15, false), -1)
  t.end()
})

t.test('those of many are forgotten by how their names begin', (t) => {
  const heard = new Heard()
  const some = rows.slice(0, 1)
  const all = ['a anna', 'a ben', 'ab anna']
  for (const of of all) heard.hear(of, some, [], 0, false)
  heard.forgetAll('a ')
  t.same(
    all.map((of) => heard.hear(of, some, [], 0, false)),
    [-1, -1, 0],
  )
  t.end()
})

t.test('of more users than are remembered the one is forgotten who was heard first', (t) => {
  const heard = new Heard()
  for (let user = 0; user <= 10_000; user++) heard.hear(`${user}`, rows.slice(0, 1), [], user, false)
  t.equal(heard.hear('0', rows.slice(0, 1), [], 0, false), -1)
  t.equal(heard.hear('2', rows.slice(0, 1), [], 0, false), 0)
  t.end()
})

t.test('a typing that was not enough comes again in front of another one, and in no other way', (t) => {
  const heard = new Heard()
  const [first, second, third, fourth] = rows as [Float32Array, Float32Array, Float32Array, Float32Array]
  t.equal(heard.hear('anna', [first], [], 0, true), -1)
  for (const [again, at] of [
    [[first], 0],
    [[second, first], 1],
    [[first, first], 1],
  ] as const) {
    t.equal(heard.hear('anna', again, [], 1, false), at)
  }
  t.equal(heard.hear('anna', [first, second], [], 1, true), -1)
  t.equal(heard.hear('anna', [first, second, third], [], 2, false), -1)
  for (const again of [first, second, third]) {
    t.equal(heard.hear('anna', [again, fourth], [], 3, false), 0)
  }
  t.equal(heard.hear('anna', [fourth], [], 4, false), -1)
  t.end()
})

t.test('what a refused request had is not heard after all, and the rest still is', (t) => {
  const heard = new Heard()
  const [one, two, three] = rows as [Float32Array, Float32Array, Float32Array]
  t.equal(heard.hear('anna', [one], [], 0, false), -1)
  t.equal(heard.hear('anna', [two], [], 1, false), -1)
  t.equal(heard.hear('anna', [three], [], 2, true), -1)
  heard.withdraw('anna', [two, three])
  heard.withdraw('ben', [two])
  t.equal(heard.hear('anna', [two], [], 3, false), -1)
  t.equal(heard.hear('anna', [three], [], 4, false), -1)
  t.equal(heard.hear('anna', [one], [], 5, false), 0)
  t.end()
})
