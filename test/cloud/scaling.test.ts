import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startCloud } from '../fixtures/cloud.js'
import { ROOT, run, type } from '../fixtures/commands.js'
import { commandBlocks } from '../fixtures/document.js'

type Blocks = [string, string, string, string, string]

t.test('the commands for provisioned concurrency work, there and back, scaling left out', async (t) => {
  const cloud = await startCloud()
  const { aws } = cloud
  const env = { ...process.env, ...cloud.env }
  const folder = t.testdir({ 'index.js': 'exports.handler = async () => 1', 'more.js': '' })
  await run('python3', ['-m', 'zipfile', '-c', join(folder, 'one.zip'), join(folder, 'index.js')])
  await run('python3', ['-m', 'zipfile', '-c', join(folder, 'two.zip'), folder])
  const name = 'keystroke_based_user_recognition'
  const arn = `arn:aws:lambda:us-east-1:123456789012:function:${name}`
  const lambda = (action: string, ...args: string[]) =>
    aws('lambda', action, '--function-name', name, ...args)

  // What runs does not matter, but what is called what.
  await lambda(
    'create-function',
    ...[
      '--runtime',
      'nodejs22.x',
      '--handler',
      'index.handler',
      '--role',
      'arn:aws:iam::123456789012:role/any',
    ],
    ...['--zip-file', `fileb://${join(folder, 'one.zip')}`],
  )
  const { ApiId: api } = await aws(
    ...['apigatewayv2', 'create-api', '--name', `${name}-API`, '--protocol-type', 'HTTP'],
  )
  await aws(
    ...['apigatewayv2', 'create-integration', '--api-id', api, '--integration-type', 'AWS_PROXY'],
    ...['--integration-uri', arn, '--payload-format-version', '2.0'],
  )
  const leadsTo = async () =>
    (await aws('apigatewayv2', 'get-integrations', '--api-id', api)).Items[0].IntegrationUri
  const serves = async () => (await lambda('get-alias', '--name', 'live')).FunctionVersion

  const page = readFileSync(join(ROOT, 'docs/scaling.md'), 'utf8')
  const [names, there, scale, follow, back, ...more] = commandBlocks(page)
    .filter(({ heading }) => heading === 'Provisioned concurrency')
    // The emulator knows no scaling of Lambda.
    .map(({ command }) => command.replace(/^aws application-autoscaling (?:.*\\\n)*.*\n/gm, '')) as Blocks
  t.same(more, [])

  await type([names, there], env)
  t.equal(await leadsTo(), `${arn}:live`)
  t.equal(await serves(), '1')
  const { Statement } = JSON.parse((await lambda('get-policy', '--qualifier', 'live')).Policy)
  t.match(Statement, [
    { Condition: { ArnLike: { 'AWS:SourceArn': `arn:aws:execute-api:us-east-1:123456789012:${api}/*` } } },
  ])

  await lambda('update-function-code', '--zip-file', `fileb://${join(folder, 'two.zip')}`)
  t.equal(await serves(), '1', 'the alias stays where it was')
  await type([names, follow], env)
  t.equal(await serves(), '2')

  await type([names, scale, back], env)
  t.equal(await leadsTo(), arn)
  t.same((await lambda('list-aliases')).Aliases, [])
})
