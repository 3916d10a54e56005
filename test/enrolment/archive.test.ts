import { createHash } from 'node:crypto'
import t from 'tap'
import { openArchive, sealArchive } from '../../src/enrolment/archive.js'
import type { UserRecord } from '../../src/enrolment/user-record.js'
import type { User } from '../../src/enrolment/users.js'
import { Vault } from '../../src/enrolment/vault.js'
import type { Archive } from '../../src/schemas/enrolment.js'
import { KEY, OTHER_KEY } from '../fixtures/enrolment.js'

const vault = Vault.of([KEY])
const KEYS = 2
const userOf = (key: string): User => {
  const at = '2025-05-01T00:00:00.000Z'
  const row = Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
  const value: UserRecord = {
    id: `id of ${key}`,
    created: at,
    updated: at,
    samples: [{ id: 's', at, source: 'enrolled', row }],
  }
  return { key, value, version: '1' }
}
const users = ['anna', 'ben', 'carl'].map(userOf)
const archive = sealArchive(vault, KEYS, users)
const changed = (change: Partial<Archive>) => () => openArchive(vault, KEYS, { ...archive, ...change })
const [anna, ben, carl] = archive.users as [Archive['users'][0], Archive['users'][0], Archive['users'][0]]

t.test('what was taken out is put in, in its order, by whoever has the key', (t) => {
  const expected = users.map(({ key, value }) => [key, value])
  t.same(openArchive(vault, KEYS, archive), expected)
  t.same(openArchive(Vault.of([OTHER_KEY, KEY]), KEYS, archive), expected)
  t.same(openArchive(vault, KEYS, JSON.parse(JSON.stringify({ ...archive, next: '~YQ' }))), expected)
  const { format, keys, users: sealed, sha256 } = archive
  const turned = { sha256, users: sealed.map(({ user, sealed }) => ({ sealed, user })), keys, format }
  t.same(openArchive(vault, KEYS, turned), expected, 'in whatever order a program writes members')
  t.same(openArchive(vault, KEYS, sealArchive(vault, KEYS, [])), [])
  t.end()
})

t.test('of no time of anybody there is anything to be read in it', (t) => {
  const text = JSON.stringify(archive)
  for (const { value } of users) t.notMatch(text, value.id)
  t.not(sealArchive(vault, KEYS, users).users[0]?.sealed, anna.sealed, 'nor is it sealed the same twice')
  t.end()
})

t.test('an archive of a text of other keys is refused', (t) => {
  t.throws(() => openArchive(vault, 3, archive), {
    code: 'KSR_ARCHIVE',
    statusCode: 422,
    message: 'The templates can not be imported: its text has 2 keys, this one 3.',
    errors: [{ pointer: '/keys' }],
  })
  t.end()
})

t.test('an archive that was altered is refused as a whole', (t) => {
  const refusal = { code: 'KSR_ARCHIVE', message: /it was altered/, errors: [{ pointer: '/sha256' }] }
  for (const [what, change] of [
    ['somebody less', { users: [anna, ben] }],
    ['another order', { users: [ben, anna, carl] }],
    ['twice the same', { users: [anna, ben, carl, anna] }],
    ['another name', { users: [{ ...anna, user: 'dora' }, ben, carl] }],
    ['another hash', { sha256: '0'.repeat(64) }],
  ] as const) {
    t.throws(changed(change as unknown as Partial<Archive>), refusal, what)
  }
  t.end()
})

t.test('whoever hashes it anew changes nothing that is sealed, nor to whom it belongs', (t) => {
  const hashed = (users: Archive['users'], keys = KEYS): Archive => {
    const content = { format: 1 as const, keys, users }
    return { ...content, sha256: createHash('sha256').update(JSON.stringify(content)).digest('hex') }
  }
  const bytes = Buffer.from(ben.sealed, 'base64')
  bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1
  for (const [what, users, at, keys] of [
    ['under another name', [anna, { ...ben, user: 'dora' }], 1, KEYS],
    ['a bit of it', [anna, { ...ben, sealed: bytes.toString('base64') }], 1, KEYS],
    ['nothing of it', [{ ...anna, sealed: 'AAAA' }], 0, KEYS],
    ['for other keys', [anna], 0, 3],
  ] as const) {
    t.throws(
      () => openArchive(vault, keys, hashed([...users], keys)),
      {
        code: 'KSR_ARCHIVE',
        message: /a key that is not known here, or altered/,
        errors: [{ pointer: `/users/${at}/sealed` }],
      },
      what,
    )
  }
  t.same(
    openArchive(vault, KEYS, hashed([carl, anna])).map(([user]) => user),
    ['carl', 'anna'],
  )
  t.end()
})

t.test('an archive that was sealed with a key that is not here is refused, and says no byte of it', (t) => {
  try {
    openArchive(Vault.of([OTHER_KEY]), KEYS, archive)
    t.fail('opened')
  } catch (error) {
    t.match(error, { code: 'KSR_ARCHIVE', errors: [{ pointer: '/users/0/sealed' }] })
    t.notMatch(JSON.stringify(error), anna.sealed.slice(0, 20))
  }
  t.end()
})
