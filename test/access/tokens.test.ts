import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { base64url, exportJWK, generateKeyPair, SignJWT, UnsecuredJWT } from 'jose'
import t from 'tap'
import { Tokens } from '../../src/access/tokens.js'
import { selfSigned } from '../fixtures/certificate.js'
import { AUDIENCE, ISSUER, Issuer } from '../fixtures/issuer.js'

const load = async (jwksUrl: string, now?: () => number) =>
  (await Tokens.load({ jwksUrl, issuer: ISSUER, audience: AUDIENCE }, now)) as Tokens

t.test('without a key set no tokens are taken', async (t) => {
  t.equal(await Tokens.load({ jwksUrl: '', issuer: '', audience: '' }), undefined)
})

t.test('a token is for its subject, or the client, or whoever made it', async (t) => {
  const issuer = await Issuer.start(t)
  const tokens = await load(issuer.url)
  t.equal(issuer.fetched, 0, 'an issuer that is away stops no start')
  t.equal(await tokens.subjectOf(await issuer.token()), 'client')
  t.equal(await tokens.subjectOf(await issuer.token({ sub: undefined, client_id: 'batch' })), 'batch')
  t.equal(await tokens.subjectOf(await issuer.token({ sub: undefined })), ISSUER)
  t.equal(issuer.fetched, 1)
})

t.test('a token that is not right now and here is for nobody', async (t) => {
  const issuer = await Issuer.start(t)
  const tokens = await load(issuer.url)
  const right = await issuer.token()
  await issuer.rotate('second')
  const [head = '', payload = '', signature = ''] = right.split('.')
  const forged = base64url.encode(JSON.stringify({ iss: ISSUER, aud: AUDIENCE, sub: 'root', exp: 9e9 }))
  const stranger = await Issuer.start(t)
  const shared = base64url.encode(JSON.stringify({ alg: 'HS256', kid: 'first' }))
  for (const [what, token] of [
    ['expired', await issuer.token({}, { lifetime: -10 })],
    ['not yet valid', await issuer.token({ nbf: 9e9 })],
    ['without an end', await issuer.token({ exp: undefined })],
    ['of another issuer', await issuer.token({ iss: 'https://other.example/' })],
    ['for another service', await issuer.token({ aud: 'payments' })],
    ['signed by somebody else', await stranger.token()],
    ['with other claims', `${head}.${forged}.${signature}`],
    ['not signed', new UnsecuredJWT({ iss: ISSUER, aud: AUDIENCE, exp: 9e9 }).encode()],
    ['signed with a shared secret', `${shared}.${payload}.${signature}`],
    ['with a key of two that is not named', await issuer.token({}, { named: false })],
    ['for a logout', await issuer.token({}, { typ: 'logout+jwt' })],
    ['cut off', right.slice(0, -5)],
    ['no token', 'nonsense'],
  ] as const) {
    t.equal(await tokens.subjectOf(token), undefined, what)
  }
})

t.test('a token may say that it is one, or that it is for access', async (t) => {
  const issuer = await Issuer.start(t)
  const tokens = await load(issuer.url)
  for (const typ of ['JWT', 'at+jwt', 'application/at+jwt']) {
    t.equal(await tokens.subjectOf(await issuer.token({}, { typ })), 'client', typ)
  }
})

t.test('RSA and Edwards curves will do', async (t) => {
  const issuer = await Issuer.start(t)
  for (const algorithm of ['RS256', 'PS256', 'EdDSA']) await issuer.rotate(algorithm, algorithm)
  const tokens = await load(issuer.url)
  t.equal(await tokens.subjectOf(await issuer.token({}, { algorithm: 'EdDSA' })), 'client')
})

t.test('where the keys can not be had it is nobody’s fault but the issuer’s, until they can', async (t) => {
  const issuer = await Issuer.start(t)
  let now = 0
  const tokens = await load(issuer.url, () => now)
  issuer.status = 500
  const unavailable = { code: 'KSR_KEYS_UNAVAILABLE', statusCode: 503, retryAfter: 5 }
  for (let i = 0; i < 3; i++) await t.rejects(tokens.subjectOf(await issuer.token()), unavailable)
  t.equal(issuer.fetched, 1, 'it is left alone')
  issuer.status = 200
  now = 4999
  await t.rejects(tokens.subjectOf(await issuer.token()), unavailable)
  now = 5000
  t.equal(await tokens.subjectOf(await issuer.token()), 'client')
  t.equal(await tokens.subjectOf('nonsense'), undefined)
})

t.test('many unknown keys do not fetch the key set each time', async (t) => {
  const issuer = await Issuer.start(t)
  const tokens = await load(issuer.url)
  await tokens.subjectOf(await issuer.token())
  const stranger = await Issuer.start(t)
  await stranger.rotate('unknown')
  for (let i = 0; i < 20; i++) t.equal(await tokens.subjectOf(await stranger.token()), undefined)
  t.ok(issuer.fetched <= 2, `${issuer.fetched}`)
})

t.test('keys are taken from where the settings say, and from nowhere else', async (t) => {
  const issuer = await Issuer.start(t)
  const other = await Issuer.start(t)
  issuer.status = 302
  issuer.movedTo = other.url
  await t.rejects((await load(issuer.url)).subjectOf(await issuer.token()), { code: 'KSR_KEYS_UNAVAILABLE' })
  t.equal(other.fetched, 0, 'a redirection is not followed')

  issuer.status = 200
  const { privateKey, publicKey } = await generateKeyPair('ES256')
  const jwk = await exportJWK(publicKey)
  const claims = { iss: ISSUER, aud: AUDIENCE, sub: 'root', exp: 9e9 }
  for (const header of [{ jwk }, { jku: other.url }, { x5u: other.url }]) {
    const token = await new SignJWT(claims)
      .setProtectedHeader({ alg: 'ES256', kid: 'first', ...header })
      .sign(privateKey)
    t.equal(await (await load(issuer.url)).subjectOf(token), undefined, JSON.stringify(Object.keys(header)))
  }
  t.equal(other.fetched, 0, 'nor what a token says')
})

t.test('keys are not taken from a host whose certificate nobody trusts', async (t) => {
  const issuer = await Issuer.start(t, { tls: selfSigned('127.0.0.1') })
  t.match(issuer.url, /^https:/)
  await t.rejects((await load(issuer.url)).subjectOf(await issuer.token()), { code: 'KSR_KEYS_UNAVAILABLE' })
  t.equal(issuer.fetched, 0)
})

t.test('keys can be in a file', async (t) => {
  const issuer = await Issuer.start(t)
  const path = join(t.testdir(), 'jwks.json')
  writeFileSync(path, issuer.keySet())
  const tokens = await load(pathToFileURL(path).href)
  t.equal(await tokens.subjectOf(await issuer.token()), 'client')
  t.equal(issuer.fetched, 0)
  for (const content of ['{', '{"keys": 1}', '[]']) {
    writeFileSync(path, content)
    await t.rejects(load(pathToFileURL(path).href), {
      code: 'KSR_CONFIG',
      message: /JWT_JWKS_URL: .*jwks\.json/,
    })
  }
})
