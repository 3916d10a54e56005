import t, { type Test } from 'tap'
import { SUMMARY } from '../fixtures/build.js'
import {
  buildImages,
  compose,
  docker,
  eventually,
  execNode,
  HARDENED,
  IMAGES,
  inspect,
  start,
} from '../fixtures/docker.js'
import { bodyOf, EVENTS, type Event, withBody, withMethod, withPath } from '../fixtures/events.js'

const INVOKE = '2015-03-31/functions/function/invocations'
const named = { Model: 'RF', ...SUMMARY }
const { RPT, ...incomplete } = named

t.before(buildImages)

t.test('the image for AWS Lambda, under the emulator of its runtime', async (t) => {
  // On Lambda there is no route for metrics unless they are asked for.
  const { command, id, url } = compose({ METRICS: 'off' })
  await command('up', '--wait', '--no-build', 'server', 'lambda')
  const server = await url('server', 3000)
  const lambda = `${await url('lambda', 8080)}/${INVOKE}`
  let invocations = 0

  t.test('it has what a function has on Lambda: no root, no disk to write to', async (t) => {
    const { Config, HostConfig } = await inspect(await id('lambda'))
    t.match(Config, { User: '993:990' })
    t.match(HostConfig, { ReadonlyRootfs: true, CapDrop: ['ALL'], SecurityOpt: ['no-new-privileges:true'] })
  })

  async function invoke(event: unknown): Promise<string> {
    const answer = await fetch(lambda, { method: 'POST', body: JSON.stringify(event) })
    invocations++
    return answer.text()
  }

  /** What the server answers to a request, the id of the request left out. */
  async function overHttp(method: string, path: string, body: string | null = null) {
    const headers = body === null ? {} : { 'content-type': 'application/json' }
    const answer = await fetch(server + path, { method, headers, body })
    const { status } = answer
    return { status, allow: answer.headers.get('allow'), body: anonymous(await answer.text()) }
  }

  async function overGateway(event: Event) {
    const { statusCode, headers, body, isBase64Encoded } = JSON.parse(await invoke(event))
    const text = Buffer.from(body, isBase64Encoded ? 'base64' : 'utf8').toString()
    return { status: statusCode, allow: headers.allow ?? null, body: anonymous(text) }
  }

  await eventually(
    () =>
      invoke(named).then(
        () => true,
        () => false,
      ),
    (listens) => listens,
  )

  const mistakes: [string, string, number][] = [
    ['text that is not JSON', JSON.stringify(named).slice(1), 400],
    ['a body without one field', JSON.stringify(incomplete), 400],
    ['a model that is not there', JSON.stringify({ ...named, Model: 'KNN' }), 404],
    ['a body of more than 64 KiB', JSON.stringify(named).padEnd(64 * 1024 + 1), 413],
  ]
  for (const [name, event] of EVENTS) {
    const path = /console-trigger|root/.test(name) ? '/' : '/predict'

    t.test(`${name} is answered as over HTTP, byte for byte`, async (t) => {
      const answer = await overGateway(event)
      t.same(answer, await overHttp('POST', path, bodyOf(event)))
      t.match(answer, { status: 200, body: /^{"prediction":84,"user":84,/ })
    })

    t.test(`${name} is refused as over HTTP`, async (t) => {
      for (const [what, body, status] of mistakes) {
        const answer = await overGateway(withBody(event, body))
        t.same(answer, await overHttp('POST', path, body), what)
        t.equal(answer.status, status, what)
      }
      const answer = await overGateway(withMethod(event, 'PUT'))
      t.same(answer, await overHttp('PUT', path))
      t.equal(answer.status, 405)
    })
  }

  for (const name of ['http-v2-default-stage-catchall', 'rest-v1-proxy', 'alb']) {
    const event = EVENTS.get(name) as Event

    t.test(`${name} comes to every other path, too`, async (t) => {
      for (const path of ['/', '/models/rf', '/docs/json', '/docs/static/favicon-32x32.png', '/nowhere']) {
        t.same(await overGateway(withMethod(withPath(event, path), 'GET')), await overHttp('GET', path), path)
      }
    })
  }

  t.test('who opens the endpoint of the console in a browser is told what it is', async (t) => {
    const event = EVENTS.get('http-v2-console-trigger') as Event
    t.same(await overGateway(withMethod(event, 'GET')), await overHttp('GET', '/'))
  })

  t.test('the largest body that Lambda hands on is too large', async (t) => {
    const event = EVENTS.get('http-v2-console-trigger') as Event
    const body = JSON.stringify(named)
    const answer = await overGateway(withBody(event, body.padEnd(6 * 1024 ** 2 - 8192)))
    t.same(answer, await overHttp('POST', '/', body.padEnd(64 * 1024 + 1)))
    t.equal(answer.status, 413)
  })

  t.test('invoked with a plain body it answers that of POST /predict', async (t) => {
    for (const body of [named, incomplete]) {
      const expected = await overHttp('POST', '/predict', JSON.stringify(body))
      t.equal(anonymous(await invoke(body)), expected.body)
    }
  })

  t.test('what is none of these fails its invocation, soon, and no other', async (t) => {
    for (const event of [{ Records: [] }, null, 'text', {}]) {
      const began = Date.now()
      const { errorType, errorMessage } = JSON.parse(await invoke(event))
      t.ok(Date.now() - began < 10_000)
      t.equal(errorType, 'KSR_UNKNOWN_EVENT')
      t.match(errorMessage, /^The event is none of API Gateway/)
      t.match(JSON.parse(await invoke(named)), { user: 84 })
    }
  })

  t.test(
    'each of its log lines is JSON with the id of an invocation, and each of these has one',
    async (t) => {
      const lines = (await command('logs', '--no-log-prefix', 'lambda')).trim().split('\n')
      const started = lines.flatMap((line) => /^START RequestId: (\S+)/.exec(line)?.[1] ?? [])
      t.equal(started.length, invocations)
      const own = lines.filter((line) => !/^(START|END|REPORT) RequestId: |\(rapid\)/.test(line))
      const logged = new Set(
        own.map((line) => JSON.parse(line)).map(({ reqId, requestId = reqId }) => requestId),
      )
      t.same([...logged].sort(), started.sort())
    },
  )
})

/** A problem document without the id of its request. */
function anonymous(body: string): string {
  return body.replace(/"instance":"[^"]+"/, '"instance":""')
}

t.test('the image for AWS Lambda runs without a network and all that can be taken away', async (t) => {
  const container = await start(...HARDENED, IMAGES.lambda.name)
  const script = `fetch('http://127.0.0.1:8080/${INVOKE}', { method: 'POST', body: '${JSON.stringify(named)}' })
    .then((answer) => answer.text()).then(console.log, () => {})`
  const answer = await eventually(
    () => execNode(container, script),
    (text) => text !== '',
  )
  t.match(JSON.parse(answer), { prediction: 84, user: 84 })
  await keepsNoFiles(t, container)
})

/** ONNX Runtime would, which by default reports to its makers. */
async function keepsNoFiles(t: Test, container: string) {
  t.notMatch(await execNode(container, "console.log(fs.readdirSync('/tmp'))"), /mat-debug|\.ses/)
}

t.test('the code that V8 compiled when the image was made is used, also as AWS starts Node', async (t) => {
  const memory = ['--max-semi-space-size=25', '--max-old-space-size=461']
  for (const flags of [[], ['--expose-gc', '--max-http-header-size=81920', ...memory]]) {
    const script = "require('/var/task/dist/load.cjs').cold"
    const cold = await docker(
      'run',
      '--rm',
      '--entrypoint=node',
      IMAGES.lambda.name,
      ...flags,
      '--print',
      script,
    )
    t.equal(cold, 'false\n', flags.join(' '))
  }
})
