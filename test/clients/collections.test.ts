import { createHash } from 'node:crypto'
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { build, SUMMARY } from '../fixtures/build.js'
import { ROOT, run } from '../fixtures/commands.js'

const KEY = 'a key'
const GUARDED = { API_KEYS: `me:${createHash('sha256').update(KEY).digest('hex')}` }
const POSTMAN = join(ROOT, 'docs/collections/postman.json')
const BRUNO = join(ROOT, 'docs/collections/bruno')

/** How many requests the collections have: as many as the contract has examples, and reads. */
const REQUESTS = [...JSON.stringify(JSON.parse(readFileSync(POSTMAN, 'utf8'))).matchAll(/"method":/g)].length

const serve = (t: Test, settings: NodeJS.ProcessEnv = {}) => build(t, settings).listen({ port: 0 })

async function newman(t: Test, collection: string, variables: Record<string, string>) {
  const report = join(t.testdirName, 'report.json')
  const given = Object.entries(variables).flatMap(([name, value]) => ['--env-var', `${name}=${value}`])
  const reporters = ['--reporters', 'json', '--reporter-json-export', report]
  const failed = await run('newman', ['run', collection, ...given, ...reporters]).then(
    () => false,
    () => true,
  )
  return { failed, ...JSON.parse(readFileSync(report, 'utf8')).run.stats }
}

async function bruno(t: Test, collection: string, variables: Record<string, string>) {
  const report = join(t.testdirName, 'report.json')
  const given = Object.entries(variables).flatMap(([name, value]) => ['--env-var', `${name}=${value}`])
  const args = ['--env', 'local', ...given, '--reporter-json', report]
  // It has to be run where the collection is.
  const failed = await run('bash', ['-c', 'cd "$0" && exec bru run "$@"', collection, ...args]).then(
    () => false,
    () => true,
  )
  const [{ summary }] = JSON.parse(readFileSync(report, 'utf8'))
  return { failed, ...summary }
}

t.test('Postman gets the documented answers, with a key where one is asked for', async (t) => {
  t.testdir()
  for (const [settings, variables] of [
    [{}, {}],
    [GUARDED, { apiKey: KEY }],
  ] as const) {
    const { failed, requests, assertions } = await newman(t, POSTMAN, {
      baseUrl: await serve(t, settings),
      ...variables,
    })
    t.same([failed, requests, assertions.failed], [false, { total: REQUESTS, pending: 0, failed: 0 }, 0])
    t.ok(assertions.total >= 2 * REQUESTS, `${assertions.total} checks`)
  }
})

t.test('Bruno gets them, too', async (t) => {
  t.testdir()
  const result = await bruno(t, BRUNO, { baseUrl: await serve(t, GUARDED), apiKey: KEY })
  const { failed, totalRequests, passedRequests, totalTests, passedTests } = result
  t.same([failed, totalRequests, passedRequests], [false, REQUESTS, REQUESTS])
  t.ok(passedTests >= 2 * REQUESTS, `${passedTests} checks`)
  t.equal(passedTests, totalTests)
})

t.test('the commands of the page run both', async (t) => {
  const page = readFileSync(join(ROOT, 'docs/clients.md'), 'utf8')
  const [, commands = ''] = /```sh\n(newman [^`]*)```/.exec(page) ?? []
  const url = await serve(t)
  const here = commands
    .replace('http://localhost:3000', url)
    .replace('--env local', `--env local --env-var baseUrl=${url}`)
  const told = await run('bash', ['-euc', here])
  t.match(told, new RegExp(`requests +│ +${REQUESTS} +│ +0`))
  t.match(told, new RegExp(`${REQUESTS} .*(passed|Passed)`, 's'))
})

t.test('neither is content with another answer', async (t) => {
  const postman = readFileSync(POSTMAN, 'utf8').replace(
    String.raw`({\"user\":84,`,
    String.raw`({\"user\":85,`,
  )
  const dir = t.testdir({ 'postman.json': postman })
  cpSync(BRUNO, join(dir, 'bruno'), { recursive: true })
  const request = join(dir, 'bruno/recognition/predict-summary.bru')
  writeFileSync(request, readFileSync(request, 'utf8').replace('({"user":84,', '({"user":85,'))
  const baseUrl = await serve(t)
  const asked = await newman(t, join(dir, 'postman.json'), { baseUrl })
  t.same([asked.failed, asked.assertions.failed], [true, 1])
  const { failed, failedTests } = await bruno(t, join(dir, 'bruno'), { baseUrl })
  t.same([failed, failedTests], [true, 1])
})

t.test('a collection of the form that is published of the original works unchanged', async (t) => {
  const { origin, hostname, port } = new URL(await serve(t))
  const collection = {
    info: {
      name: 'of the form of the original',
      schema: 'https://schema.getpostman.com/json/collection/v2.1.0/collection.json',
    },
    item: ['RF', 'SVM', 'XGB'].map((Model) => ({
      name: Model,
      // It has none: what the original answered was looked at.
      event: [
        {
          listen: 'test',
          script: { exec: ["pm.test('user 84', () => pm.expect(pm.response.json().prediction).to.eql(84))"] },
        },
      ],
      request: {
        method: 'POST',
        header: [],
        body: {
          mode: 'raw',
          raw: JSON.stringify({ Model, ...SUMMARY }, null, 4),
          options: { raw: { language: 'json' } },
        },
        // Without a path.
        url: { raw: origin, protocol: 'http', host: hostname.split('.'), port },
      },
      response: [],
    })),
  }
  const dir = t.testdir({ 'postman.json': JSON.stringify(collection) })
  const { failed, requests, assertions } = await newman(t, join(dir, 'postman.json'), {})
  t.same([failed, requests.total, assertions], [false, 3, { total: 3, pending: 0, failed: 0 }])
})
