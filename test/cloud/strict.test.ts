// What ministack lets pass: moto looks whether there is an image where a function is to be made of it.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { answers, freePort, REGION, start } from '../fixtures/cloud.js'
import { ROOT, run, type } from '../fixtures/commands.js'
import { commandBlocks } from '../fixtures/document.js'

const MANIFEST = {
  schemaVersion: 2,
  mediaType: 'application/vnd.docker.distribution.manifest.v2+json',
  config: {
    mediaType: 'application/vnd.docker.container.image.v1+json',
    size: 1,
    digest: `sha256:${'1'.repeat(64)}`,
  },
  layers: [],
}

const port = await freePort()
const moto = start('moto_server', ['--port', String(port)], {
  MOTO_LAMBDA_STUB_ECR: 'false',
  MOTO_IAM_LOAD_MANAGED_POLICIES: 'true',
})
t.teardown(() => moto.kill())
await answers(`http://127.0.0.1:${port}/`)

const env = {
  ...process.env,
  AWS_ENDPOINT_URL: `http://127.0.0.1:${port}`,
  AWS_ACCESS_KEY_ID: 'test',
  AWS_SECRET_ACCESS_KEY: 'test',
  AWS_DEFAULT_REGION: REGION,
}
const blocks = commandBlocks(readFileSync(join(ROOT, 'docs/aws-by-hand.md'), 'utf8'))
const block = (heading: RegExp) => blocks.find((one) => heading.test(one.heading))?.command as string
const [settings, repository, creation] = [block(/^Requirements/), block(/^2\. /), block(/^6\. /)]

const typed = (...commands: string[]) => type([settings, ...commands], env)

t.test('the manual makes a function of an image that is there, and of no other', async (t) => {
  const [before, command] = creation.split(/(?=aws lambda create-function)/) as [string, string]
  await typed(before.replace(/^sleep.*$/m, ''))
  const some = `digest=sha256:${'2'.repeat(64)}`
  await t.rejects(typed(`${some}\n${command}`), /RepositoryNotFoundException/)

  await typed(repository)
  await t.rejects(typed(`${some}\n${command}`), /ImageNotFoundException/)

  const put = ['ecr', 'put-image', '--repository-name', 'threatfabric', '--output', 'text']
  const image = ['--image-manifest', JSON.stringify(MANIFEST), '--query', 'image.imageId.imageDigest']
  const digest = `digest=${await run('aws', [...put, ...image], env)}`
  const wrong = command.replace('$registry/threatfabric', '$registry/keystroke_based_user_recognition')
  await t.rejects(typed(`${digest}\n${wrong}`), /RepositoryNotFoundException/, 'as the original has it')

  t.match(await typed(`${digest}\n${command}`), '"FunctionName": "keystroke_based_user_recognition"')
})
