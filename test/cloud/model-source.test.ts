import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { CreateBucketCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3'
import t, { type Test } from 'tap'
import { SUMMARY } from '../fixtures/build.js'
import { startCloud } from '../fixtures/cloud.js'
import { MODELS } from '../fixtures/models.js'
import { address, output, start } from '../fixtures/server.js'

Object.assign(process.env, (await startCloud()).env)
const BUCKET = 'keystroke-models'
const settings = { MODEL_URI: `s3://${BUCKET}/recognition/v1`, WORKERS: '2' }

const s3 = new S3Client({ forcePathStyle: true })
t.teardown(() => s3.destroy())
const put = (name: string, bytes: Buffer) =>
  s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: `recognition/v1/${name}`, Body: bytes }))

t.before(async () => {
  await s3.send(new CreateBucketCommand({ Bucket: BUCKET }))
  const { files } = JSON.parse(readFileSync(join(MODELS, 'manifest.json'), 'utf8'))
  const models = Object.keys(files).filter((name) => name.endsWith('.onnx'))
  for (const name of ['manifest.json', 'enrolment.json', ...models])
    await put(name, readFileSync(join(MODELS, name)))
})

t.test('the workers serve the models that are in the bucket', async (t) => {
  const server = start(settings)
  t.teardown(() => server.kill('SIGKILL'))
  const exited = once(server, 'exit')
  const url = await address(server)
  const headers = { 'content-type': 'application/json' }
  const answer = await fetch(`${url}/predict/rf`, { method: 'POST', headers, body: JSON.stringify(SUMMARY) })
  t.match(await answer.json(), { user: 84, model: 'rf' })
  server.kill('SIGTERM')
  t.same(await exited, [0, null])
})

t.test('a model that was altered in the bucket stops the start', async (t) => {
  const rf = readFileSync(join(MODELS, 'rf.onnx'))
  await put('rf.onnx', Buffer.from(rf.toReversed()))
  t.teardown(() => put('rf.onnx', rf))
  await refused(t, settings, /\/v1\/rf\.onnx: its SHA-256 is [0-9a-f]{64}, the manifest says/)
  await put('rf.onnx', rf.subarray(1))
  await refused(t, settings, /\/v1\/rf\.onnx: it has \d+ bytes, the manifest says \d+/)
})

t.test('a prefix or a bucket that is not there stops the start', async (t) => {
  const place = (uri: string) => ({ ...settings, MODEL_URI: uri })
  await refused(
    t,
    place(`s3://${BUCKET}/v2`),
    /\/v2\/manifest\.json: it can not be read \(NoSuchKey, HTTP 404\)/,
  )
  await refused(
    t,
    place(`s3://no-${BUCKET}`),
    /manifest\.json: it can not be read \(NoSuchBucket, HTTP 404\)/,
  )
})

/** Starts the service, which must end and say why. */
async function refused(t: Test, env: NodeJS.ProcessEnv, reason: RegExp): Promise<void> {
  const server = start({ ...env, WORKERS: '1' })
  t.teardown(() => server.kill('SIGKILL'))
  const exited = once(server, 'exit')
  const said = await output(server.stderr)
  t.match(said, /The service does not start\. s3:\/\//)
  t.match(said, reason)
  t.same(await exited, [1, null])
}
