import t from 'tap'
import { times } from '../fixtures/people.js'
import { isProblem, service } from '../fixtures/texts.js'

t.test('a text is made once, and described from then on', async (t) => {
  const { ask } = await service(t)
  const made = await ask('PUT', '/login', { keys: 13 })
  t.equal(made.statusCode, 201)
  t.equal(made.headers.location, '/texts/login')
  t.equal(made.headers['content-type'], 'application/json; charset=utf-8')
  t.match(made.json(), { text: 'login', keys: 13, prior: 'shipped', created: /^\d{4}-\d\d-\d\dT/ })
  t.match(made.headers.etag, /^"\w+"$/)
  const again = await ask('PUT', '/login', { keys: 13 })
  t.equal(again.statusCode, 200)
  t.equal(again.headers.location, undefined)
  const read = await ask('GET', '/login')
  for (const answer of [again, read]) {
    t.same(answer.json(), made.json())
    t.equal(answer.headers.etag, made.headers.etag)
  }
  t.match((await ask('PUT', '/motto', { keys: 8 })).json(), { keys: 8, prior: 'general' })
  t.match((await ask('PUT', '/other', { keys: 13, prior: 'general' })).json(), { prior: 'general' })
})

t.test('where the service stands behind a prefix, so does what was made', async (t) => {
  const { app } = await service(t, { BASE_PATH: '/api' })
  const made = await app.inject({ method: 'PUT', url: '/api/texts/login', payload: { keys: 13 } })
  t.equal(made.headers.location, '/api/texts/login')
})

t.test('a text that differs, that can not be, or one too many is refused', async (t) => {
  const { ask } = await service(t, { MAX_TEXTS: '2' })
  await ask('PUT', '/login', { keys: 13 })
  isProblem(t, await ask('PUT', '/login', { keys: 12 }), 409, 'KSR_TEXT_DIFFERS')
  isProblem(t, await ask('PUT', '/login', { keys: 13, prior: 'general' }), 409, 'KSR_TEXT_DIFFERS')
  isProblem(t, await ask('PUT', '/motto', { keys: 12, prior: 'shipped' }), 422, 'KSR_NO_PRIOR', '/prior')
  await ask('PUT', '/motto', { keys: 12 })
  isProblem(t, await ask('PUT', '/third', { keys: 12 }), 409, 'KSR_LIMIT')
})

t.test('what has not the documented form is 400, and says where', async (t) => {
  const { ask } = await service(t)
  for (const [body, pointer] of [
    [{}, '/keys'],
    [{ keys: 1 }, '/keys'],
    [{ keys: 129 }, '/keys'],
    [{ keys: 5.5 }, '/keys'],
    [{ keys: '13' }, '/keys'],
    [{ keys: 13, prior: 'none' }, '/prior'],
    [{ keys: 13, text: 'login' }, '/text'],
  ] as const) {
    isProblem(t, await ask('PUT', '/login', body), 400, 'KSR_INVALID_REQUEST', pointer)
  }
  for (const name of ['-login', 'log%20in', '%C3%A4', 'a%2Fb', 'a'.repeat(65)]) {
    isProblem(t, await ask('PUT', `/${name}`, { keys: 13 }), 400, 'KSR_INVALID_REQUEST', '/params/text', name)
  }
  for (const [query, pointer] of [
    ['limit=0', '/querystring/limit'],
    ['limit=1001', '/querystring/limit'],
    ['limit=x', '/querystring/limit'],
    ['after=login', '/querystring/after'],
    ['after=~', '/querystring/after'],
    ['page=2', '/querystring/page'],
  ] as const) {
    isProblem(t, await ask('GET', `?${query}`), 400, 'KSR_INVALID_REQUEST', pointer, query)
  }
  isProblem(
    t,
    await ask('PUT', '/login', undefined, { 'content-type': 'text/plain' }),
    415,
    'KSR_UNSUPPORTED_MEDIA_TYPE',
  )
  isProblem(t, await ask('GET', '/login', undefined, { accept: 'text/html' }), 406, 'KSR_NOT_ACCEPTABLE')
  isProblem(t, await ask('POST', '/login', {}), 405, 'KSR_METHOD_NOT_ALLOWED')
  isProblem(t, await ask('GET', `/${'a'.repeat(200)}`), 414, 'KSR_URL_TOO_LONG')
})

t.test('what is not there is 404, for every route', async (t) => {
  const { ask } = await service(t)
  const body = { keystrokes: [] }
  for (const [method, url, payload] of [
    ['GET', '/login'],
    ['DELETE', '/login'],
    ['GET', '/login/users'],
    ['GET', '/login/users/anna'],
    ['DELETE', '/login/users/anna'],
    ['DELETE', '/login/users/anna/samples/00000000-0000-4000-8000-000000000000'],
    ['POST', '/login/users/anna/samples', body],
    ['POST', '/login/identify', body],
    ['POST', '/login/identify/batch', { samples: [body] }],
    ['POST', '/login/verify', { user: 'anna', ...body }],
    ['GET', '/login/templates'],
    ['POST', '/login/templates', { format: 1, keys: 13, users: [], sha256: '0'.repeat(64) }],
  ] as const) {
    isProblem(t, await ask(method, url, payload), 404, 'KSR_TEXT_NOT_FOUND', undefined, `${method} ${url}`)
  }
})

t.test('texts are listed in pages, in the order of their names', async (t) => {
  const { ask } = await service(t)
  const names = times(5, (i) => `text-${i}`)
  for (const name of names.toReversed()) await ask('PUT', `/${name}`, { keys: 5 })
  const found: string[] = []
  let [after, pages] = ['', 0]
  do {
    const { texts, next } = (await ask('GET', `?limit=2${after && `&after=${after}`}`)).json()
    found.push(...texts.map(({ text }: { text: string }) => text))
    after = next
    pages++
  } while (after !== undefined)
  t.same(found, names)
  t.equal(pages, 3)
  const all = (await ask('GET', '')).json()
  t.equal(all.texts.length, 5)
  t.notOk('next' in all)
  t.match(all.texts[0], { text: 'text-0', keys: 5, prior: 'general', created: /^2/ })
})

t.test('a text is changed only as its caller knows it, and need not be read twice', async (t) => {
  const { ask } = await service(t)
  isProblem(t, await ask('PUT', '/login', { keys: 13 }, { 'if-match': '*' }), 412, 'KSR_PRECONDITION_FAILED')
  const made = await ask('PUT', '/login', { keys: 13 }, { 'if-none-match': '*' })
  t.equal(made.statusCode, 201)
  isProblem(
    t,
    await ask('PUT', '/login', { keys: 13 }, { 'if-none-match': '*' }),
    412,
    'KSR_PRECONDITION_FAILED',
  )
  const etag = String(made.headers.etag)
  for (const tags of [etag, '*', `"x", W/${etag}`]) {
    const unchanged = await ask('GET', '/login', undefined, { 'if-none-match': tags })
    t.equal(unchanged.statusCode, 304)
    t.equal(unchanged.body, '')
    t.equal(unchanged.headers.etag, etag)
  }
  t.equal((await ask('GET', '/login', undefined, { 'if-none-match': '"x"' })).statusCode, 200)
  isProblem(
    t,
    await ask('DELETE', '/login', undefined, { 'if-match': '"x"' }),
    412,
    'KSR_PRECONDITION_FAILED',
  )
  const gone = await ask('DELETE', '/login', undefined, { 'if-match': etag })
  t.equal(gone.statusCode, 204)
  t.equal(gone.body, '')
  isProblem(t, await ask('GET', '/login'), 404, 'KSR_TEXT_NOT_FOUND')
})

t.test('a write that is sent again is done once', async (t) => {
  const { ask } = await service(t)
  const put = (key: string, body: object) => ask('PUT', '/login', body, { 'idempotency-key': key })
  const made = await put('one', { keys: 13 })
  const again = await put('one', { keys: 13 })
  t.same([again.statusCode, again.json()], [201, made.json()])
  t.equal(again.headers['idempotency-replayed'], 'true')
  for (const name of ['etag', 'location', 'content-type']) t.equal(again.headers[name], made.headers[name])
  isProblem(t, await put('one', { keys: 12 }), 422, 'KSR_IDEMPOTENCY_KEY_REUSED')
  t.equal((await put('two', { keys: 13 })).statusCode, 200)
  const drop = () => ask('DELETE', '/login', undefined, { 'idempotency-key': 'three' })
  t.same([(await drop()).statusCode, (await drop()).statusCode], [204, 204])
  isProblem(t, await put('', { keys: 13 }), 400, 'KSR_INVALID_REQUEST', '/headers/idempotency-key')
})

t.test('with a text all of its users are deleted', async (t) => {
  const { ask, enrolled } = await service(t)
  await enrolled(2)
  t.equal((await ask('DELETE', '/login')).statusCode, 204)
  await ask('PUT', '/login', { keys: 13 })
  t.same((await ask('GET', '/login/users')).json(), { users: [] })
})
