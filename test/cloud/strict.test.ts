// What ministack lets pass, or does not know: moto looks whether there is an image where a function is to be made of it,
// and has Application Auto Scaling.
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

t.test('the commands that change it with the hour do, there and back', async (t) => {
  const page = commandBlocks(readFileSync(join(ROOT, 'docs/scaling.md'), 'utf8'))
  const [names = '', , hours = '', , back = ''] = page
    .filter(({ heading }) => heading === 'Provisioned concurrency')
    .map(({ command }) => command)
  const [name] = /^NAME=.*$/m.exec(names) as RegExpExecArray
  const scaling = async (action: string, list: string) => {
    const command = ['application-autoscaling', action, '--service-namespace', 'lambda', '--output', 'json']
    return JSON.parse(await run('aws', command, env))[list]
  }
  await typed(`${name}\n${hours}`)
  const target = {
    ResourceId: 'function:keystroke_based_user_recognition:live',
    MinCapacity: 2,
    MaxCapacity: 20,
  }
  t.match(await scaling('describe-scalable-targets', 'ScalableTargets'), [target])
  t.match(await scaling('describe-scheduled-actions', 'ScheduledActions'), [
    { ScheduledActionName: 'morning', ScalableTargetAction: { MinCapacity: 10, MaxCapacity: 20 } },
    { ScheduledActionName: 'evening', ScalableTargetAction: { MinCapacity: 2, MaxCapacity: 20 } },
  ])
  const [deregister] = /^aws application-autoscaling .*$/m.exec(back) as RegExpExecArray
  const [set] = /^TARGET=.*$/m.exec(hours) as RegExpExecArray
  await typed(`${name}\n${set}\n${deregister}`)
  t.same(await scaling('describe-scalable-targets', 'ScalableTargets'), [])
})
