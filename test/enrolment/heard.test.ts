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
const refusal = { code: 'KSR_REPLAYED', statusCode: 409 }

t.test('a typing is heard once: not as it was sent, nor moved a little, nor in another tempo', (t) => {
  const heard = new Heard()
  heard.refuse('anna', rows.slice(0, 1), [], 0, false)
  const [typing] = typings as [(typeof typings)[0]]
  for (const again of [typing, jittered(typing, 3), jittered(typing, 3, 2, 1.1)]) {
    t.throws(() => heard.refuse('anna', [row(again)], [], 0, false), {
      ...refusal,
      errors: [{ pointer: '/keystrokes' }],
    })
  }
  heard.refuse('anna', rows.slice(1, 2), [], 0, false)
  heard.refuse('ben', rows.slice(0, 1), [], 0, false)
  t.end()
})

t.test('nor is one that is known, or that is sent twice at once', (t) => {
  const heard = new Heard()
  t.throws(
    () => heard.refuse('anna', [rows[1], rows[0]] as Float32Array[], [rows[0] as Float32Array], 0, false),
    {
      ...refusal,
      errors: [{ pointer: '/attempts/1' }],
    },
  )
  t.throws(() => heard.refuse('anna', [rows[2], rows[3], rows[2]] as Float32Array[], [], 0, false), {
    ...refusal,
    errors: [{ pointer: '/attempts/2' }],
  })
  heard.refuse('anna', rows.slice(1, 4), [], 0, false)
  t.pass('of what was refused nothing was heard')
  t.end()
})

t.test('of each user the last eight are remembered, until they are forgotten', (t) => {
  const heard = new Heard()
  for (const [i, row] of rows.slice(0, 9).entries()) heard.refuse('anna', [row], [], i, false)
  heard.refuse('anna', rows.slice(0, 1), [], 9, false)
  t.throws(() => heard.refuse('anna', rows.slice(8, 9), [], 10, false), refusal)
  heard.forget('anna')
  heard.refuse('anna', rows.slice(8, 9), [], 11, false)
  heard.refuse('ben', rows.slice(8, 9), [], 12, false)
  heard.forgetBefore(12)
  heard.refuse('anna', rows.slice(8, 9), [], 13, false)
  t.throws(() => heard.refuse('ben', rows.slice(8, 9), [], 14, false), refusal)
  heard.forgetBefore(99)
  heard.refuse('ben', rows.slice(8, 9), [], 15, false)
  t.end()
})

t.test('of more users than are remembered the one is forgotten who was heard first', (t) => {
  const heard = new Heard()
  for (let user = 0; user <= 10_000; user++) heard.refuse(`${user}`, rows.slice(0, 1), [], user, false)
  heard.refuse('0', rows.slice(0, 1), [], 0, false)
  t.throws(() => heard.refuse('2', rows.slice(0, 1), [], 0, false), refusal)
  t.end()
})

t.test('a typing that was not enough comes again in front of another one, and in no other way', (t) => {
  const heard = new Heard()
  const [first, second, third, fourth] = rows as [Float32Array, Float32Array, Float32Array, Float32Array]
  heard.refuse('anna', [first], [], 0, true)
  for (const [again, at] of [
    [[first], '/keystrokes'],
    [[second, first], '/attempts/1'],
    [[first, first], '/attempts/1'],
  ] as const) {
    t.throws(() => heard.refuse('anna', again, [], 1, false), { ...refusal, errors: [{ pointer: at }] })
  }
  heard.refuse('anna', [first, second], [], 1, true)
  heard.refuse('anna', [first, second, third], [], 2, false)
  for (const again of [first, second, third]) {
    t.throws(() => heard.refuse('anna', [again, fourth], [], 3, false), {
      errors: [{ pointer: '/attempts/0' }],
    })
  }
  heard.refuse('anna', [fourth], [], 4, false)
  t.end()
})

t.test('what a refused request had is not heard after all, and the rest still is', (t) => {
  const heard = new Heard()
  const [one, two, three] = rows as [Float32Array, Float32Array, Float32Array]
  heard.refuse('anna', [one], [], 0, false)
  heard.refuse('anna', [two], [], 1, false)
  heard.refuse('anna', [three], [], 2, true)
  heard.withdraw('anna', [two, three])
  heard.withdraw('ben', [two])
  heard.refuse('anna', [two], [], 3, false)
  heard.refuse('anna', [three], [], 4, false)
  t.throws(() => heard.refuse('anna', [one], [], 5, false), refusal)
  t.end()
})
