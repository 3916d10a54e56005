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
  heard.refuse('anna', rows.slice(0, 1), [], 0)
  const [typing] = typings as [(typeof typings)[0]]
  for (const again of [typing, jittered(typing, 3), jittered(typing, 3, 2, 1.1)]) {
    t.throws(() => heard.refuse('anna', [row(again)], [], 0), {
      ...refusal,
      errors: [{ pointer: '/keystrokes' }],
    })
  }
  heard.refuse('anna', rows.slice(1, 2), [], 0)
  heard.refuse('ben', rows.slice(0, 1), [], 0)
  t.end()
})

t.test('nor is one that is known, or that is sent twice at once', (t) => {
  const heard = new Heard()
  t.throws(() => heard.refuse('anna', [rows[1], rows[0]] as Float32Array[], [rows[0] as Float32Array], 0), {
    ...refusal,
    errors: [{ pointer: '/attempts/1' }],
  })
  t.throws(() => heard.refuse('anna', [rows[2], rows[3], rows[2]] as Float32Array[], [], 0), {
    ...refusal,
    errors: [{ pointer: '/attempts/2' }],
  })
  heard.refuse('anna', rows.slice(1, 4), [], 0)
  t.pass('of what was refused nothing was heard')
  t.end()
})

t.test('of each user the last eight are remembered, until they are forgotten', (t) => {
  const heard = new Heard()
  for (const [i, row] of rows.slice(0, 9).entries()) heard.refuse('anna', [row], [], i)
  heard.refuse('anna', rows.slice(0, 1), [], 9)
  t.throws(() => heard.refuse('anna', rows.slice(8, 9), [], 10), refusal)
  heard.forget('anna')
  heard.refuse('anna', rows.slice(8, 9), [], 11)
  heard.refuse('ben', rows.slice(8, 9), [], 12)
  heard.forgetBefore(12)
  heard.refuse('anna', rows.slice(8, 9), [], 13)
  t.throws(() => heard.refuse('ben', rows.slice(8, 9), [], 14), refusal)
  heard.forgetBefore(99)
  heard.refuse('ben', rows.slice(8, 9), [], 15)
  t.end()
})

t.test('of more users than are remembered the one is forgotten who was heard first', (t) => {
  const heard = new Heard()
  for (let user = 0; user <= 10_000; user++) heard.refuse(`${user}`, rows.slice(0, 1), [], user)
  heard.refuse('0', rows.slice(0, 1), [], 0)
  t.throws(() => heard.refuse('2', rows.slice(0, 1), [], 0), refusal)
  t.end()
})

t.test(
  'what was not enough comes again with the other one that was asked for, and with that is heard',
  (t) => {
    const heard = new Heard()
    const [one, two, three] = rows as [Float32Array, Float32Array, Float32Array]
    heard.refuse('anna', [one], [], 0, true)
    t.throws(() => heard.refuse('anna', [one], [], 1), refusal, 'alone it is a replay')
    t.throws(() => heard.refuse('anna', [two, one], [], 1), {
      ...refusal,
      errors: [{ pointer: '/attempts/1' }],
    })
    heard.refuse('anna', [one, two], [], 2, true)
    heard.refuse('anna', [one, two, three], [], 3)
    for (const row of [one, two, three])
      t.throws(() => heard.refuse('anna', [row, rows[4] as Float32Array], [], 4), refusal)
    t.end()
  },
)
