import { createPublicKey, type KeyObject, verify } from 'node:crypto'
import { coded } from '../errors.js'

/**
 * The public key that a manifest has to be signed for, from its SPKI in DER as base64; undefined for '', which asks
 * for no signature.
 * @throws KSR_CONFIG when it is no public key of Ed25519 or ECDSA P-256
 */
export function signingKey(base64: string): KeyObject | undefined {
  if (base64 === '') return undefined
  // Whatever stands there is not repeated: it may be the private half by mistake.
  const refused = coded('KSR_CONFIG', ['MODEL_PUBLIC_KEY is no public key of Ed25519 or ECDSA P-256'])
  let key: KeyObject
  try {
    key = createPublicKey({ key: Buffer.from(base64, 'base64'), format: 'der', type: 'spki' })
  } catch {
    throw refused
  }
  const { asymmetricKeyType, asymmetricKeyDetails } = key
  if (asymmetricKeyType !== 'ed25519' && asymmetricKeyDetails?.namedCurve !== 'prime256v1') throw refused
  return key
}

/** Whether a detached signature, as its bytes or as base64, is that of exactly these bytes. */
export function isSigned(bytes: Buffer, signature: Buffer, key: KeyObject): boolean {
  const text = signature.toString('latin1')
  const raw = /^[A-Za-z0-9+/\s]+={0,2}\s*$/.test(text) ? Buffer.from(text, 'base64') : signature
  return verify(key.asymmetricKeyType === 'ed25519' ? null : 'sha256', bytes, key, raw)
}
