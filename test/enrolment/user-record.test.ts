import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import t from 'tap'
import { decodeUser, encodeUser, type UserRecord } from '../../src/enrolment/user-record.js'
import { holds } from '../fixtures/fuzzing.js'

const moment = fc.constantFrom('2025-05-01T00:00:00.000Z', '2026-11-30T23:59:59.999Z')
const PLAIN = { noNullPrototype: true }
const time = fc.double({ noNaN: true, noDefaultInfinity: true })
const sample = fc.record(
  {
    id: fc.uuid(),
    at: moment,
    source: fc.constantFrom('enrolled' as const, 'verified' as const),
    row: fc.array(fc.float({ noNaN: true }), { maxLength: 80 }).map((row) => Float32Array.from(row)),
    keystrokes: fc.array(fc.record({ press: time, release: time }, PLAIN), { minLength: 1, maxLength: 13 }),
  },
  { noNullPrototype: true, requiredKeys: ['id', 'at', 'source', 'row'] },
)
const floats = (length: number) =>
  fc
    .array(fc.float({ noNaN: true }), { minLength: length, maxLength: length })
    .map((numbers) => Float32Array.from(numbers))
const template = fc
  .nat(110)
  .chain((width) =>
    fc.record({ basis: fc.base64String(), centre: floats(width), spread: floats(width) }, PLAIN),
  )
const record: fc.Arbitrary<UserRecord> = fc.record(
  {
    id: fc.uuid(),
    created: moment,
    updated: moment,
    samples: fc.array(sample, { maxLength: 20 }),
    template,
    matches: fc.record({ count: fc.nat(), margin: time.map((margin) => margin + 0) }, PLAIN),
    noted: moment,
  },
  { noNullPrototype: true, requiredKeys: ['id', 'created', 'updated', 'samples'] },
)

t.test('a user is what they were once they were written and read, every bit of every time', async (t) => {
  await holds(
    t,
    400,
    fc.asyncProperty(record, async (user) => {
      if (!isDeepStrictEqual(decodeUser(encodeUser(user)), user)) throw new Error('another user')
    }),
  )
})

t.test('the bytes are those of this form, and of another one nothing is guessed', (t) => {
  const head =
    '{"id":"i","created":"c","updated":"u","template":{"basis":"b","width":1},' +
    '"samples":[{"id":"s","at":"a","source":"enrolled","width":1,"keys":1},' +
    '{"id":"t","at":"a","source":"verified","width":2,"keys":0}]}'
  const user: UserRecord = {
    ...{ id: 'i', created: 'c', updated: 'u' },
    samples: [
      {
        ...{ id: 's', at: 'a', source: 'enrolled', row: Float32Array.of(1) },
        keystrokes: [{ press: 1, release: 2 }],
      },
      { id: 't', at: 'a', source: 'verified', row: Float32Array.of(2, 3) },
    ],
    template: { basis: 'b', centre: Float32Array.of(4), spread: Float32Array.of(5) },
  }
  const bytes = Buffer.concat([
    Buffer.from([1, head.length, 0, 0, 0]),
    Buffer.from(head),
    new Uint8Array(Float32Array.of(1, 2, 3, 4, 5).buffer),
    new Uint8Array(Float64Array.of(1, 2).buffer),
  ])
  t.ok(isDeepStrictEqual(decodeUser(bytes), user))
  t.equal(Buffer.from(encodeUser(user)).toString('latin1'), bytes.toString('latin1'))
  for (const form of [0, 2]) {
    bytes[0] = form
    t.throws(() => decodeUser(bytes), { code: 'KSR_SEALED' })
  }
  t.end()
})

t.test('where the bytes lie in memory does not matter', (t) => {
  const row = Float32Array.of(1.5, -2.25, 1e-7)
  const sample = {
    id: 'a',
    at: 'now',
    source: 'enrolled' as const,
    row,
    keystrokes: [{ press: 0.1, release: 93.4 }],
  }
  const user: UserRecord = {
    id: 'zoë',
    created: 'then',
    updated: 'now',
    samples: [sample, { ...sample, id: 'b' }],
  }
  const bytes = encodeUser(user)
  for (let offset = 0; offset < 9; offset++) {
    const moved = new Uint8Array(offset + bytes.length + 3)
    moved.set(bytes, offset)
    t.same(decodeUser(moved.subarray(offset, offset + bytes.length)), user, `${offset}`)
  }
  t.end()
})

t.test('a sample without its times says nothing of them', (t) => {
  const sample = { id: 'a', at: 'now', source: 'verified' as const, row: Float32Array.of(1) }
  const user: UserRecord = {
    id: 'u',
    created: 'then',
    updated: 'now',
    samples: [{ ...sample, keystrokes: undefined }],
  }
  t.notOk('keystrokes' in (decodeUser(encodeUser(user)).samples[0] ?? {}))
  t.same(decodeUser(encodeUser({ ...user, samples: [] })).samples, [])
  t.end()
})
