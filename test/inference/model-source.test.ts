import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import t from 'tap'
import { readManifest, readPinned } from '../../src/inference/manifest.js'
import { modelBucket } from '../../src/inference/model-source.js'
import { type Bucket, KEY_ID, refuse, startBucket } from '../fixtures/bucket.js'
import { build, SUMMARY } from '../fixtures/build.js'
import { MODELS } from '../fixtures/models.js'

const RF = readFileSync(join(MODELS, 'rf.onnx'))
const SIGNED = new RegExp(
  `^AWS4-HMAC-SHA256 Credential=${KEY_ID}/\\d{8}/eu-central-1/s3/aws4_request, .*Signature=[0-9a-f]{64}$`,
)
const require = createRequire(import.meta.url)
const sdkIsLoaded = () => Object.keys(require.cache).some((path) => path.includes('/@aws-sdk/'))

interface Test {
  teardown(restore: () => unknown): void
}

/** The SDK finds what it needs in the environment of the process. */
function setEnvironment(t: Test, settings: NodeJS.ProcessEnv): void {
  const before = process.env
  process.env = { ...before, ...settings }
  t.teardown(() => {
    process.env = before
  })
}

/** The models that a process with these settings reads. */
function sourceOf(t: Test, { settings }: Bucket) {
  setEnvironment(t, settings)
  return modelBucket(settings.MODEL_URI as string, { pathStyle: true })
}

t.test('a service that reads a folder does not load what reads a bucket', async (t) => {
  await build(t).ready()
  t.notOk(sdkIsLoaded())
})

t.test('the known sample is answered by models from a bucket, which signed requests have read', async (t) => {
  const { settings, requests } = await startBucket(t, MODELS)
  setEnvironment(t, settings)
  const app = build(t, { ...settings, MODELS: 'svm,rf' })
  const answer = await app.inject({ method: 'POST', url: '/predict/rf', payload: SUMMARY })
  t.match(answer.json(), { user: 84, model: 'rf' })
  t.ok(sdkIsLoaded())
  t.same(requests.map(({ url }) => url?.split('?')[0]).sort(), [
    '/models-of-ours/recognition/v1/enrolment.json',
    '/models-of-ours/recognition/v1/gallery.onnx',
    '/models-of-ours/recognition/v1/manifest.json',
    '/models-of-ours/recognition/v1/rf.onnx',
    '/models-of-ours/recognition/v1/svm.onnx',
  ])
  for (const { method, authorization } of requests) {
    t.equal(method, 'GET')
    t.match(authorization, SIGNED)
  }
})

t.test('models may stand in a bucket without anything before their names', async (t) => {
  const bucket = await startBucket(t, MODELS, 's3://models-of-ours')
  const source = await sourceOf(t, bucket)
  t.equal(source.locate('rf.onnx'), 's3://models-of-ours/rf.onnx')
  t.same(await readPinned(source, 'rf.onnx', await readManifest(source)), RF)
  t.match(bucket.requests, [
    { url: /^\/models-of-ours\/manifest\.json/ },
    { url: /^\/models-of-ours\/rf\.onnx/ },
  ])
})

t.test(
  'a file that can not be read is refused with its place and what S3 says, which no secret is part of',
  async (t) => {
    const cases: [string, (response: ServerResponse) => unknown, string][] = [
      ['missing', refuse(404, 'NoSuchKey'), 'it can not be read (NoSuchKey, HTTP 404)'],
      ['forbidden', refuse(403, 'AccessDenied'), 'it can not be read (AccessDenied, HTTP 403)'],
      [
        'of a key that there is not',
        refuse(403, 'InvalidAccessKeyId'),
        'it can not be read (InvalidAccessKeyId, HTTP 403)',
      ],
      [
        'in another region',
        refuse(301, 'PermanentRedirect'),
        'it can not be read (PermanentRedirect, HTTP 301)',
      ],
      [
        'behind a proxy that does not speak S3',
        (response) => response.writeHead(403, { 'content-type': 'text/html' }).end('<h1>No</h2>'),
        'it can not be read (Error, HTTP 403)',
      ],
      [
        'cut off on the way',
        (response) => {
          response
            .writeHead(200, { 'content-length': RF.length })
            .write(RF.subarray(0, 1000), () => response.destroy())
        },
        'it can not be read (ECONNRESET)',
      ],
      [
        'stuck on the way',
        (response) => response.writeHead(200, { 'content-length': RF.length }).write(RF.subarray(0, 1000)),
        'it can not be read (TimeoutError)',
      ],
      [
        'shorter',
        (response) => response.end(RF.subarray(1)),
        `it has ${RF.length - 1} bytes, the manifest says ${RF.length}`,
      ],
      [
        'of a length that is not said',
        (response) => {
          response.write(RF)
          response.end()
        },
        `it has Infinity bytes, the manifest says ${RF.length}`,
      ],
    ]
    const bucket = await startBucket(t, MODELS)
    const source = await sourceOf(t, bucket)
    const manifest = await readManifest(source)
    for (const [title, answer, reason] of cases) {
      bucket.answers['rf.onnx'] = answer
      const error = await readPinned(source, 'rf.onnx', manifest).catch((error) => error)
      t.equal(error.code, 'KSR_MODEL_FILE', title)
      t.equal(error.message, `s3://models-of-ours/recognition/v1/rf.onnx: ${reason}.`)
    }
    bucket.answers['manifest.json'] = refuse(403, 'AccessDenied')
    await t.rejects(readManifest(source), {
      code: 'KSR_MANIFEST',
      message:
        's3://models-of-ours/recognition/v1/manifest.json: it can not be read (AccessDenied, HTTP 403).',
    })
  },
)

t.test('a file that was altered in the bucket is refused', async (t) => {
  const bucket = await startBucket(t, MODELS)
  const altered = Buffer.from(RF)
  altered[1000] = (altered[1000] as number) ^ 1
  bucket.answers['rf.onnx'] = (response) => response.end(altered)
  setEnvironment(t, bucket.settings)
  const app = build(t, bucket.settings)
  await t.rejects(
    async () => {
      await app.ready()
    },
    {
      code: 'KSR_MODEL_FILE',
      message:
        /^s3:\/\/models-of-ours\/recognition\/v1\/rf\.onnx: its SHA-256 is [0-9a-f]{64}, the manifest says [0-9a-f]{64}\.$/,
    },
  )
})

t.test('a file that is too long is refused before it is read', async (t) => {
  const bucket = await startBucket(t, MODELS)
  const source = await sourceOf(t, bucket)
  const manifest = await readManifest(source)
  const hangsUp = (name: string, length: number) =>
    new Promise((resolve) => {
      bucket.answers[name] = (response) => {
        response.writeHead(200, { 'content-length': length }).write(RF.subarray(0, 10))
        resolve(once(response, 'close').then(() => response.writableEnded))
      }
    })
  const model = hangsUp('rf.onnx', RF.length + 1)
  await t.rejects(readPinned(source, 'rf.onnx', manifest), {
    message: `v1/rf.onnx: it has ${RF.length + 1} bytes, the manifest says ${RF.length}.`,
  })
  t.equal(await model, false)
  const ofAllElse = hangsUp('manifest.json', 5e9)
  await t.rejects(readManifest(source), {
    code: 'KSR_MANIFEST',
    message: 'v1/manifest.json: it has 5000000000 bytes, more than the 4194304 that are read.',
  })
  t.equal(await ofAllElse, false)
})

t.test('what fails for the moment is tried again, three times in all', async (t) => {
  const bucket = await startBucket(t, MODELS)
  const source = await sourceOf(t, bucket)
  const fail = refuse(500, 'InternalError')
  let failures = 0
  bucket.answers['manifest.json'] = (response) => {
    if (++failures === 2) delete bucket.answers['manifest.json']
    fail(response)
  }
  await readManifest(source)
  t.equal(bucket.requests.length, 3)
  bucket.answers['manifest.json'] = fail
  await t.rejects(readManifest(source), { message: /\(InternalError, HTTP 500\)/ })
  t.equal(bucket.requests.length, 6)
})

t.test('a bucket that never answers is given up within the time that Lambda gives a start', async (t) => {
  const bucket = await startBucket(t, MODELS)
  const source = await sourceOf(t, bucket)
  bucket.answers['manifest.json'] = () => {}
  const begun = Date.now()
  await t.rejects(readManifest(source), { code: 'KSR_MANIFEST', message: /\(TimeoutError\)/ })
  t.ok(Date.now() - begun < 8000)
  t.equal(bucket.requests.length, 3)
})

t.test("where nobody can be asked, or in nobody's name, that is the reason", async (t) => {
  for (const [settings, reason] of [
    [{ AWS_ENDPOINT_URL_S3: 'http://127.0.0.1:1' }, 'ECONNREFUSED'],
    [{ AWS_ENDPOINT_URL_S3: 'localhost' }, 'ERR_INVALID_URL'],
    [{ AWS_ACCESS_KEY_ID: '' }, 'CredentialsProviderError'],
    [{ AWS_REGION: undefined }, 'Region is missing'],
  ] as const) {
    const bucket = await startBucket(t, MODELS)
    Object.assign(bucket.settings, settings)
    const source = await sourceOf(t, bucket)
    await t.rejects(readManifest(source), {
      code: 'KSR_MANIFEST',
      message: `s3://models-of-ours/recognition/v1/manifest.json: it can not be read (${reason}).`,
    })
  }
})
