import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { startCloud } from '../fixtures/cloud.js'
import { ROOT, run } from '../fixtures/commands.js'
import { checkReasons, lint, type Parameters, testCombinations } from '../fixtures/lint.js'

const TEMPLATES = ['deploy/registry.yaml', 'deploy/service.yaml']

const ARN = {
  certificate: 'arn:aws:acm:us-east-1:123456789012:certificate/12345678-1234-1234-1234-123456789012',
  topic: 'arn:aws:sns:us-east-1:123456789012:alarms',
}
const DIGEST = `123456789012.dkr.ecr.us-east-1.amazonaws.com/threatfabric@sha256:${'0'.repeat(64)}`
const JWT = { JwtIssuer: 'https://issuer.example', JwtAudience: ['keystrokes'] }
const DOMAIN = { DomainName: 'typing.example.com', CertificateArn: ARN.certificate }

/** Every condition of the template once met and once not, and those that meet in one resource together. */
const COMBINATIONS: Parameters[] = [
  {},
  { PreviousImageUri: DIGEST },
  { Architecture: 'arm64', MemorySize: '10240', Timeout: '29', LogRetention: '3653' },
  { ReservedConcurrency: '100', ThrottleRate: '10000', ThrottleBurst: '5000' },
  JWT,
  { ...JWT, JwtAudience: ['one', 'two'] },
  DOMAIN,
  { ...DOMAIN, HostedZoneId: 'Z0123456789ABCDEFGHIJ' },
  { Tracing: 'Active' },
  { Metrics: 'on' },
  { AlarmTopicArn: ARN.topic },
  { ModelUri: 's3://models', ModelPublicKey: `${'A'.repeat(59)}=` },
  { ModelUri: 's3://models/keystrokes/v2', Models: 'best,rf', LogLevel: 'warn', MaxCandidates: '0' },
  { Enrolment: 'on' },
  { Enrolment: 'on', RetentionDays: '365', MaxEnrolled: '100000', KeepSamples: 'on', StaleDays: '0' },
  { ApiKeys: `app:${'0'.repeat(64)},web:${'f'.repeat(64)}`, PublicRoutes: 'docs,models' },
  {
    ...JWT,
    ...DOMAIN,
    HostedZoneId: 'Z0123456789ABCDEFGHIJ',
    ReservedConcurrency: '5',
    AlarmTopicArn: ARN.topic,
    ModelUri: 's3://models/keystrokes',
    PreviousImageUri: DIGEST,
    Tracing: 'Active',
    Enrolment: 'on',
  },
]

t.test('cfn-lint has nothing to say about the templates', async () => {
  await lint('cfn-lint', '--non-zero-exit-code', 'informational', ...TEMPLATES)
})

testCombinations('deploy/service.yaml', { ImageUri: DIGEST }, COMBINATIONS)

t.test('checkov finds nothing but what the templates give a reason for', async (t) => {
  await checkReasons(t, TEMPLATES, 10)
})

t.test('with Enrolment there are a table and a key, which stay when it is off again', async (t) => {
  const { aws, env } = await startCloud()
  const settings = async (enrolment: string) => {
    const parameters = ['--parameter-overrides', `ImageUri=${DIGEST}`, `Enrolment=${enrolment}`]
    const stack = ['--template-file', 'deploy/service.yaml', '--stack-name', 'enrolment']
    const words = ['cloudformation', 'deploy', ...stack, '--capabilities', 'CAPABILITY_IAM', ...parameters]
    await run('aws', words, { ...process.env, ...env })
    const { Functions } = await aws('lambda', 'list-functions')
    return Functions[0].Environment.Variables
  }
  const none = { ENROLMENT_TABLE: '', ENROLMENT_KEYS: '' }
  t.match(await settings('off'), none)
  const { ENROLMENT_TABLE: table, ENROLMENT_KEYS } = await settings('on')
  // The emulator does not heed of which characters it is to be.
  t.match(ENROLMENT_KEYS, /^1:.{64}$/)
  t.match((await aws('dynamodb', 'describe-table', '--table-name', table)).Table, {
    KeySchema: [{ AttributeName: 'pk' }, { AttributeName: 'sk' }],
    LocalSecondaryIndexes: [{ IndexName: 'changes' }],
  })
  t.match(await settings('off'), none)
  t.same((await aws('dynamodb', 'list-tables')).TableNames, [table])
  t.equal((await aws('secretsmanager', 'list-secrets')).SecretList.length, 1)
})

t.test('the key is one that the service takes', async (t) => {
  const text = readFileSync(join(ROOT, 'deploy/service.yaml'), 'utf8')
  const { GenerateSecretString: how } = parse(text, { logLevel: 'silent' }).Resources.RecordsKey.Properties
  t.match(how, { PasswordLength: 64, RequireEachIncludedType: false })
  const printable = Array.from({ length: 94 }, (_, at) => String.fromCharCode(33 + at))
  t.equal(printable.filter((one) => !how.ExcludeCharacters.includes(one)).join(''), '0123456789abcdef')
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
  await lint('shellcheck', 'deploy/deploy.sh', 'test/cloud/run')
})
