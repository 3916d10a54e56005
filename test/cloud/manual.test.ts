import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { ACCOUNT, startCloud } from '../fixtures/cloud.js'
import { DOCKER, pathWith, ROOT, run } from '../fixtures/commands.js'
import { docker } from '../fixtures/docker.js'
import { type Block, commandBlocks } from '../fixtures/document.js'

const FUNCTION = 'keystroke_based_user_recognition'
const manual = readFileSync(join(ROOT, 'docs/aws-by-hand.md'), 'utf8')
const blocks = commandBlocks(manual)

const cloud = await startCloud()
const { aws } = cloud
const env = { ...process.env, ...cloud.env, PATH: pathWith(t, { docker: DOCKER }) }
const repositoryUri = `${cloud.registry}/threatfabric`

/** One shell that runs the blocks, as a reader's does; it stops at the first command that fails. */
const shell = spawn('bash', ['-euo', 'pipefail'], { cwd: ROOT, env, stdio: ['pipe', 'pipe', 'pipe'] })
const errors = text(shell.stderr)
const lines = shell.stdout.setEncoding('utf8')
t.teardown(() => shell.kill())

/** What a block of commands writes, with the registry here in the place of the account's. */
async function type(block: Block): Promise<string> {
  const end = `-- end of ${blocks.indexOf(block)} --`
  shell.stdin.write(
    `${block.command.replaceAll('$account.dkr.ecr.us-east-1.amazonaws.com', cloud.registry)}\necho; echo '${end}'\n`,
  )
  let written = ''
  for await (const piece of lines.iterator({ destroyOnReturn: false })) {
    written += piece
    if (written.includes(end)) return written.slice(0, written.indexOf(end)).trim()
  }
  throw new Error(`${block.command}\n${written}\n${await errors}`)
}

/** Without white space: an emulator may write an answer of the function anew. */
const bare = (json: string) => json.replaceAll(/\s/g, '')

/** What must be true after the last block under a heading. */
const afterwards: Record<string, (t: Test) => Promise<unknown>> = {
  async '2. Create the repository'(t) {
    t.match(await aws('ecr', 'describe-repositories'), {
      repositories: [
        {
          repositoryName: 'threatfabric',
          imageTagMutability: 'MUTABLE',
          imageScanningConfiguration: { scanOnPush: true },
        },
      ],
    })
  },
  async '4. Tag and push it'(t) {
    await docker('tag', FUNCTION, `${cloud.registry}/${FUNCTION}`)
    const wrong = docker('push', `${cloud.registry}/${FUNCTION}`)
    await t.rejects(
      wrong,
      /does not exist|name unknown/i,
      'as the original has it: nobody made that repository',
    )
  },
  async '6. Create the function'(t) {
    const { Configuration, Code } = await aws('lambda', 'get-function', '--function-name', FUNCTION)
    t.match(Configuration, { PackageType: 'Image', State: 'Active', MemorySize: 1769, Timeout: 10 })
    t.match(Code.ImageUri, new RegExp(`^${repositoryUri}@sha256:[0-9a-f]{64}$`))
  },
  async '9. Ask it'(t) {
    const [api] = (await aws('apigatewayv2', 'get-apis')).Items
    t.equal(api.Name, `${FUNCTION}-API`)
    t.equal((await run('curl', ['-s', `${api.ApiEndpoint}/default/health`])).slice(0, 15), '{"status":"ok",')
  },
  async Update(t) {
    t.equal((await digests()).length, 2, 'two images are there')
    t.match(
      (await aws('lambda', 'get-function', '--function-name', FUNCTION)).Code.ImageUri,
      (await digests())[1],
    )
  },
  async 'Roll back'(t) {
    t.match(
      (await aws('lambda', 'get-function', '--function-name', FUNCTION)).Code.ImageUri,
      (await digests())[0],
    )
  },
  async Logs(t) {
    const { events } = await aws('logs', 'filter-log-events', '--log-group-name', `/aws/lambda/${FUNCTION}`)
    const lines = events.map(({ message }: { message: string }) => message).join('\n')
    t.match(lines, /"reqId":"[0-9a-f-]{36}".*"status":200/)
    t.notMatch(lines, /48\.43|144\.1/, 'no timing of those that were sent')
  },
  async 'Clean up'(t) {
    t.match(await aws('lambda', 'list-functions'), { Functions: { length: 0 } })
    t.match(await aws('apigatewayv2', 'get-apis'), { Items: { length: 0 } })
    t.match(await aws('logs', 'describe-log-groups'), { logGroups: { length: 0 } })
    t.match(await aws('iam', 'list-roles'), { Roles: { length: 0 } })
    t.match(await aws('ecr', 'describe-repositories'), { repositories: { length: 0 } })
  },
}

/** The images in the repository, the oldest first. */
async function digests(): Promise<string[]> {
  const { imageDetails } = await aws('ecr', 'describe-images', '--repository-name', 'threatfabric')
  return imageDetails.map(({ imageDigest }: { imageDigest: string }) => imageDigest)
}

t.test('the account is nobody else’s', async (t) => {
  t.same([...new Set(manual.match(/\b\d{12}\b/g))], [ACCOUNT])
})

for (const [i, block] of blocks.entries()) {
  const last = blocks[i + 1]?.heading !== block.heading
  t.test(`${block.heading}: ${block.command.split('\n')[0]}`, { timeout: 600_000 }, async (t) => {
    const written = await type(block)
    if (block.answer !== undefined) t.match(bare(written), bare(block.answer))
    if (last) await afterwards[block.heading]?.(t)
  })
}
