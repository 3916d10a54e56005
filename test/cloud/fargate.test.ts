import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { startCloud } from '../fixtures/cloud.js'
import { DOCKER, pathWith } from '../fixtures/commands.js'
import { docker, eventually, ROOT, run } from '../fixtures/docker.js'

const TEMPLATE = 'deploy/fargate/service.yaml'
const STACK = 'keystroke-recognition'
const DIGEST = `123456789012.dkr.ecr.us-east-1.amazonaws.com/threatfabric@sha256:${'0'.repeat(64)}`
const NETWORK = { VpcId: 'vpc-01234567', SubnetIds: ['subnet-01234567', 'subnet-89abcdef'] }

const template = read(TEMPLATE)
const page = read('docs/scaling.md')
const section = /^## On Fargate\n([\s\S]*?)^## /m.exec(page)?.[1] as string

const CERTIFICATE = {
  CertificateArn: 'arn:aws:acm:us-east-1:123456789012:certificate/12345678-1234-1234-1234-123456789012',
}
const MODELS = { ModelUri: 's3://models/keystrokes/v2' }
const ALARMS = { AlarmTopicArn: 'arn:aws:sns:us-east-1:123456789012:alarms' }

/** Every condition of the template once met and once not, and those that are optional together. */
const COMBINATIONS: Record<string, string>[] = [
  {},
  CERTIFICATE,
  MODELS,
  ALARMS,
  { Architecture: 'ARM64', Cpu: '1024', Memory: '2048', RequestsPerTask: '340000' },
  { ...CERTIFICATE, ...MODELS, ...ALARMS },
]

for (const parameters of COMBINATIONS) {
  const names = Object.keys(parameters).join(', ') || 'nothing'
  t.test(`cfn-lint has nothing to say about the template with ${names} set`, async (t) => {
    const values = Object.entries({ ImageUri: DIGEST, ...NETWORK, ...parameters })
    const file = values.map(([ParameterKey, ParameterValue]) => ({ ParameterKey, ParameterValue }))
    const folder = t.testdir({ 'parameters.json': JSON.stringify(file) })
    await lint(
      'cfn-lint',
      ...['--non-zero-exit-code', 'informational', TEMPLATE],
      ...['--parameter-files', join(folder, 'parameters.json')],
    )
  })
}

t.test('checkov finds nothing but what the template gives a reason for', async (t) => {
  const found = await lint('checkov', '--quiet', '--skip-download', '--output=json', '--file', TEMPLATE)
  const { summary } = JSON.parse(found)
  t.match(summary, { failed: 0, parsing_errors: 0 })
  t.ok(summary.passed > 20, `${summary.passed} checks passed`)
})

t.test('a task is given as many requests as the page says', async (t) => {
  const perVcpu = /is ([\d,]+) a minute for each vCPU/.exec(page)?.[1] as string
  t.equal(defaultOf('RequestsPerTask'), (Number(perVcpu.replaceAll(',', '')) * defaultOf('Cpu')) / 1024)
  t.match(template, `For best ${perVcpu} for each vCPU`)
})

t.test('the settings are those of the function', async (t) => {
  const environment = [...template.matchAll(/Name: ([A-Z_]+), Value: !Ref (\w+)/g)]
  const ofFunction = [...read('deploy/service.yaml').matchAll(/^ {10}([A-Z_]+): !Ref (\w+)$/gm)]
  const pairs = (found: RegExpExecArray[]) => found.map(([, name, parameter]) => `${name}=${parameter}`)
  t.match(environment, { length: 7 })
  t.same(pairs(environment), pairs(ofFunction))
})

t.test('the commands of the page work, scaling left out', { timeout: 600_000 }, async (t) => {
  const cloud = await startCloud()
  // The emulator's load balancers have names that nobody knows.
  const curl = `exec curl --connect-to ::${cloud.registry} "$@"`
  const env = { ...process.env, ...cloud.env, PATH: pathWith(t, { docker: DOCKER, curl }) }
  // The emulator knows no AWS::ApplicationAutoScaling.
  const unscaled = t.testdir({
    'service.yaml': template.replace(/^ {2}ScalableTarget:[\s\S]*?(?=^ {2}ServerErrorsAlarm:)/m, ''),
  })
  const image = `${cloud.registry}/threatfabric:server`
  t.teardown(async () => {
    const left = await docker('ps', '--all', '--quiet', '--filter', `ancestor=${image}`)
    for (const id of left.split('\n').filter(Boolean)) await docker('rm', '--force', id)
    await docker('image', 'rm', '--force', image)
  })

  /** Runs commands as a reader does, with what is here in the place of what is at AWS. */
  async function type(...blocks: (string | undefined)[]): Promise<string> {
    const typed = blocks
      .join('\n')
      .replace('$account.dkr.ecr.us-east-1.amazonaws.com', cloud.registry)
      .replace(TEMPLATE, join(unscaled, 'service.yaml'))
    const shell = spawn('bash', ['-euo', 'pipefail', '-c', typed], { cwd: ROOT, env })
    const [stdout, stderr, code] = await Promise.all([
      text(shell.stdout),
      text(shell.stderr),
      new Promise<number>((resolve) => shell.on('close', resolve)),
    ])
    if (code !== 0) throw new Error(`${typed}\n${stdout}${stderr}`)
    return stdout
  }
  const aws = async (...args: string[]) =>
    JSON.parse((await run('aws', [...args, '--output', 'json'], env)) || 'null')

  const [push, up, down, ...more] = [...section.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, code]) => code)
  t.same(more, [])
  const written = await type(push, up)

  t.test('the stack is there, and has what the template says', async (t) => {
    const { Stacks } = await aws('cloudformation', 'describe-stacks', '--stack-name', STACK)
    t.equal(Stacks[0].StackStatus, 'CREATE_COMPLETE')
    const { StackResources } = await aws('cloudformation', 'describe-stack-resources', '--stack-name', STACK)
    const types = StackResources.map(({ ResourceType }: { ResourceType: string }) => ResourceType)
    t.same([...new Set(types)].sort(), [
      'AWS::CloudWatch::Alarm',
      'AWS::EC2::SecurityGroup',
      'AWS::ECS::Cluster',
      'AWS::ECS::Service',
      'AWS::ECS::TaskDefinition',
      'AWS::ElasticLoadBalancingV2::Listener',
      'AWS::ElasticLoadBalancingV2::LoadBalancer',
      'AWS::ElasticLoadBalancingV2::TargetGroup',
      'AWS::IAM::Role',
      'AWS::Logs::LogGroup',
    ])
    const { taskDefinition } = await aws('ecs', 'describe-task-definition', '--task-definition', STACK)
    t.match(taskDefinition, { networkMode: 'awsvpc', cpu: '256', memory: '512' })
    t.match(taskDefinition.containerDefinitions, [
      { image: new RegExp(`^${cloud.registry}/threatfabric@sha256:`), readonlyRootFilesystem: true },
    ])
  })

  t.test('a task answers the sample with user 84 through the load balancer', async (t) => {
    const url = /^http:\/\/\S+$/m.exec(written)?.[0]
    const ask = (path: string, ...post: string[]) => run('curl', ['-s', url + path, ...post], env)
    const ready = await eventually(
      () => ask('/health/ready'),
      (answer) => answer.startsWith('{"status"'),
    )
    t.match(ready, '{"status":"ok"')
    const sample = ['-H', 'content-type: application/json', '-d', '@docs/examples/summary.json']
    t.equal(`${await ask('', ...sample)}\n`, /^```json\n([\s\S]*?)^```$/m.exec(section)?.[1])
  })

  t.test('nothing of the stack stays', async (t) => {
    await type(`registry=${cloud.registry}`, down)
    t.match(await aws('ecs', 'list-clusters'), { clusterArns: { length: 0 } })
    t.match(await aws('elbv2', 'describe-load-balancers'), { LoadBalancers: { length: 0 } })
    t.match(await aws('iam', 'list-roles'), { Roles: { length: 0 } })
    t.match(await aws('logs', 'describe-log-groups'), { logGroups: { length: 0 } })
  })
})

function read(file: string): string {
  return readFileSync(join(ROOT, file), 'utf8')
}

/** Runs a command that fails where it finds something; gives what it wrote. */
async function lint(command: string, ...args: string[]): Promise<string> {
  return run(command, args).catch(({ stdout, stderr }) => {
    throw new Error(`${command}: ${stdout}${stderr}`)
  })
}

/** What a number is where nobody sets it. */
function defaultOf(parameter: string): number {
  return Number(new RegExp(`^  ${parameter}:\n(?: {4}.*\n)*? {4}Default: "?(\\d+)`, 'm').exec(template)?.[1])
}
