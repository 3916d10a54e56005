import { setImmediate } from 'node:timers/promises'
import Fastify, {
  type FastifyReply,
  type FastifyRequest,
  type InjectOptions,
  type LightMyRequestResponse as Response,
} from 'fastify'
import t from 'tap'
import { tenantOf } from '../../src/enrolment/tenant.js'
import { Vault } from '../../src/enrolment/vault.js'
import { coded } from '../../src/errors.js'
import { idempotency } from '../../src/plugins/idempotency.js'
import { answerProblem } from '../../src/plugins/problems.js'
import { openSqlite, type SqliteOptions } from '../../src/stores/sqlite.js'
import type { Store } from '../../src/stores/store.js'
import { captureLog } from '../fixtures/log.js'

const OLD = `2024:${'a1'.repeat(32)}`
const NEW = `2025:${'b2'.repeat(32)}`

interface Test {
  testdir(): string
  teardown(close: () => unknown): void
}

interface Settings {
  store?: Store
  keys?: string[]
}

/** An app with a few routes that count how often each write was done. */
async function withRoutes(t: Test, { store, keys = [OLD] }: Settings = {}) {
  const kept = store ?? (await openStore(t))
  const { logTo, lines } = captureLog()
  const app = Fastify({ logger: { level: 'error', stream: logTo } })
  t.teardown(() => app.close())
  const vault = Vault.of(keys)
  const done: string[] = []
  let held: Promise<void> | undefined
  app.setErrorHandler(answerProblem)
  app.decorateRequest('caller', '')
  app.addHook('onRequest', async (request) => {
    request.caller = String(request.headers['x-caller'] ?? '')
  })
  app.register(async (scope) => {
    scope.register(idempotency, { open: async () => ({ store: kept, vault }) })
    const write = async ({ method, params }: FastifyRequest, reply: FastifyReply) => {
      const { user } = params as { user: string }
      done.push(`${method} ${user}`)
      await held
      reply.code(201).headers({ etag: `"${done.length}"`, location: `/users/${user}`, 'x-other': 'yes' })
      return { user, times: done.length }
    }
    const schema = { body: { type: 'object', properties: { wrong: { type: 'boolean' } } } }
    scope.get('/users/:user', write)
    scope.post('/users/:user', { schema }, write)
    scope.put('/users/:user', { schema }, write)
    scope.delete('/users/:user', async (_request, reply) => {
      done.push('DELETE')
      return reply.code(204).send()
    })
    scope.post('/fails/:status', async ({ params }) => {
      done.push('fails')
      const { status } = params as { status: string }
      throw status === '500' ? new Error('no disk') : coded('KSR_USER_NOT_FOUND', ['a'])
    })
    scope.post('/bytes', async () => {
      done.push('bytes')
      return Buffer.from([0, 255, 128])
    })
  })
  app.post('/outside', async () => done.push('outside'))
  const ask = (
    method: InjectOptions['method'] & string,
    url: string,
    key?: string,
    more: InjectOptions = {},
  ) =>
    app.inject({
      method: method as 'POST',
      url,
      ...(['POST', 'PUT'].includes(method) && { payload: {} }),
      ...more,
      headers: { ...(key !== undefined && { 'idempotency-key': key }), ...more.headers },
    })
  await app.ready()
  return {
    ask,
    done,
    store: kept,
    lines,
    /** Has writes wait until the function that it returns is called. */
    hold() {
      let release = () => {}
      held = new Promise((resolve) => {
        release = resolve
      })
      return () => release()
    },
  }
}

t.test('a write with the same key is done once, and answered as it was', async (t) => {
  const { ask, done } = await withRoutes(t)
  for (const method of ['POST', 'PUT']) {
    done.length = 0
    const first = await ask(method, '/users/anna', `key of ${method}`.replaceAll(' ', '-'))
    const again = await ask(method, '/users/anna', `key of ${method}`.replaceAll(' ', '-'))
    t.same(done, [`${method} anna`])
    t.equal(first.statusCode, 201)
    t.equal(again.statusCode, 201)
    t.same(again.json(), first.json())
    for (const name of ['content-type', 'etag', 'location', 'content-length']) {
      t.equal(again.headers[name], first.headers[name], name)
    }
    t.equal(first.headers['idempotency-replayed'], undefined)
    t.equal(again.headers['idempotency-replayed'], 'true')
    t.equal(again.headers['x-other'], undefined, 'not every header is part of the answer')
  }
})

t.test('an answer without a body, and one of bytes, are the same again', async (t) => {
  const { ask, done } = await withRoutes(t)
  const first = await ask('DELETE', '/users/anna', 'one')
  const again = await ask('DELETE', '/users/anna', 'one')
  t.same(done, ['DELETE'])
  t.equal(again.statusCode, 204)
  t.equal(again.body, '')
  t.equal(again.headers['content-type'], first.headers['content-type'])
  await ask('POST', '/bytes', 'two')
  t.same((await ask('POST', '/bytes', 'two')).rawPayload, Buffer.from([0, 255, 128]))
  t.same(done, ['DELETE', 'bytes'])
})

t.test('other keys, other callers, no key and reads are requests of their own', async (t) => {
  const { ask, done } = await withRoutes(t)
  await ask('POST', '/users/anna', 'one')
  await ask('POST', '/users/anna', 'two')
  await ask('POST', '/users/anna', 'one', { headers: { 'x-caller': 'key app' } })
  await ask('POST', '/users/anna', 'one', { headers: { 'x-caller': 'key web' } })
  await ask('POST', '/users/anna')
  await ask('POST', '/users/anna')
  await ask('GET', '/users/anna', 'three')
  await ask('GET', '/users/anna', 'three')
  await ask('POST', '/outside', 'four')
  await ask('POST', '/outside', 'four')
  t.equal(done.length, 10)
})

t.test('a key may stand in quotes, and is the same without', async (t) => {
  const { ask, done } = await withRoutes(t)
  for (const key of ['"8e03978e-40d5"', '8e03978e-40d5', '"8e03978e\\-40d5"']) {
    await ask('POST', '/users/anna', key)
  }
  for (const key of ['"with a space"', '"a \\"quote\\""', 'x'.repeat(255), `"${'x'.repeat(255)}"`]) {
    t.equal((await ask('POST', '/users/anna', key)).statusCode, 201, key)
  }
  t.equal(done.length, 4)
})

t.test('a key of another form is refused, and nothing done', async (t) => {
  const { ask, done } = await withRoutes(t)
  for (const key of [
    '',
    '""',
    'two words',
    '"open',
    '"a";b=1',
    '"a\\b"',
    'x'.repeat(256),
    'caf\u00e9',
    'a, b',
  ]) {
    const answer = await ask('POST', '/users/anna', key)
    t.match(answer.json(), { code: 'KSR_INVALID_REQUEST', status: 400 }, key)
  }
  t.same(done, [])
})

t.test('the key of another request is refused', async (t) => {
  const { ask, done } = await withRoutes(t)
  await ask('POST', '/users/anna', 'one', { payload: { a: 1 } })
  for (const [method, url, payload] of [
    ['POST', '/users/anna', { a: 2 }],
    ['POST', '/users/ben', { a: 1 }],
    ['POST', '/users/anna?dry=1', { a: 1 }],
    ['PUT', '/users/anna', { a: 1 }],
  ] as const) {
    const answer = await ask(method, url, 'one', { payload })
    t.match(answer.json(), { code: 'KSR_IDEMPOTENCY_KEY_REUSED', status: 422 }, `${method} ${url}`)
  }
  t.same(done, ['POST anna'])
})

t.test('of many at once with the same key one is done, and the others are told to come again', async (t) => {
  const { ask, done, hold } = await withRoutes(t)
  const release = hold()
  const all = Array.from({ length: 20 }, () => ask('POST', '/users/anna', 'one'))
  const answers: Response[] = []
  for (const answer of all) answer.then((answered) => answers.push(answered))
  while (answers.length < 19) await setImmediate()
  for (const answer of answers)
    t.match(answer.json(), { code: 'KSR_IDEMPOTENT_REQUEST_PENDING', status: 409 })
  t.equal(answers[0]?.headers['retry-after'], '1')
  release()
  await Promise.all(all)
  t.equal(answers[19]?.statusCode, 201)
  t.same(done, ['POST anna'])
  t.equal((await ask('POST', '/users/anna', 'one')).headers['idempotency-replayed'], 'true')
})

t.test('who finds nothing, and is then not the first to take the key, is told to come again', async (t) => {
  const store = await openStore(t)
  const { ask, done } = await withRoutes(t, { store })
  await ask('POST', '/users/anna', 'one')
  store.get = async () => undefined
  const second = await ask('POST', '/users/anna', 'one')
  t.match(second.json(), { code: 'KSR_IDEMPOTENT_REQUEST_PENDING', status: 409 })
  t.same(done, ['POST anna'])
})

t.test(
  'where the service failed the key is free after a minute, and an answer is kept for a day',
  async (t) => {
    let ahead = 0
    const store = await openStore(t, { now: () => Date.now() + ahead * 1000 })
    const { ask, done } = await withRoutes(t, { store })
    t.equal((await ask('POST', '/fails/500', 'one')).statusCode, 500)
    ahead = 50
    const early = await ask('POST', '/fails/500', 'one')
    t.match(early.json(), { code: 'KSR_IDEMPOTENT_REQUEST_PENDING', status: 409 })
    ahead = 70
    t.equal((await ask('POST', '/fails/500', 'one')).statusCode, 500)
    t.same(done.splice(0), ['fails', 'fails'])
    ahead = 0
    await ask('POST', '/users/anna', 'two')
    ahead = 24 * 3600 - 10
    t.equal((await ask('POST', '/users/anna', 'two')).headers['idempotency-replayed'], 'true')
    ahead = 24 * 3600 + 10
    t.equal((await ask('POST', '/users/anna', 'two')).headers['idempotency-replayed'], undefined)
    t.same(done, ['POST anna', 'POST anna'])
  },
)

t.test("after a caller's mistake the key is free again", async (t) => {
  const { ask, done } = await withRoutes(t)
  t.equal((await ask('POST', '/fails/404', 'one')).statusCode, 404)
  t.equal((await ask('POST', '/users/anna', 'one')).statusCode, 201)
  t.equal((await ask('POST', '/users/anna', 'two', { payload: { wrong: 'no boolean' } })).statusCode, 400)
  t.equal((await ask('POST', '/users/anna', 'two')).statusCode, 201)
  t.same(done, ['fails', 'POST anna', 'POST anna'])
})

t.test(
  'what is kept tells nothing without the key of the vault, and is found after a rotation',
  async (t) => {
    const { ask, done, store } = await withRoutes(t)
    await ask('POST', '/users/anna', 'enrol-anna', { payload: { a: 'secret' } })
    const [record, ...more] = await store.page(`idempotency/${tenantOf('')}`, '', 10)
    t.same(more, [])
    t.match(record?.key, /^[0-9a-f]{32}$/)
    t.notMatch(Buffer.from(record?.bytes as Uint8Array).toString('latin1'), /anna|secret|201/)
    const rotated = await withRoutes(t, { store, keys: [NEW, OLD] })
    const again = await rotated.ask('POST', '/users/anna', 'enrol-anna', { payload: { a: 'secret' } })
    t.equal(again.headers['idempotency-replayed'], 'true')
    t.same([...done, ...rotated.done], ['POST anna'])
  },
)

t.test('an answer that can not be kept is answered all the same, and the log told', async (t) => {
  const store = await openStore(t)
  const put = store.put.bind(store)
  store.put = async (record, expected) => {
    if (expected !== undefined) throw new Error('no disk')
    return put(record, expected)
  }
  const { ask, lines } = await withRoutes(t, { store })
  t.equal((await ask('POST', '/users/anna', 'one')).statusCode, 201)
  t.match(lines(), [{ level: 50, err: { message: 'no disk' }, msg: /not kept/ }])
})

async function openStore(t: Test, options: SqliteOptions = {}): Promise<Store> {
  const store = await openSqlite(t.testdir(), options)
  t.teardown(() => store.close())
  return store
}
