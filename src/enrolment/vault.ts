import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto'
import { coded } from '../errors.js'

/** A key of records: a name of its own, and 256 bits. */
export const RECORD_KEY = /^([A-Za-z0-9._-]{1,32}):([0-9a-f]{64})$/

interface Key {
  id: string
  master: KeyObject
  /** What fingerprints are made with: never the key of a record. */
  print: KeyObject
}

const ALGORITHM = 'aes-256-gcm'
const FORM = 1
const ID_AT = 2
const SALT_BYTES = 32
const IV_BYTES = 12
const TAG_BYTES = 16
const KEY_BYTES = 32
const FINGERPRINT_DIGITS = 32

/**
 * Seals records so that only who has a key reads them, whole and where they belong (AES-256-GCM, NIST SP 800-38D). Each
 * record has a key of its own, HKDF-SHA-256 (RFC 5869) of the vault's and 32 random bytes: however many records there are,
 * no key meets two of them, and what is sealed anew has nothing in common with what it was.
 *
 * A sealed record: form 1, length of the key's id, the id, salt 32, IV 12, tag 16, ciphertext.
 */
export class Vault {
  readonly #current: Key
  readonly #keys: ReadonlyMap<string, Key>

  private constructor(keys: readonly Key[]) {
    this.#current = keys[0] as Key
    this.#keys = new Map(keys.map((key) => [key.id, key]))
  }

  /**
   * @param keys as `id:64 hexadecimal digits`; the first one seals, all of them open
   * @throws KSR_CONFIG where there is none, one of another form, or an id twice; never with what is in it
   */
  static of(keys: readonly string[]): Vault {
    const refuse = (reason: string) => coded('KSR_CONFIG', [`the keys of enrolled records: ${reason}`])
    if (keys.length === 0) throw refuse('there is none')
    const read = keys.map((key, index) => {
      const [, id, digits] = RECORD_KEY.exec(key) ?? []
      if (id === undefined) throw refuse(`number ${index + 1} is no id with 64 hexadecimal digits`)
      return keyOf(id, Buffer.from(digits as string, 'hex'))
    })
    if (new Set(read.map(({ id }) => id)).size < read.length) throw refuse('two have the same id')
    return new Vault(read)
  }

  /**
   * @param plain what is sealed; it is not changed
   * @param place where the record belongs: it opens nowhere else
   */
  seal(plain: Uint8Array, place: string): Uint8Array {
    const { id, master } = this.#current
    const salt = randomBytes(SALT_BYTES)
    const iv = randomBytes(IV_BYTES)
    const cipher = createCipheriv(ALGORITHM, recordKey(master, salt), iv).setAAD(bound(id, place))
    const ciphertext = [cipher.update(plain), cipher.final()]
    const head = Buffer.from([FORM, id.length])
    return Buffer.concat([head, Buffer.from(id), salt, iv, cipher.getAuthTag(), ...ciphertext])
  }

  /**
   * @param place where the record was found
   * @throws KSR_SEALED where the key is not known, or the record was altered, belongs elsewhere, or is none
   */
  open(sealed: Uint8Array, place: string): Uint8Array {
    const id = idOf(sealed)
    const salt = ID_AT + (id ?? '').length
    const iv = salt + SALT_BYTES
    const tag = iv + IV_BYTES
    const ciphertext = tag + TAG_BYTES
    if (id === undefined || sealed.length < ciphertext) {
      throw coded('KSR_SEALED', ['it has another form'])
    }
    const key = this.#keys.get(id)
    if (key === undefined) throw coded('KSR_SEALED', [`its key "${id}" is not known`])
    const decipher = createDecipheriv(
      ALGORITHM,
      recordKey(key.master, sealed.subarray(salt, iv)),
      sealed.subarray(iv, tag),
      { authTagLength: TAG_BYTES },
    )
    decipher.setAAD(bound(id, place)).setAuthTag(sealed.subarray(tag, ciphertext))
    const plain = decipher.update(sealed.subarray(ciphertext))
    try {
      // A stream cipher's: it has nothing left to give, and only tells whether all of it was as it was sealed.
      decipher.final()
    } catch (cause) {
      throw coded('KSR_SEALED', ['it was altered, or belongs elsewhere'], { cause })
    }
    return plain
  }

  /** Whether it is under the key that seals now: what is not is sealed anew when it is next written. */
  isCurrent(sealed: Uint8Array): boolean {
    return idOf(sealed) === this.#current.id
  }

  /**
   * What tells the same bytes again and nothing else of them: HMAC-SHA-256, cut to 128 bits, in hexadecimal digits.
   * @returns one under every key, that which seals now first: what was noted under an older key is still found
   */
  fingerprints(data: Uint8Array | string): string[] {
    return [...this.#keys.values()].map(({ print }) =>
      createHmac('sha256', print).update(data).digest('hex').slice(0, FINGERPRINT_DIGITS),
    )
  }
}

function keyOf(id: string, bytes: Uint8Array): Key {
  const print = hkdfSync('sha256', bytes, '', 'keystroke-recognition fingerprint', KEY_BYTES)
  return { id, master: createSecretKey(bytes), print: createSecretKey(Buffer.from(print)) }
}

function recordKey(master: KeyObject, salt: Uint8Array): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', master, salt, 'keystroke-recognition record', KEY_BYTES))
}

/** With the id, which has no space: of two names for one key only the right one opens. */
function bound(id: string, place: string): Uint8Array {
  return Buffer.from(`${id} ${place}`)
}

/** The id of the key that a record is under, or undefined where it is no record of this form. */
function idOf(sealed: Uint8Array): string | undefined {
  const [form, length = 0] = sealed
  const id = Buffer.from(sealed.subarray(ID_AT, ID_AT + length)).toString('latin1')
  return form === FORM && /^[A-Za-z0-9._-]{1,32}$/.test(id) && id.length === length ? id : undefined
}
