import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const TEMPLATES = ['deploy/registry.yaml', 'deploy/service.yaml']

/** Fails with what the command found. */
const run = (command: string, ...args: string[]) =>
  promisify(execFile)(command, args, { cwd: ROOT }).catch(({ stdout, stderr }) => {
    throw new Error(`${command}: ${stdout}${stderr}`)
  })

const ARN = {
  certificate: 'arn:aws:acm:us-east-1:123456789012:certificate/12345678-1234-1234-1234-123456789012',
  topic: 'arn:aws:sns:us-east-1:123456789012:alarms',
}
const DIGEST = `123456789012.dkr.ecr.us-east-1.amazonaws.com/threatfabric@sha256:${'0'.repeat(64)}`
const JWT = { JwtIssuer: 'https://issuer.example', JwtAudience: ['keystrokes'] }
const DOMAIN = { DomainName: 'typing.example.com', CertificateArn: ARN.certificate }

/** Every condition of the template once met and once not, and those that meet in one resource together. */
const COMBINATIONS: Record<string, string | string[]>[] = [
  {},
  { PreviousImageUri: DIGEST },
  { Architecture: 'arm64', MemorySize: '10240', Timeout: '29', LogRetention: '3653' },
  { ReservedConcurrency: '100', ThrottleRate: '10000', ThrottleBurst: '5000' },
  JWT,
  { ...JWT, JwtAudience: ['one', 'two'] },
  DOMAIN,
  { ...DOMAIN, HostedZoneId: 'Z0123456789ABCDEFGHIJ' },
  { Tracing: 'Active' },
  { AlarmTopicArn: ARN.topic },
  { ModelUri: 's3://models' },
  { ModelUri: 's3://models/keystrokes/v2', Models: 'best,rf', LogLevel: 'warn', MaxCandidates: '0' },
  {
    ...JWT,
    ...DOMAIN,
    HostedZoneId: 'Z0123456789ABCDEFGHIJ',
    ReservedConcurrency: '5',
    AlarmTopicArn: ARN.topic,
    ModelUri: 's3://models/keystrokes',
    PreviousImageUri: DIGEST,
    Tracing: 'Active',
  },
]

t.test('cfn-lint has nothing to say about the templates', async () => {
  await run('cfn-lint', '--non-zero-exit-code', 'informational', ...TEMPLATES)
})

for (const parameters of COMBINATIONS) {
  const names = Object.keys(parameters).join(', ') || 'nothing'
  t.test(`cfn-lint has nothing to say about the service with ${names} set`, async (t) => {
    const values = Object.entries({ ImageUri: DIGEST, ...parameters })
    const file = values.map(([ParameterKey, ParameterValue]) => ({ ParameterKey, ParameterValue }))
    const folder = t.testdir({ 'parameters.json': JSON.stringify(file) })
    await run(
      'cfn-lint',
      ...['--non-zero-exit-code', 'informational', 'deploy/service.yaml'],
      ...['--parameter-files', join(folder, 'parameters.json')],
    )
  })
}

t.test('checkov finds nothing but what the templates give a reason for', async (t) => {
  const files = TEMPLATES.flatMap((file) => ['--file', file])
  const { stdout } = await run('checkov', '--quiet', '--skip-download', '--output=json', ...files)
  const { summary } = JSON.parse(stdout)
  t.match(summary, { failed: 0, parsing_errors: 0 })
  t.ok(summary.passed > 10, `${summary.passed} checks passed`)
})

t.test('no other template lies beside the two', async (t) => {
  const yaml = readdirSync(join(ROOT, 'deploy')).filter((name) => /\.ya?ml$/.test(name))
  t.same(yaml.map((name) => `deploy/${name}`).sort(), TEMPLATES)
})

t.test('what is deployed is named by its digest', async (t) => {
  const template = readFileSync(join(ROOT, 'deploy/service.yaml'), 'utf8')
  const pattern = /ImageUri:[\s\S]*?AllowedPattern: (.*)/.exec(template)?.[1] as string
  t.match(DIGEST, new RegExp(`^${pattern}$`))
  t.notMatch('123456789012.dkr.ecr.us-east-1.amazonaws.com/threatfabric:latest', new RegExp(`^${pattern}$`))
})

t.test('shellcheck has nothing to say about the script', async () => {
  await run('shellcheck', 'deploy/deploy.sh', 'test/cloud/run')
})
