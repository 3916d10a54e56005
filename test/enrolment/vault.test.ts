import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { Vault } from '../../src/enrolment/vault.js'
import { holds } from '../fixtures/fuzzing.js'

const digits = (byte: string) => byte.repeat(32)
const OLD = `2024:${digits('a1')}`
const NEW = `2025.b-c_d:${digits('b2')}`
const vault = Vault.of([OLD])

const plain = fc.uint8Array({ maxLength: 300 })
const place = fc.string({ maxLength: 60 })

t.test('what was sealed opens where it was sealed, and is what it was', async (t) => {
  await holds(
    t,
    500,
    fc.asyncProperty(plain, place, async (bytes, where) => {
      const opened = vault.open(vault.seal(bytes, where), where)
      if (!Buffer.from(bytes).equals(opened)) throw new Error('other bytes came out')
    }),
  )
})

t.test('a record with any bit flipped is refused', async (t) => {
  const twins = Vault.of([OLD, `2025:${digits('a1')}`])
  await holds(
    t,
    1000,
    fc.asyncProperty(plain, fc.nat(), async (bytes, choice) => {
      const sealed = twins.seal(bytes, 'here')
      const bit = choice % (sealed.length * 8)
      sealed[bit >> 3] = (sealed[bit >> 3] as number) ^ (1 << (bit & 7))
      refused(twins, sealed, 'here', `bit ${bit}`)
    }),
  )
  const renamed = twins.seal(randomBytes(10), 'here')
  renamed[5] = '5'.charCodeAt(0)
  t.throws(() => twins.open(renamed, 'here'), { code: 'KSR_SEALED' }, 'under another name of the same key')
})

t.test('a record that was cut anywhere, or goes on, is refused', (t) => {
  const sealed = vault.seal(randomBytes(40), 'here')
  for (let length = 0; length < sealed.length; length++)
    refused(vault, sealed.subarray(0, length), 'here', `${length} bytes`)
  refused(vault, Buffer.concat([sealed, Buffer.alloc(1)]), 'here', 'longer')
  t.end()
})

t.test('a record opens nowhere else', async (t) => {
  await holds(
    t,
    500,
    fc.asyncProperty(plain, place, place, async (bytes, where, elsewhere) => {
      fc.pre(where !== elsewhere)
      refused(vault, vault.seal(bytes, where), elsewhere, 'another place')
    }),
  )
})

t.test('the same bytes sealed twice have nothing in common but the head', (t) => {
  const bytes = randomBytes(300)
  const [one, two] = [vault.seal(bytes, 'here'), vault.seal(bytes, 'here')]
  const head = 2 + '2024'.length
  t.same(one.subarray(0, head), two.subarray(0, head))
  t.equal(one.length, head + 32 + 12 + 16 + 300)
  for (let at = head; at + 8 <= one.length; at++) {
    if (holdsBytes(two, one.subarray(at, at + 8))) t.fail(`the same bytes at ${at}`)
  }
  t.notOk(holdsBytes(one, bytes.subarray(0, 8)), 'nor with what was sealed')
  t.end()
})

t.test('after a rotation older records open, and are known to be due', (t) => {
  const rotated = Vault.of([NEW, OLD])
  const old = vault.seal(Buffer.from('kept'), 'here')
  t.same(Buffer.from(rotated.open(old, 'here')).toString(), 'kept')
  t.notOk(rotated.isCurrent(old))
  const anew = rotated.seal(rotated.open(old, 'here'), 'here')
  t.ok(rotated.isCurrent(anew))
  t.same(Buffer.from(Vault.of([NEW]).open(anew, 'here')).toString(), 'kept')
  t.notOk(vault.isCurrent(Buffer.alloc(0)), 'what is no record is not')
  t.end()
})

t.test(
  'a record under a key that is not known is refused with the id of the key, and no byte of any',
  (t) => {
    const sealed = Vault.of([NEW]).seal(Buffer.from('kept'), 'here')
    try {
      vault.open(sealed, 'here')
      t.fail('opened')
    } catch (error) {
      t.match(error, {
        code: 'KSR_SEALED',
        statusCode: 500,
        message: 'A record can not be opened: its key "2025.b-c_d" is not known.',
      })
      t.notMatch(String((error as Error).stack), /a1a1|b2b2/)
    }
    const other = Vault.of([`2025.b-c_d:${digits('c3')}`])
    t.throws(
      () => other.open(sealed, 'here'),
      { message: /altered, or belongs elsewhere/ },
      'another key of that id',
    )
    t.throws(() => other.open(Buffer.from('{"plain":"json"}'), 'here'), { message: /another form/ })
    t.end()
  },
)

t.test('keys of another form are refused, and not said', (t) => {
  const secret = digits('d4')
  for (const [keys, reason] of [
    [[], 'there is none'],
    [[OLD, secret], 'number 2 is no id with 64 hexadecimal digits'],
    [[`a:${secret.slice(1)}`], 'number 1 is no id'],
    [[`a b:${secret}`], 'number 1 is no id'],
    [[`a:${secret}\n`], 'number 1 is no id'],
    [[`${'a'.repeat(33)}:${secret}`], 'number 1 is no id'],
    [[OLD, `2024:${secret}`], 'two have the same id'],
  ] as const) {
    t.throws(() => Vault.of(keys), { code: 'KSR_CONFIG', message: new RegExp(reason) }, reason)
    try {
      Vault.of(keys)
    } catch (error) {
      t.notMatch(String((error as Error).stack), /d4d4|a1a1/)
    }
  }
  t.end()
})

t.test('fingerprints tell the same again, under every key, and nothing without a key', (t) => {
  const rotated = Vault.of([NEW, OLD])
  const [old] = vault.fingerprints('what was sent')
  const [current, older, ...more] = rotated.fingerprints(Buffer.from('what was sent'))
  t.equal(older, old)
  t.not(current, old)
  t.same(more, [])
  t.match(old, /^[0-9a-f]{32}$/)
  t.not(vault.fingerprints('what was sent.')[0], old)
  t.end()
})

const holdsBytes = (all: Uint8Array, some: Uint8Array) => Buffer.from(all).includes(Buffer.from(some))

/** In one assertion for thousands of records. */
function refused(by: Vault, sealed: Uint8Array, where: string, what: string): void {
  try {
    by.open(sealed, where)
  } catch (error) {
    if ((error as { code?: string }).code === 'KSR_SEALED') return
    throw error
  }
  throw new Error(`opened: ${what}`)
}
