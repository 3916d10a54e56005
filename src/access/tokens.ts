import { readFile } from 'node:fs/promises'
import type { FetchImplementation, JWTPayload, JWTVerifyGetKey } from 'jose'
import { coded } from '../errors.js'

/** Signatures that only the issuer can make: with a shared secret, whoever verifies could sign, too. */
const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
]
/** What an access token may call itself (RFC 7519, RFC 9068), if it does; a token for a logout, say, is none. */
const TYPES = [undefined, 'jwt', 'at+jwt']
const CLOCK_TOLERANCE_S = 5
const FETCH_WITHIN_MS = 5000
/** A key id that is not known has the keys fetched again, but not more often than this. */
const FETCH_AGAIN_AFTER_MS = 30_000
const KEEP_FOR_MS = 600_000
/** An issuer that does not answer well is left alone for a while, whoever asks. */
const LEAVE_ALONE_MS = 5000

export interface TokenSettings {
  /** Where the issuer's JSON Web Key Set is: https, or a file. */
  jwksUrl: string
  issuer: string
  audience: string
}

/** Tells whose a JSON Web Token is, by the keys that its issuer publishes. */
export class Tokens {
  readonly #verify: (token: string) => Promise<JWTPayload>

  private constructor(verify: (token: string) => Promise<JWTPayload>) {
    this.#verify = verify
  }

  /**
   * Keys in a file are read now, those of a URL when the first token comes: an issuer that is away stops no start.
   * @param now the time in ms, from any origin
   * @returns undefined where no tokens are taken
   * @throws KSR_CONFIG where a file has no key set
   */
  static async load(
    { jwksUrl, issuer, audience }: TokenSettings,
    now = () => performance.now(),
  ): Promise<Tokens | undefined> {
    if (jwksUrl === '') return undefined
    // For the few who want it: all others would pay at every start.
    const { createLocalJWKSet, createRemoteJWKSet, customFetch, errors, jwtVerify } = await import(
      './jose.js'
    )
    const url = new URL(jwksUrl)
    let keys: JWTVerifyGetKey
    if (url.protocol === 'file:') {
      try {
        keys = createLocalJWKSet(JSON.parse(await readFile(url, 'utf8')))
      } catch {
        throw coded('KSR_CONFIG', [`JWT_JWKS_URL: ${url.pathname} is no JSON Web Key Set that can be read`])
      }
    } else {
      const remote = createRemoteJWKSet(url, {
        timeoutDuration: FETCH_WITHIN_MS,
        cooldownDuration: FETCH_AGAIN_AFTER_MS,
        cacheMaxAge: KEEP_FOR_MS,
        [customFetch]: patiently(now),
      })
      keys = (header, token) =>
        remote(header, token).catch((cause) => {
          if (cause instanceof errors.JWKSNoMatchingKey) throw cause
          if (cause instanceof errors.JWKSMultipleMatchingKeys) throw cause
          throw coded('KSR_KEYS_UNAVAILABLE', [], { cause, retryAfter: LEAVE_ALONE_MS / 1000 })
        })
    }
    const options = {
      issuer,
      audience,
      algorithms: ALGORITHMS,
      requiredClaims: ['exp'],
      clockTolerance: CLOCK_TOLERANCE_S,
    }
    return new Tokens(async (token) => {
      const { payload, protectedHeader } = await jwtVerify(token, keys, options)
      const type = protectedHeader.typ?.toLowerCase().replace(/^application\//, '')
      if (!TYPES.includes(type)) throw new errors.JWTInvalid(`a token of the type ${type}`)
      return payload
    })
  }

  /**
   * Who a token was made for: its subject, or the client.
   * @returns undefined where it is not valid, now and here
   * @throws KSR_KEYS_UNAVAILABLE
   */
  async subjectOf(token: string): Promise<string | undefined> {
    try {
      const { sub, client_id: client, iss } = await this.#verify(token)
      return String(sub ?? client ?? iss)
    } catch (error) {
      if ((error as { code?: string }).code === 'KSR_KEYS_UNAVAILABLE') throw error
      return undefined
    }
  }
}

/** Fetches, but for a while after it went wrong. */
function patiently(now: () => number): FetchImplementation {
  let failed = Number.NEGATIVE_INFINITY
  return async (url, options) => {
    if (now() - failed < LEAVE_ALONE_MS) throw new Error('it could not be had a moment ago')
    failed = now()
    const response = await fetch(url, options)
    if (response.status === 200) failed = Number.NEGATIVE_INFINITY
    return response
  }
}
