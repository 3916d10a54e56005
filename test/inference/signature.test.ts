import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { refuse, startBucket } from '../fixtures/bucket.js'
import { build, SUMMARY } from '../fixtures/build.js'
import { copyModels, editManifest, replaceModel } from '../fixtures/models.js'

const ed25519 = generateKeyPairSync('ed25519')
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const foreign = generateKeyPairSync('ed25519')

const settingOf = (key: KeyObject) => key.export({ format: 'der', type: 'spki' }).toString('base64')
const KEY = settingOf(ed25519.publicKey)

/** What a signer makes of a manifest. */
function signatureOf(dir: string, key: KeyObject): Buffer {
  const algorithm = key.asymmetricKeyType === 'ed25519' ? null : 'sha256'
  return sign(algorithm, readFileSync(join(dir, 'manifest.json')), key)
}

/** A copy of the shipped models, signed. */
function signedModels(t: Parameters<typeof copyModels>[0], key = ed25519.privateKey): string {
  const dir = copyModels(t)
  writeFileSync(join(dir, 'manifest.json.sig'), signatureOf(dir, key))
  return dir
}

/** A start with one of the models. */
const start = (t: Parameters<typeof build>[0], settings: NodeJS.ProcessEnv) => async () => {
  await build(t, { MODELS: 'rf', ...settings }).ready()
}

t.test('models whose manifest is signed by the key that is set are served', async (t) => {
  const base64 = (signature: Buffer) => signature.toString('base64')
  // As openssl writes it: lines of 64 characters.
  const lines = (signature: Buffer) => base64(signature).replace(/.{64}/g, '$&\n').concat('\n')
  for (const [title, { publicKey, privateKey }] of Object.entries({ ed25519, p256 })) {
    for (const write of [(signature: Buffer) => signature, base64, lines]) {
      const dir = copyModels(t)
      writeFileSync(join(dir, 'manifest.json.sig'), write(signatureOf(dir, privateKey)))
      const app = build(t, { MODEL_DIR: dir, MODEL_PUBLIC_KEY: settingOf(publicKey), MODELS: 'rf' })
      const { statusCode } = await app.inject({ method: 'POST', url: '/predict/rf', payload: SUMMARY })
      t.equal(statusCode, 200, title)
    }
  }
})

t.test('without a key no signature is asked for, nor looked at', async (t) => {
  const dir = copyModels(t)
  writeFileSync(join(dir, 'manifest.json.sig'), 'nonsense')
  await build(t, { MODEL_DIR: dir, MODELS: 'rf' }).ready()
})

t.test('models that are not signed by it as they are stop the start', async (t) => {
  const NOT_SIGNED =
    /manifest\.json\.sig: it is no signature of manifest\.json by the key in MODEL_PUBLIC_KEY\.$/
  const signature = (dir: string) => join(dir, 'manifest.json.sig')
  const put = (spoil: (made: Buffer) => Buffer | string) => (dir: string) =>
    writeFileSync(signature(dir), spoil(readFileSync(signature(dir))))
  const cases: [string, (dir: string) => void, RegExp][] = [
    ['missing', (dir) => rmSync(signature(dir)), /manifest\.json\.sig: it can not be read \(ENOENT\)\.$/],
    ['empty', put(() => ''), NOT_SIGNED],
    ['truncated', put((made) => made.subarray(0, 63)), NOT_SIGNED],
    ['longer', put((made) => Buffer.concat([made, Buffer.of(0)])), NOT_SIGNED],
    ['zeros', put(() => Buffer.alloc(64)), NOT_SIGNED],
    ['one bit off', put((made) => made.map((byte, i) => byte ^ Number(i === 40)) as Buffer), NOT_SIGNED],
    ['base64, truncated', put((made) => made.toString('base64').slice(0, 80)), NOT_SIGNED],
    ['a text', put(() => 'trust me'), NOT_SIGNED],
    ['foreign', (dir) => writeFileSync(signature(dir), signatureOf(dir, foreign.privateKey)), NOT_SIGNED],
    [
      'of another kind',
      (dir) => writeFileSync(signature(dir), signatureOf(dir, p256.privateKey)),
      NOT_SIGNED,
    ],
    [
      'of another file',
      (dir) =>
        writeFileSync(signature(dir), sign(null, readFileSync(join(dir, 'rf.onnx')), ed25519.privateKey)),
      NOT_SIGNED,
    ],
    [
      'of the manifest before it was altered',
      (dir) => editManifest(dir, (manifest) => manifest.classes.reverse()),
      NOT_SIGNED,
    ],
    [
      'of the manifest but for white space',
      (dir) => writeFileSync(join(dir, 'manifest.json'), `${readFileSync(join(dir, 'manifest.json'))} `),
      NOT_SIGNED,
    ],
    [
      'of the manifest before a model was put in the place of another',
      (dir) => replaceModel(dir, 'rf.onnx', readFileSync(join(dir, 'xgb.onnx'))),
      NOT_SIGNED,
    ],
    // What is not signed is not read either: nothing but the signature is at fault here.
    ['of what was no JSON', (dir) => writeFileSync(join(dir, 'manifest.json'), '{'), NOT_SIGNED],
    ['far too large', put(() => Buffer.alloc(5e6)), /manifest\.json\.sig: it has 5000000 bytes, more than/],
    ['without a manifest', (dir) => rmSync(join(dir, 'manifest.json')), /manifest\.json: it can not be read/],
  ]
  for (const [title, spoil, message] of cases) {
    const dir = signedModels(t)
    spoil(dir)
    const settings = { MODEL_DIR: dir, MODEL_PUBLIC_KEY: KEY }
    await t.rejects(start(t, settings), { code: 'KSR_MANIFEST', message }, title)
  }
})

t.test('a model that was altered after signing stops the start', async (t) => {
  const dir = signedModels(t)
  const bytes = readFileSync(join(dir, 'rf.onnx'))
  bytes[1000] = (bytes[1000] as number) ^ 1
  writeFileSync(join(dir, 'rf.onnx'), bytes)
  const error = { code: 'KSR_MODEL_FILE', message: /rf\.onnx: its SHA-256 is / }
  await t.rejects(start(t, { MODEL_DIR: dir, MODEL_PUBLIC_KEY: KEY }), error)
})

t.test('a setting that is no public key of these kinds stops the start, and is not told', async (t) => {
  const dir = signedModels(t)
  const pkcs8 = ed25519.privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64')
  const others: [string, string][] = [
    ['a private key', pkcs8],
    ['part of a key', KEY.slice(0, 40)],
    ['anything', 'A'.repeat(60)],
    ['RSA', settingOf(generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey)],
    ['another curve', settingOf(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey)],
    ['a key that can not sign', settingOf(generateKeyPairSync('x25519').publicKey)],
  ]
  for (const [title, key] of others) {
    const message =
      'The environment is not right: MODEL_PUBLIC_KEY is no public key of Ed25519 or ECDSA P-256.'
    const settings = { MODEL_DIR: dir, MODEL_PUBLIC_KEY: key }
    await t.rejects(start(t, settings), { code: 'KSR_CONFIG', message }, title)
  }
})

t.test('models from a bucket are signed the same way', async (t) => {
  const before = process.env
  t.teardown(() => {
    process.env = before
  })
  const dir = signedModels(t)
  const { settings, answers, requests } = await startBucket(t, dir)
  process.env = { ...before, ...settings }
  const signed = { ...settings, MODEL_PUBLIC_KEY: KEY }
  await build(t, { ...signed, MODELS: 'rf' }).ready()
  t.match(requests.map(({ url }) => url?.split('?')[0]?.split('/').at(-1)).sort(), [
    'enrolment.json',
    'gallery.onnx',
    'manifest.json',
    'manifest.json.sig',
    'rf.onnx',
  ])
  const at = /^s3:\/\/models-of-ours\/recognition\/v1\/manifest\.json\.sig: /
  answers['manifest.json.sig'] = (response) => response.end(signatureOf(dir, foreign.privateKey))
  await t.rejects(start(t, signed), { code: 'KSR_MANIFEST', message: at })
  answers['manifest.json.sig'] = refuse(404, 'NoSuchKey')
  const message = new RegExp(`${at.source}it can not be read \\(NoSuchKey, HTTP 404\\)`)
  await t.rejects(start(t, signed), { code: 'KSR_MANIFEST', message })
})
