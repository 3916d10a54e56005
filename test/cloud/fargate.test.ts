import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startCloud } from '../fixtures/cloud.js'
import { DOCKER, pathWith, ROOT, run, type } from '../fixtures/commands.js'
import { docker, eventually } from '../fixtures/docker.js'
import { type Block, commandBlocks } from '../fixtures/document.js'
import { checkReasons, type Parameters, testCombinations } from '../fixtures/lint.js'

const TEMPLATE = 'deploy/fargate/service.yaml'
const STACK = 'keystroke-recognition'
const DIGEST = `123456789012.dkr.ecr.us-east-1.amazonaws.com/threatfabric@sha256:${'0'.repeat(64)}`
const NETWORK = { VpcId: 'vpc-01234567', SubnetIds: ['subnet-01234567', 'subnet-89abcdef'] }

const template = read(TEMPLATE)
const page = read('docs/scaling.md')

const CERTIFICATE = {
  CertificateArn: 'arn:aws:acm:us-east-1:123456789012:certificate/12345678-1234-1234-1234-123456789012',
}
const MODELS = { ModelUri: 's3://models/keystrokes/v2' }
const ENROLMENT = { Enrolment: 'on', MaxTexts: '1', UpdateTemplates: 'on' }
const ALARMS = { AlarmTopicArn: 'arn:aws:sns:us-east-1:123456789012:alarms' }

/** Every condition of the template once met and once not, and those that are optional together. */
const COMBINATIONS: Parameters[] = [
  {},
  CERTIFICATE,
  MODELS,
  ALARMS,
  ENROLMENT,
  { Architecture: 'ARM64', Cpu: '1024', Memory: '2048', RequestsPerTask: '320000' },
  { ...CERTIFICATE, ...MODELS, ...ALARMS, ...ENROLMENT },
]

testCombinations(TEMPLATE, { ImageUri: DIGEST, ...NETWORK }, COMBINATIONS)

t.test('checkov finds nothing but what the template gives a reason for', async (t) => {
  await checkReasons(t, [TEMPLATE], 20)
})

t.test('a task is given as many requests as the page says', async (t) => {
  const perVcpu = /is ([\d,]+) a minute for each vCPU/.exec(page)?.[1] as string
  t.equal(defaultOf('RequestsPerTask'), (Number(perVcpu.replaceAll(',', '')) * defaultOf('Cpu')) / 1024)
  t.match(template, `For best ${perVcpu} for each vCPU`)
})

t.test('there is an alarm for a total outage, when nothing is counted', async (t) => {
  const alarm = /^ {2}NoTasksAlarm:\n([\s\S]*?)^\S/m.exec(template)?.[1] as string
  t.match(alarm, 'MetricName: HealthyHostCount')
  t.match(alarm, 'ComparisonOperator: LessThanThreshold')
  t.match(alarm, 'TreatMissingData: breaching')
})

t.test('the settings are those of the function, and what its gateway does', async (t) => {
  const environment = [...template.matchAll(/Name: ([A-Z_]+), Value: .*?!Ref (\w+)/g)]
  // That of the path is the stage's where it is not given.
  const ofFunction = [...read('deploy/service.yaml').matchAll(/^ {10}([A-Z_]+): .*?!Ref (\w+)/gm)]
  const pairs = (found: RegExpExecArray[]) => found.map(([, name, parameter]) => `${name}=${parameter}`)
  t.equal(environment.length, 23)
  const ofGateway = ['JWT_JWKS_URL=JwtJwksUrl', 'JWT_ISSUER=JwtIssuer', 'JWT_AUDIENCE=JwtAudience']
  t.same(pairs(environment), [...pairs(ofFunction), ...ofGateway, 'RATE_LIMIT=RateLimit'])
})

t.test('those who are enrolled are kept as by the function', async (t) => {
  const records = (text: string) =>
    /^ {2}Records:\n[\s\S]*?(?=^ {2}\w+:\n {4}Type: AWS::(Logs|ECS))/m.exec(text)?.[0]
  t.match(records(template), 'GenerateSecretString')
  t.equal(records(template), records(read('deploy/service.yaml')))
})

t.test('the commands of the page work, scaling left out', { timeout: 600_000 }, async (t) => {
  const cloud = await startCloud()
  const { aws } = cloud
  // The emulator's load balancers have names that nobody knows.
  const curl = `exec curl --connect-to ::${cloud.registry} "$@"`
  const env = { ...process.env, ...cloud.env, PATH: pathWith(t, { docker: DOCKER, curl }) }
  // The emulator knows no AWS::ApplicationAutoScaling.
  const unscaled = t.testdir({
    'service.yaml': template.replace(/^ {2}ScalableTarget:[\s\S]*?(?=^ {2}ServerErrorsAlarm:)/m, ''),
  })
  const lines = async (...args: string[]) => (await docker(...args)).split('\n').filter(Boolean)
  t.teardown(async () => {
    const tags = ['--filter', `reference=${cloud.registry}/threatfabric:server-*`]
    for (const image of await lines('image', 'ls', ...tags, '--format', '{{.Repository}}:{{.Tag}}')) {
      const left = await lines('ps', '--all', '--quiet', '--filter', `ancestor=${image}`)
      for (const id of left) await docker('rm', '--force', id)
      await docker('image', 'rm', '--force', image)
    }
  })

  const [push, up, down, ...more] = commandBlocks(page).filter(({ heading }) => heading === 'On Fargate')
  t.same(more, [])
  /** Types blocks as a reader does, with what is here in the place of what is at AWS. */
  const typeHere = (...blocks: (Block | undefined)[]) =>
    type(
      blocks.map((block) =>
        (block as Block).command
          .replace('$account.dkr.ecr.us-east-1.amazonaws.com', cloud.registry)
          .replace(TEMPLATE, join(unscaled, 'service.yaml')),
      ),
      env,
    )
  const written = await typeHere(push, up)

  t.test('a size that Fargate does not sell is refused at once', async (t) => {
    const network = [`VpcId=${NETWORK.VpcId}`, `SubnetIds=${NETWORK.SubnetIds.join(',')}`]
    // Without scaling, so that nothing but the rules can be what refuses.
    const deploy = (stack: string, ...parameters: string[]) =>
      run(
        'aws',
        [
          ...['cloudformation', 'deploy', '--template-file', join(unscaled, 'service.yaml')],
          ...['--stack-name', stack, '--capabilities', 'CAPABILITY_IAM', '--no-execute-changeset'],
          ...['--parameter-overrides', `ImageUri=${DIGEST}`, ...network, ...parameters],
        ],
        env,
      )
    const refused = [
      ['512', '512'],
      ['1024', '512'],
      ['1024', '1024'],
    ]
    for (const [cpu, memory] of refused)
      await t.rejects(
        deploy(`refused-${cpu}-${memory}`, `Cpu=${cpu}`, `Memory=${memory}`),
        new RegExp(`With a Cpu of ${cpu} Memory must be`),
      )
    const sold = [
      ['256', '2048'],
      ['512', '1024'],
      ['512', '2048'],
      ['1024', '2048'],
    ]
    for (const [cpu, memory] of sold)
      await t.resolves(
        deploy(`sold-${cpu}-${memory}`, `Cpu=${cpu}`, `Memory=${memory}`),
        `${cpu} and ${memory}`,
      )
  })

  t.test('the image has a tag that keeps it', async (t) => {
    const { imageDetails } = await aws('ecr', 'describe-images', '--repository-name', 'threatfabric')
    t.match(imageDetails, [{ imageTags: [/^server-\d{14}$/] }])
    t.equal(imageDetails.length, 1)
  })

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
    t.equal(`${await ask('', ...sample)}\n`, up?.answer)
  })

  t.test('nothing of the stack stays', async (t) => {
    await type([`registry=${cloud.registry}`, (down as Block).command], env)
    // Not t.match, to which every list is like an empty one.
    t.same((await aws('ecs', 'list-clusters')).clusterArns, [])
    t.same((await aws('elbv2', 'describe-load-balancers')).LoadBalancers, [])
    t.same((await aws('iam', 'list-roles')).Roles, [])
    t.same((await aws('logs', 'describe-log-groups')).logGroups, [])
    t.same((await aws('cloudwatch', 'describe-alarms')).MetricAlarms, [])
  })
})

function read(file: string): string {
  return readFileSync(join(ROOT, file), 'utf8')
}

/** What a number is where nobody sets it. */
function defaultOf(parameter: string): number {
  return Number(new RegExp(`^  ${parameter}:\n(?: {4}.*\n)*? {4}Default: "?(\\d+)`, 'm').exec(template)?.[1])
}
