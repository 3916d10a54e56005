import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { ACCOUNT, REGION, startCloud } from '../fixtures/cloud.js'
import { pathWith, ROOT, run } from '../fixtures/commands.js'
import { docker, newName } from '../fixtures/docker.js'
import { blockThat, withoutChance } from '../fixtures/document.js'

const SUMMARY = readFileSync(join(ROOT, 'docs/examples/summary.json'), 'utf8')
const README = readFileSync(join(ROOT, 'README.md'), 'utf8')
const TYPING = readFileSync(join(ROOT, 'docs/examples/typing.json'), 'utf8')
const FUNCTION = 'keystroke_based_user_recognition'
const STACK = 'keystroke-based-user-recognition'
const CERTIFICATE = `arn:aws:acm:eu-west-1:${ACCOUNT}:certificate/12345678-1234-1234-1234-123456789012`
const { AWS_CLI_2 } = process.env

const cloud = await startCloud()
const { aws } = cloud

interface Ended {
  code: number
  output: string
}

/** Runs the script, as a user would. What is given of the environment comes to it; `undefined` takes away. */
async function deploy(
  args: string[],
  env: NodeJS.ProcessEnv = {},
  { input = '', command = 'deploy/deploy.sh' } = {},
): Promise<Ended> {
  const child = spawn(command, args, { cwd: ROOT, env: { ...process.env, ...cloud.env, ...env } })
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  const [stdout, stderr, code] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise<number>((resolve) => child.on('close', resolve)),
  ])
  return { code, output: stdout + stderr }
}

async function parameters(): Promise<Record<string, string>> {
  const { Stacks } = await aws('cloudformation', 'describe-stacks', '--stack-name', STACK)
  return Object.fromEntries(
    Stacks[0].Parameters.map(({ ParameterKey, ParameterValue }: Record<string, string>) => [
      ParameterKey,
      ParameterValue,
    ]),
  )
}

const imageOf = async () => (await aws('lambda', 'get-function', '--function-name', FUNCTION)).Code.ImageUri
const repositoryUri = `${cloud.registry}/threatfabric`

/** Asks with curl, which knows that every name under localhost is this machine. */
async function ask(url: string, body?: string) {
  const post = body === undefined ? [] : ['--header', 'content-type: application/json', '--data', body]
  const written = await run('curl', ['--silent', '--write-out', '\n%{http_code}', ...post, url])
  const end = written.lastIndexOf('\n')
  return { status: Number(written.slice(end)), body: written.slice(0, end) }
}

/** Pushes an image that differs from the one that runs by a label alone. */
async function pushNext(tag: string): Promise<string> {
  const recipe = t.testdir({
    [tag]: { Dockerfile: `FROM ${repositoryUri}:latest\nLABEL test=${newName()}\n` },
  })
  const name = `${repositoryUri}:${tag}`
  await docker('build', '--provenance=false', '--sbom=false', '--tag', name, join(recipe, tag))
  await docker('push', name)
  await docker('image', 'rm', name)
  const { imageDetails } = await aws(
    ...['ecr', 'describe-images', '--repository-name', 'threatfabric', '--image-ids', `imageTag=${tag}`],
  )
  return imageDetails[0].imageDigest
}

t.test('what is missing is said, before anything is made', async (t) => {
  t.test('Docker', async (t) => {
    const broken = pathWith(t, { docker: 'echo "Cannot connect to the Docker daemon" >&2; exit 1' })
    t.match(await deploy(['up'], { PATH: broken }), {
      code: 1,
      output: /Docker does not answer: Cannot connect to the Docker daemon/,
    })
    const bare = t.testdir({ bin: {} })
    for (const name of ['bash', 'dirname', 'mktemp', 'rm', 'tr', 'cat', 'sed'])
      symlinkSync((await run('sh', ['-c', `command -v ${name}`])).trim(), join(bare, 'bin', name))
    t.match(await deploy(['up'], { PATH: join(bare, 'bin') }), {
      code: 1,
      output: 'deploy: docker is not installed\n',
    })
    t.match(await deploy(['status'], { PATH: join(bare, 'bin') }), {
      code: 1,
      output: 'deploy: aws is not installed\n',
    })
  })

  t.test('credentials', async (t) => {
    const none = {
      AWS_ACCESS_KEY_ID: undefined,
      AWS_SECRET_ACCESS_KEY: undefined,
      AWS_EC2_METADATA_DISABLED: 'true',
      HOME: t.testdir(),
    }
    t.match(await deploy(['up'], none), { code: 1, output: /there are no AWS credentials/ })
    t.match(await deploy(['up'], { ...none, AWS_PROFILE: 'nobody' }), {
      code: 1,
      output: /there are no AWS credentials/,
    })
    t.match(await deploy(['up'], { AWS_ACCOUNT_ID: '210987654321' }), {
      code: 1,
      output: new RegExp(`of account ${ACCOUNT}, not of 210987654321`),
    })
  })

  t.test('a way to AWS', async (t) => {
    t.match(await deploy(['status'], { AWS_ENDPOINT_URL: 'http://127.0.0.1:1' }), {
      code: 1,
      output: new RegExp(`no way to AWS from here, or no region ${REGION}`),
    })
  })

  t.test('permissions', async (t) => {
    const strict = await startCloud({ settings: { AUTH: 'true' } })
    await strict.aws('iam', 'create-user', '--user-name', 'newcomer')
    const { AccessKey } = await strict.aws('iam', 'create-access-key', '--user-name', 'newcomer')
    const newcomer = {
      ...strict.env,
      AWS_ACCESS_KEY_ID: AccessKey.AccessKeyId,
      AWS_SECRET_ACCESS_KEY: AccessKey.SecretAccessKey,
    }
    t.match(await deploy(['up'], newcomer), {
      code: 1,
      output: /AccessDenied[\s\S]*these credentials may not do that; docs\/aws-by-hand\.md says/,
    })
  })

  t.test('a deployment', async (t) => {
    for (const command of ['status', 'smoke', 'rollback'])
      t.match(await deploy([command]), { code: 1, output: /there is no stack keystroke-based-user-recog/ })
  })
  t.same(await aws('cloudformation', 'describe-stacks'), { Stacks: [] })
})

t.test('a command or parameter that is none is refused', async (t) => {
  t.match(await deploy([]), { code: 0, output: /deploy\.sh up .*build, push, deploy/ })
  t.match(await deploy(['upp']), { code: 2, output: /deploy\.sh up / })
  t.match(await deploy(['up', '512']), { code: 1, output: /512 is no parameter such as/ })
  t.match(await deploy(['up', 'Memory=512']), { code: 1, output: /has no parameter Memory/ })
  t.match(await deploy(['up'], { FUNCTION: '1_typing' }), {
    code: 1,
    output: /1-typing can't be the name of a stack: set STACK and REGISTRY_STACK/,
  })
  t.match(await run('sh', ['-c', 'cd deploy && ./deploy.sh help']), /deploy\.sh up /)
  t.match(await deploy(['up', 'ImageUri=x']), { code: 1, output: /ImageUri is not yours to set/ })
  t.match(await deploy(['down', '--all']), { code: 1, output: /down knows --images and --yes, not --all/ })
})

t.test('a function that was made by hand is not touched', async (t) => {
  t.teardown(() => aws('logs', 'delete-log-group', '--log-group-name', `/aws/lambda/${FUNCTION}`))
  await aws('logs', 'create-log-group', '--log-group-name', `/aws/lambda/${FUNCTION}`)
  t.match(await deploy(['up']), {
    code: 1,
    output: new RegExp(`there is a log group /aws/lambda/${FUNCTION} already that the stack`),
  })
  await aws(
    ...['lambda', 'create-function', '--function-name', FUNCTION, '--package-type', 'Image'],
    ...['--code', 'ImageUri=x', '--role', `arn:aws:iam::${ACCOUNT}:role/x`],
  )
  t.match(await deploy(['up']), {
    code: 1,
    output: new RegExp(`there is a function ${FUNCTION} already that the stack`),
  })
  await aws('lambda', 'delete-function', '--function-name', FUNCTION)
})

t.test('up makes a public endpoint; up again, rollback and down do what they say', async (t) => {
  // As the manual has it, so that it has to be taken over; without what the template adds.
  const repository = ['--repository-name', 'threatfabric']
  await aws('ecr', 'create-repository', ...repository)
  await aws('ecr', 'set-repository-policy', ...repository, '--policy-text', '{ "Statement": [] }')

  const first = await deploy(['up', 'MemorySize=512', 'ThrottleRate=50'])
  t.match(first, { code: 0, output: /Taking over the repository threatfabric/ })
  t.match(first.output, /"prediction":84/)
  const image = await imageOf()
  t.match(image, new RegExp(`^${repositoryUri}@sha256:[0-9a-f]{64}$`))
  t.match(await parameters(), { ImageUri: image, PreviousImageUri: '', MemorySize: '512' })
  const { Configuration } = await aws('lambda', 'get-function', '--function-name', FUNCTION)
  t.match(Configuration, { PackageType: 'Image', MemorySize: 512, Architectures: ['x86_64'] })

  t.test('the repository is as the template says', async (t) => {
    const { repositories } = await aws('ecr', 'describe-repositories')
    t.match(repositories, [
      {
        repositoryName: 'threatfabric',
        imageTagMutability: 'MUTABLE',
        imageScanningConfiguration: { scanOnPush: true },
      },
    ])
    const { policyText } = await aws('ecr', 'get-repository-policy', ...repository)
    t.match(JSON.parse(policyText), {
      Statement: [{ Effect: 'Allow', Principal: { Service: 'lambda.amazonaws.com' } }],
    })
    const { lifecyclePolicyText } = await aws(
      'ecr',
      'get-lifecycle-policy',
      '--repository-name',
      'threatfabric',
    )
    // An image would have to have tags of all prefixes that one rule names.
    t.match(JSON.parse(lifecyclePolicyText), {
      rules: [
        { selection: { tagPrefixList: { 0: 'deployed-', length: 1 } } },
        { selection: { tagPrefixList: { 0: 'before-', length: 1 } } },
        { selection: { tagPrefixList: { 0: 'server', length: 1 } } },
        { selection: { tagStatus: 'any', countNumber: 10 } },
      ],
    })
  })

  t.test('the curl that it prints answers what it printed', async (t) => {
    const [, curl, answer] = /^(curl -s .*)\n(.*)\n/m.exec(first.output) ?? []
    t.equal(await run('sh', ['-c', curl as string]), answer)
  })

  const endpoint = /Asking (\S+)/.exec(first.output)?.[1] as string
  const base = endpoint.slice(0, endpoint.lastIndexOf('/'))
  t.match(endpoint, new RegExp(`/default/${FUNCTION}$`))

  t.test('the route of the console trigger and every other answer what HTTP does', async (t) => {
    const post = async (url: string, body: string) => JSON.parse((await ask(url, body)).body)
    const { Model, ...summary } = JSON.parse(SUMMARY)
    t.match(await post(endpoint, SUMMARY), { prediction: 84, model: Model.toLowerCase() })
    t.match(await post(`${base}/predict/rf`, JSON.stringify(summary)), { user: 84, model: 'rf' })
    t.match(await post(`${base}/predict/best?fpir=0.01`, TYPING), { operatingPoint: { fpir: 0.01 } })
    t.match(await post(`${base}/predict/rf`, '{}'), { status: 400, code: 'KSR_INVALID_REQUEST' })
    for (const path of ['/health', '/health/ready', '/models', '/', `/${FUNCTION}`])
      t.equal((await ask(base + path)).status, 200, path)
    const { links = {} } = JSON.parse((await ask(base)).body)
    const { models } = JSON.parse((await ask(`${base}/models`)).body)
    for (const href of [...Object.values(links), models[0].href])
      t.equal((await ask(new URL(href as string, base).href)).status, 200, `${href}`)
    t.match((await ask(`${base}/docs`)).body, '"/default/docs/static/')
    t.match(await ask(`${base}/nowhere`), { status: 404, body: /KSR_ROUTE_NOT_FOUND/ })
  })

  t.test('status says what runs', async (t) => {
    const { code, output } = await deploy(['status'])
    t.equal(code, 0)
    for (const part of [image, endpoint, 'Active', 'x86_64', '512 MB', 'CREATE_COMPLETE'])
      t.match(output, part)
  })

  t.test('with enrolment on, the walk-through of the README answers what it does with SQLite', async (t) => {
    t.match(await deploy(['up', 'Enrolment=on']), { code: 0, output: /"prediction":84/ })
    const { text, prints } = blockThat(README, 'texts=localhost:3000/texts ')
    const script = text.replace('texts=localhost:3000', `texts=${base}`)
    t.equal(withoutChance(await run('sh', ['-ec', script])), withoutChance(prints))
    const tables = (await aws('dynamodb', 'list-tables')).TableNames
    t.equal(tables.length, 1)
    const { Items } = await aws('dynamodb', 'scan', '--table-name', tables[0])
    t.same(
      Items.filter(({ bytes }: { bytes?: unknown }) => bytes !== undefined),
      [],
      'and nothing is left of anybody',
    )
  })

  t.test('up again changes nothing', async (t) => {
    const { text } = blockThat(readFileSync(join(ROOT, 'docs/deploying.md'), 'utf8'), 'deploy/deploy.sh up')
    const again = await deploy(['-euc', text], {}, { command: 'bash' })
    t.match(again, { code: 0, output: `No changes to deploy. Stack ${STACK} is up to date` })
    t.match(again.output, 'No changes to deploy. Stack threatfabric-registry is up to date')
    t.match(await parameters(), {
      ImageUri: image,
      PreviousImageUri: '',
      MemorySize: '512',
      ThrottleRate: '50',
    })
  })

  t.test('there is nothing to roll back to', async (t) => {
    t.match(await deploy(['rollback']), { code: 1, output: /there is nothing to return to/ })
  })

  t.test('an image that Lambda would refuse is refused before', async (t) => {
    await pushNext('other')
    const index = `${repositoryUri}:index`
    await docker(
      'manifest',
      'create',
      '--insecure',
      index,
      `${repositoryUri}:latest`,
      `${repositoryUri}:other`,
    )
    await docker('manifest', 'push', '--insecure', '--purge', index)
    t.match(await deploy(['up'], { IMAGE: 'index' }), {
      code: 1,
      output: /is an image index \(application\/.*\), which Lambda refuses: build with --provenance=false/,
    })
    t.match(await deploy(['up'], { IMAGE: 'nothing' }), { code: 1, output: /there is no image nothing in/ })
    t.equal(await imageOf(), image)
  })

  t.test('a new image is deployed, and rollback returns to the one before, and forth', async (t) => {
    const next = await pushNext('next')
    t.match(await deploy(['up'], { IMAGE: 'next' }), { code: 0, output: /"prediction":84/ })
    const newer = `${repositoryUri}@${next}`
    t.equal(await imageOf(), newer)
    t.match(await parameters(), { ImageUri: newer, PreviousImageUri: image, MemorySize: '512' })

    t.match(await deploy(['rollback']), { code: 0, output: /"prediction":84/ })
    t.equal(await imageOf(), image)
    t.match(await parameters(), { ImageUri: image, PreviousImageUri: newer, MemorySize: '512' })

    t.match(await deploy(['up'], { IMAGE: next }), { code: 0 })
    t.match(await parameters(), { ImageUri: newer, PreviousImageUri: image })
    const { imageDetails } = await aws('ecr', 'describe-images', ...repository)
    const tagged = (tag: string) =>
      imageDetails.find(({ imageTags }: { imageTags: string[] }) => imageTags.includes(tag))?.imageDigest
    t.equal(tagged(`deployed-${FUNCTION}`), next, 'what runs is kept')
    t.equal(`${repositoryUri}@${tagged(`before-${FUNCTION}`)}`, image, 'and what ran before')

    const other = tagged('other')
    t.match(await deploy(['rollback', other]), { code: 0, output: /"prediction":84/ })
    t.match(await parameters(), { ImageUri: `${repositoryUri}@${other}`, PreviousImageUri: newer })
    t.match(await deploy(['rollback', image.split('@')[1] as string]), { code: 0 })
    const misled = { STACK, FUNCTION: 'other', REPOSITORY: 'other' }
    t.match(await deploy(['rollback', next], misled), {
      code: 0,
      output: /as keystroke_based_user_recognition\n/,
    })
    t.match(await deploy(['rollback', next]), { code: 1, output: /sha256:[0-9a-f]{64} runs already/ })
    t.match(await parameters(), { ImageUri: newer, PreviousImageUri: image })
    const failing = pathWith(t, {
      aws: 'case "$*" in *PreviousImageUri*) echo "Rate exceeded" >&2; exit 254 ;; esac\nexec aws "$@"',
    })
    for (const command of ['up', 'rollback']) {
      const failed = await deploy([command], { PATH: failing, IMAGE: 'other' })
      t.match(failed, { code: 1, output: /Rate exceeded\ndeploy: AWS refused that, and says why above\n$/ })
    }
    t.equal(await imageOf(), newer, 'an answer that failed is not taken for an empty one')

    await aws(
      ...['ecr', 'batch-delete-image', '--repository-name', 'threatfabric'],
      ...['--image-ids', `imageDigest=${image.split('@')[1]}`],
    )
    t.match(await deploy(['rollback']), { code: 1, output: /is not in the repository any more/ })
    t.equal(await imageOf(), newer)
  })

  t.test('smoke says what is wrong', async (t) => {
    const broken = join(t.testdir({ 'body.json': '{}' }), 'body.json')
    t.match(await deploy(['smoke'], { SAMPLE: broken }), {
      code: 1,
      output: /answers 400: .*KSR_INVALID_REQUEST/,
    })
  })

  t.test('models that take raw keystrokes alone are asked with them', async (t) => {
    t.match(await deploy(['up', 'Models=best'], { IMAGE: 'next' }), { code: 0, output: /"model":"best"/ })
    const { imageDetails } = await aws('ecr', 'describe-images', ...repository)
    const tags = imageDetails.flatMap(({ imageTags }: { imageTags: string[] }) => imageTags)
    t.ok(tags.includes(`deployed-${FUNCTION}`))
    t.notOk(tags.includes(`before-${FUNCTION}`), 'what ran before was deleted above, and does not come back')
  })

  t.test('models are read from S3, and an altered one stops the start', async (t) => {
    const put = async (name: string, bytes: Buffer) => {
      const file = join(t.testdir({ file: bytes }), 'file')
      await aws('s3api', 'put-object', '--bucket', 'models', '--key', `typing/v1/${name}`, '--body', file)
    }
    const read = (name: string) => readFileSync(join(ROOT, 'models', name))
    await aws('s3api', 'create-bucket', '--bucket', 'models')
    const manifest = JSON.parse(read('manifest.json').toString())
    manifest.models.find(({ name }: { name: string }) => name === 'rf').version = 'from-s3'
    await put('manifest.json', Buffer.from(JSON.stringify(manifest)))
    for (const name of ['enrolment.json', 'gallery.onnx', 'rf.onnx']) await put(name, read(name))
    const from = ['Models=rf', 'ModelUri=s3://models/typing/v1']
    t.match(await deploy(['up', ...from], { IMAGE: 'next' }), { code: 0, output: /"version":"from-s3"/ })

    await put('rf.onnx', read('rf.onnx').reverse())
    t.match(await deploy(['up', 'LogLevel=warn'], { IMAGE: 'next' }), { code: 1, output: /answers 5\d\d: / })
    t.match(await deploy(['up', 'ModelUri=', 'Models=', 'LogLevel=info'], { IMAGE: 'next' }), { code: 0 })
  })

  t.test('settings that the service refuses are seen', async (t) => {
    t.match(await deploy(['up', 'Models=nobody'], { IMAGE: 'next' }), {
      code: 1,
      output:
        /\/health answers 5\d\d: [\s\S]*deploy\.sh up with another value of Models=nobody changes it back/,
    })
    t.match(await deploy(['up', 'Models='], { IMAGE: 'next' }), { code: 0, output: /"model":"rf"/ })
  })

  t.test('with an issuer of tokens, health alone is open', async (t) => {
    const jwt = ['JwtIssuer=https://issuer.invalid', 'JwtAudience=keystrokes']
    t.match(await deploy(['up', ...jwt], { IMAGE: 'next' }), {
      code: 0,
      output: /the API wants a token, and TOKEN is not set/,
    })
    for (const path of ['/models', '/', `/${FUNCTION}`]) t.equal((await ask(base + path)).status, 401, path)
    for (const path of ['/health', '/health/live']) t.equal((await ask(base + path)).status, 200, path)
    t.match(await deploy(['smoke'], { TOKEN: 'forged' }), { code: 1, output: /models answers 401/ })
  })

  t.test('with keys, whoever has one is answered', async (t) => {
    const hash = createHash('sha256').update('a-key').digest('hex')
    const keys = ['JwtIssuer=', 'JwtAudience=', `ApiKeys=app:${hash}`, 'PublicRoutes=docs']
    t.match(await deploy(['up', ...keys], { IMAGE: 'next' }), {
      code: 0,
      output: /the API wants a key, and API_KEY is not set/,
    })
    for (const path of ['/models', '/', `/${FUNCTION}`]) t.equal((await ask(base + path)).status, 401, path)
    for (const path of ['/health', '/docs/json']) t.equal((await ask(base + path)).status, 200, path)
    const smoke = await deploy(['smoke'], { API_KEY: 'a-key' })
    t.match(smoke, { code: 0, output: /-H "x-api-key: \$API_KEY" -d .*\n.*"prediction":84/ })
  })

  t.test('with all else that is optional it answers as well, and without keys again', async (t) => {
    const all = ['ApiKeys=', 'Tracing=Active', 'ReservedConcurrency=5']
    const topic = `AlarmTopicArn=arn:aws:sns:${REGION}:${ACCOUNT}:alarms`
    t.match(await deploy(['up', ...all, topic], { IMAGE: 'next' }), { code: 0, output: /"prediction":84/ })
    t.equal((await ask(`${base}/models`)).status, 200)
    const { MetricAlarms } = await aws('cloudwatch', 'describe-alarms')
    t.match(MetricAlarms, { length: 5 })
    for (const { AlarmActions } of MetricAlarms) t.match(AlarmActions, [/:alarms$/])
  })

  t.test('what would be open to everybody, or could not be made, is refused', async (t) => {
    t.match(await deploy(['up', 'JwtIssuer=https://issuer.invalid'], { IMAGE: 'next' }), {
      code: 1,
      output: /JwtIssuer needs JwtAudience/,
    })
    t.match(await deploy(['up', 'DomainName=typing.example.com'], { IMAGE: 'next' }), {
      code: 1,
      output: /DomainName needs CertificateArn/,
    })
    t.equal((await parameters()).JwtIssuer, '')
  })

  t.test('down asks first, and leaves the images', async (t) => {
    t.match(await deploy(['down'], {}, { input: 'no\n' }), { code: 1, output: /nothing more is deleted/ })
    t.match(await deploy(['down']), { code: 1, output: /nothing more is deleted/ })
    t.match(await deploy(['status']), { code: 0 })
    t.match(await deploy(['down'], {}, { input: `${STACK}\n` }), {
      code: 0,
      output: /The repository threatfabric stays; --images deletes it, too/,
    })
    t.match(await aws('lambda', 'list-functions'), { Functions: { length: 0 } })
    t.match(await aws('logs', 'describe-log-groups'), { logGroups: { length: 0 } })
    t.match(await aws('apigatewayv2', 'get-apis'), { Items: { length: 0 } })
    t.match(await aws('iam', 'list-roles'), { Roles: { length: 0 } })
    t.match(await aws('cloudwatch', 'describe-alarms'), { MetricAlarms: { length: 0 } })
    t.match(await aws('ecr', 'describe-repositories'), { repositories: { length: 1 } })
  })

  t.test('down --images leaves nothing', async (t) => {
    t.match(await deploy(['down', '--images'], {}, { input: 'no\n' }), { code: 1 })
    t.match(await aws('ecr', 'describe-repositories'), { repositories: { length: 1 } })
    t.match(await deploy(['down', '--images', '--yes']), { code: 0 })
    t.match(await aws('ecr', 'describe-repositories'), { repositories: { length: 0 } })
    t.match(await aws('cloudformation', 'describe-stacks'), { Stacks: { length: 0 } })
    t.match(await deploy(['down', '--images', '--yes']), { code: 0 })
  })
})

t.test(
  'names and the region can be set, and version 2 of the AWS CLI does',
  { skip: !AWS_CLI_2 && 'it is not installed' },
  async (t) => {
    const elsewhere = await startCloud({ region: 'eu-west-1' })
    const env = {
      ...elsewhere.env,
      // Its early versions don't know AWS_ENDPOINT_URL.
      PATH: pathWith(t, { aws: `exec ${AWS_CLI_2} --endpoint-url "$AWS_ENDPOINT_URL" "$@"` }),
      AWS_DEFAULT_REGION: undefined,
      AWS_REGION: 'eu-west-1',
      FUNCTION: 'who_types',
      REPOSITORY: 'typing/recognition',
      STACK: 'typing',
    }
    const domain = ['DomainName=typing.example.com', `CertificateArn=${CERTIFICATE}`]
    t.match(await deploy(['up', ...domain, 'HostedZoneId=ZNONE'], env), {
      code: 1,
      output: /DomainRecord\s+No hosted zone with id 'ZNONE'[\s\S]*AWS refused that, and says why above/,
    })
    t.match(await deploy(['status'], env), {
      code: 1,
      output: /there is no stack typing .*ROLLBACK_COMPLETE/,
    })

    const first = await deploy(['up', 'LogLevel=warn'], env)
    t.match(first.output, 'Clearing away typing, whose first creation failed')
    t.match(first, { code: 0, output: /"prediction":84/ })
    t.match(first.output, /region eu-west-1/)
    t.match(first.output, /\/default\/who_types /)
    const { code, output } = await deploy(['status'], env)
    t.equal(code, 0)
    for (const part of [
      'typing-recognition-registry: CREATE_COMPLETE',
      'stack             typing: CREATE_COMPLETE',
    ])
      t.match(output, part)
    t.match(await deploy(['up'], env), {
      code: 0,
      output: /No changes to deploy. Stack typing is up to date/,
    })
    t.match(await deploy(['smoke'], env), { code: 0, output: /"prediction":84/ })
    t.match(await deploy(['up', 'MemorySize=1024'], env), {
      code: 0,
      output: /Successfully created\/updated stack - typing\n/,
    })
    t.match(await deploy(['rollback'], env), { code: 1, output: /there is nothing to return to/ })
    t.match(await deploy(['down', '--images', '--yes'], env), { code: 0 })
    t.match(await deploy(['status'], env), { code: 1, output: /there is no stack typing/ })
  },
)
