import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import type { Context } from 'aws-lambda'
import t from 'tap'
import { build, SUMMARY } from './fixtures/build.js'
import { startCollector } from './fixtures/collector.js'
import { checkEmf } from './fixtures/emf.js'
import { bodyOf, EVENTS, type Event, withBody, withMethod, withPath } from './fixtures/events.js'
import { copyModels, readGolden } from './fixtures/models.js'

process.env.AWS_LAMBDA_FUNCTION_NAME = 'keystroke_based_user_recognition'
process.env.LOG_LEVEL = 'silent'
const LAMBDA = fileURLToPath(new URL('../src/lambda.ts', import.meta.url))
const { handler } = await import('../src/lambda.js')

const ID = '8476a536-e9f4-11e8-9739-2dfe598c3fcd'
const KEYSTROKES = readGolden().keystrokes[0]?.keystrokes
const HTTP = sent('http-v2-console-trigger')

interface Answer {
  statusCode: number
  headers: Record<string, string>
  body: string
  isBase64Encoded: boolean
}

const invoke = (event: unknown) => handler(event, { awsRequestId: ID } as Context)

function sent(name: string): Event {
  return EVENTS.get(name) as Event
}

/** The event as its gateway would send it with a query. */
function withQuery(name: string, query: string): object {
  const event = sent(name)
  if ('rawPath' in event) return { ...event, rawQueryString: query }
  const values = (decode: (text: string) => string) => {
    const made: Record<string, string[]> = Object.create(null)
    for (const [key = '', value = ''] of query.split('&').map((pair) => pair.split('=').map(decode))) {
      made[key] = [...(made[key] ?? []), value]
    }
    return made
  }
  // A load balancer decodes nothing.
  const multiValueQueryStringParameters = values(name === 'alb' ? String : decodeURIComponent)
  return { ...event, multiValueQueryStringParameters }
}

const isConsoleTrigger = (name: string) => name.includes('console-trigger') || name === 'function-url-root'
const pathOf = (name: string) => (isConsoleTrigger(name) ? '/' : '/predict')

t.test('there are eleven events', async (t) => t.equal(EVENTS.size, 11))

t.test('every front gets what HTTP gets, byte for byte', async (t) => {
  const app = build(t, {}, { requestId: () => ID })
  const bodies: [string, (body: string) => string, number][] = [
    ['the sample', (body) => body, 200],
    ['text that is not JSON', (body) => body.slice(1), 400],
    ['a field that is missing', (body) => body.replace('"HT"', '"ht"'), 400],
    ['a number as text', (body) => body.replace('48.43', '"48.43"'), 400],
    ['a model that is not there', (body) => body.replace('RF', 'KNN'), 404],
    ['keystrokes out of order', () => '{"Model":"RF","keystrokes":[{"press":2,"release":1}]}', 422],
    ['text beyond ASCII', (body) => body.replace('RF', 'é🙂'), 404],
    ['65 KiB', (body) => body.padEnd(65 * 1024), 413],
    ['6 MB', (body) => body.padEnd(6 * 1024 * 1024), 413],
  ]
  for (const [name, event] of EVENTS) {
    for (const [what, change, status] of bodies) {
      const payload = change(bodyOf(event))
      const changed = withBody(event, payload)
      const answer = (await invoke(changed)) as Answer
      const { headers } = changed
      const direct = await app.inject({ method: 'POST', url: '/predict', headers, payload })
      t.equal(answer.statusCode, status, `${name}: ${what}`)
      t.equal(direct.statusCode, status)
      t.equal(answer.body, direct.body, `${name}: ${what}`)
      t.equal(answer.headers['content-type'], direct.headers['content-type'])
    }
  }
})

t.test('queries arrive as over HTTP, also those that are refused', async (t) => {
  const app = build(t, {}, { requestId: () => ID })
  const headers = { 'content-type': 'application/json' }
  for (const [name, event] of EVENTS) {
    const payload = bodyOf(event)
    for (const [query, status] of [
      ['top=3', 200],
      ['top=9', 400],
      ['top=1&top=2', 400],
      ['top=1,2', 400],
      ['t%6Fp=3', 200],
      ['top=100%25', 400],
      ['a%20b=%26', 400],
      ['__proto__=1', 400],
    ] as const) {
      const answer = (await invoke(withQuery(name, query))) as Answer
      const direct = await app.inject({ method: 'POST', url: `/predict?${query}`, headers, payload })
      t.equal(answer.statusCode, status, `${name}?${query}`)
      t.equal(answer.body, direct.body, `${name}?${query}`)
    }
  }
})

t.test('a query that can not be decoded, or encoded, does not fail the invocation', async (t) => {
  const queryStringParameters = { top: '100%' }
  t.match(await invoke({ ...sent('alb'), queryStringParameters }), { statusCode: 400 })
  const half = { 'to\ud83d': 'p\ude42' }
  t.match(await invoke({ ...sent('rest-v1-proxy'), queryStringParameters: half }), { statusCode: 400 })
})

t.test('what a gateway sends as null is as if it were left out', async (t) => {
  const none = { headers: null, multiValueHeaders: null, cookies: null, isBase64Encoded: null, body: null }
  for (const [name, event] of EVENTS) {
    const get = withMethod(event, 'GET')
    const requestContext = { ...get.requestContext, identity: null, requestId: null }
    const answer = await invoke({ ...get, ...none, requestContext })
    t.match(answer, { statusCode: isConsoleTrigger(name) ? 200 : 405 }, name)
  }
})

t.test('who opens the endpoint in a browser is told what it is', async (t) => {
  const app = build(t, {}, { requestId: () => ID })
  for (const [name, event] of EVENTS) {
    const answer = (await invoke(withMethod(event, 'GET'))) as Answer
    const direct = await app.inject(pathOf(name))
    t.equal(answer.statusCode, isConsoleTrigger(name) ? 200 : 405, name)
    t.equal(answer.body, direct.body, name)
  }
})

t.test('a path is not resolved to another one, as over HTTP it is not', async (t) => {
  for (const path of [
    '/health/../models',
    '/health/%2e%2e/models',
    '/\\health/models',
    '/\\',
    '/\t/models',
  ]) {
    for (const [name, event] of EVENTS) {
      t.match(await invoke(withPath(withMethod(event, 'GET'), path)), { statusCode: 404 }, `${name} ${path}`)
    }
  }
})

t.test('a load balancer that wants several values of a header gets them as lists', async (t) => {
  const { headers, ...event } = sent('alb')
  const multiValueHeaders = Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, [value]]),
  )
  t.match(await invoke({ ...event, multiValueHeaders }), {
    statusCode: 200,
    multiValueHeaders: { 'content-type': ['application/json; charset=utf-8'] },
  })
})

t.test('pictures of the documentation are sent as what they are', async (t) => {
  const event = { ...withMethod(sent('rest-v1-proxy'), 'GET'), path: '/docs/static/favicon-32x32.png' }
  const answer = (await invoke(event)) as Answer
  t.ok(answer.isBase64Encoded)
  t.same(Buffer.from(answer.body, 'base64').subarray(1, 4), Buffer.from('PNG'))
})

t.test('a prediction body that the function is invoked with is answered as POST /predict does', async (t) => {
  const app = build(t, {}, { requestId: () => ID })
  for (const [payload, status] of [
    [{ Model: 'RF', ...SUMMARY }, 200],
    [{ Model: 'KNN', ...SUMMARY }, 404],
    [SUMMARY, 400],
    [{ keystrokes: [] }, 400],
    [{ Model: 'RF', keystrokes: [] }, 422],
    [{ Model: 'Best', attempts: [{ keystrokes: KEYSTROKES }, { keystrokes: KEYSTROKES }] }, 200],
    [{ attempts: [] }, 400],
    [{ Model: 'Best', attempts: [{ keystrokes: [] }] }, 422],
    [{ Model: 'RF', ...SUMMARY, more: 1 }, 400],
    [JSON.parse(`{"Model": "RF", "__proto__": {}}`), 400],
    [{ Model: ' '.repeat(6 * 1024 * 1024) }, 413],
  ] as const) {
    const direct = await app.inject({ method: 'POST', url: '/predict', payload })
    t.equal(direct.statusCode, status)
    t.same(await invoke(payload), direct.json())
  }
})

t.test('any other event fails the invocation, and says what the function answers', async (t) => {
  for (const event of [
    null,
    undefined,
    'text',
    42,
    [],
    {},
    { key1: 'value1' },
    { Records: [{ eventSource: 'aws:sqs', body: '{}' }] },
    { source: 'aws.events', 'detail-type': 'Scheduled Event', detail: {} },
    { requestContext: { routeKey: '$connect', connectionId: 'x' } },
    { httpMethod: 'POST' },
    { ...HTTP, rawPath: undefined },
    { ...HTTP, requestContext: null },
    { ...HTTP, version: '1.0' },
    { ...HTTP, body: { Model: 'RF' } },
    { ...HTTP, routeKey: 5 },
    { ...HTTP, rawPath: 'http://[' },
    { ...sent('rest-v1-proxy'), resource: {} },
    { ...sent('rest-v1-proxy'), httpMethod: 'FOO BAR' },
    { ...sent('rest-v1-proxy'), requestContext: null },
    { ...sent('rest-v1-proxy'), headers: 'none' },
    { ...sent('rest-v1-proxy'), headers: { accept: { toString: 1, valueOf: 1 } } },
    { ...sent('rest-v1-proxy'), multiValueHeaders: { accept: [{ toString: 1, valueOf: 1 }] } },
    { ...sent('rest-v1-proxy'), multiValueHeaders: { accept: [null, 'text/plain'] } },
    { ...sent('rest-v1-proxy'), queryStringParameters: { top: { toString: 1, valueOf: 1 } } },
    { ...sent('rest-v1-proxy'), requestContext: { stage: 'prod', identity: { sourceIp: [] } } },
    { ...sent('rest-v1-proxy'), requestContext: { stage: 'prod', requestId: { toString: 1, valueOf: 1 } } },
    { ...HTTP, requestContext: { http: { method: 'POST', sourceIp: [] } } },
    { ...HTTP, httpMethod: 5 },
    { ...HTTP, cookies: 'a=b' },
    { ...HTTP, isBase64Encoded: 'no' },
  ]) {
    await t.rejects(invoke(event), { name: 'KSR_UNKNOWN_EVENT' }, JSON.stringify(event))
  }
  t.match(await invoke(HTTP), { statusCode: 200 }, 'and the next one is answered')
})

/** Runs some code with the handler, as a process of its own. */
async function run(code: string, settings: NodeJS.ProcessEnv = {}) {
  const script = `const { handler } = await import(${JSON.stringify(LAMBDA)}); ${code}`
  const child = spawn(process.execPath, [...process.execArgv, '--input-type=module', '--eval', script], {
    env: { ...process.env, LOG_LEVEL: 'info', ...settings },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [[status], out, err] = await Promise.all([
    once(child, 'exit'),
    text(child.stdout),
    text(child.stderr),
  ])
  return { status, out, err }
}

t.test('log lines are one JSON object each, with the request id of AWS', async (t) => {
  const event = JSON.stringify(HTTP)
  const { out, status } = await run(`
    await handler(${event}, { awsRequestId: 'a' })
    await handler({ Model: 'KNN' }, { awsRequestId: 'b' })
  `)
  t.equal(status, 0)
  const lines = out.trim().split('\n')
  t.match(
    lines.map((line) => JSON.parse(line)),
    [
      { reqId: 'a', route: '/', status: 200 },
      { reqId: 'b', code: 'KSR_INVALID_REQUEST' },
      { reqId: 'b', route: '/predict', status: 400 },
    ],
  )
})

t.test('the request id of AWS stays that of the request, whatever its caller calls it', async (t) => {
  const headers = { ...HTTP.headers, 'x-request-id': 'caller.1' }
  const answer = (await invoke({ ...HTTP, headers })) as Answer
  t.equal(answer.headers['x-request-id'], ID)
})

t.test('where metrics are on, each invocation is a line that CloudWatch makes them from', async (t) => {
  const event = JSON.stringify(HTTP)
  const { out, status } = await run(
    `await handler(${event}, { awsRequestId: 'a' })
    await handler({ Model: 'Best', keystrokes: ${JSON.stringify(KEYSTROKES)} }, { awsRequestId: 'b' })
    await handler({ Model: 'KNN' }, { awsRequestId: 'c' })
    await handler({ key1: 'value1' }, { awsRequestId: 'd' }).catch(() => {})`,
    { METRICS: 'on', LOG_LEVEL: 'silent' },
  )
  t.equal(status, 0)
  const lines = out.trim().split('\n')
  const found = lines.map((line) => checkEmf(JSON.parse(line)))
  t.match(found, [
    { route: '/', status: '200', model: 'rf', ColdStart: 1, BatchRows: 1, Latency: Number },
    { route: '/predict', status: '200', ColdStart: 0, BatchRows: 1, InferenceTime: Number },
    { BatchRows: 1, InferenceTime: Number },
    { route: '/predict', status: '400', ColdStart: 0, Latency: Number },
    { ColdStart: 0, MemoryUsed: Number },
  ])
  t.same([found[1]?.model, found[2]?.model].sort(), ['templates', 'trees'])
  t.equal(found.length, 5)
})

t.test('metrics are off there unless they are asked for', async (t) => {
  const { out } = await run(`await handler(${JSON.stringify(HTTP)}, { awsRequestId: 'a' })`)
  t.notMatch(out, /_aws/)
})

t.test('traces are sent before the invocation ends, for after it nothing runs', async (t) => {
  const { url, spans } = await startCollector(t)
  const { out } = await run(
    `await handler(${JSON.stringify(HTTP)}, { awsRequestId: 'a' })
    process.stdout.write('ended', () => process.kill(process.pid, 'SIGKILL'))`,
    { OTEL_EXPORTER_OTLP_ENDPOINT: url, LOG_LEVEL: 'silent' },
  )
  t.equal(out, 'ended')
  t.match(spans(), [{ name: 'inference' }, { name: 'POST /' }])
})

t.test('all is loaded before the first event', async (t) => {
  const event = JSON.stringify(sent('rest-v1-proxy'))
  const { out } = await run(
    `(await import('node:fs')).rmSync(process.env.MODEL_DIR, { recursive: true, force: true })
    console.log((await handler(${event}, { awsRequestId: 'a' })).statusCode)`,
    { LOG_LEVEL: 'silent', MODEL_DIR: copyModels(t) },
  )
  t.equal(out, '200\n')
})

t.test('where the models can not be served there is no handler, and the reason is told', async (t) => {
  const { status, err } = await run('', { MODEL_DIR: '/nowhere' })
  t.equal(status, 1)
  t.match(err, /\/nowhere\/manifest\.json: it can not be read/)
})
