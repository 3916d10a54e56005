import { createHash } from 'node:crypto'
import { coded } from '../errors.js'
import type { Archive } from '../schemas/enrolment.js'
import { decodeUser, encodeUser, type UserRecord } from './user-record.js'
import type { User } from './users.js'
import type { Vault } from './vault.js'

const FORMAT = 1

/** Users as they go elsewhere: sealed, for the same user of a text of as many keys, and hashed together. */
export function sealArchive(vault: Vault, keys: number, users: readonly User[]): Archive {
  const content = {
    format: FORMAT as Archive['format'],
    keys,
    // Without the template: where they go it is made anew.
    users: users.map(({ key: user, value: { template: _, ...value } }) => ({
      user,
      sealed: Buffer.from(vault.seal(encodeUser(value), placeOf(keys, user))).toString('base64'),
    })),
  }
  return { ...content, sha256: hashOf(content) }
}

/**
 * The users in an archive.
 * @throws KSR_ARCHIVE with the place that is not right
 */
export function openArchive(vault: Vault, keys: number, archive: Archive): [string, UserRecord][] {
  const { sha256, next: _, ...content } = archive
  const refuse = (at: string, reason: string) => coded('KSR_ARCHIVE', [reason], { at })
  if (archive.keys !== keys) throw refuse('/keys', `its text has ${archive.keys} keys, this one ${keys}`)
  if (hashOf(content) !== sha256) throw refuse('/sha256', 'it was altered')
  return archive.users.map(({ user, sealed }, i) => {
    try {
      return [user, decodeUser(vault.open(Buffer.from(sealed, 'base64'), placeOf(keys, user)))]
    } catch {
      throw refuse(`/users/${i}/sealed`, 'it was sealed with a key that is not known here, or altered')
    }
  })
}

/** As JSON has its members in this order and no other. */
function hashOf({ format, keys, users }: Omit<Archive, 'sha256'>): string {
  const ordered = { format, keys, users: users.map(({ user, sealed }) => ({ user, sealed })) }
  return createHash('sha256').update(JSON.stringify(ordered)).digest('hex')
}

function placeOf(keys: number, user: string): string {
  return `archive ${FORMAT}\n${keys}\n${user}`
}
