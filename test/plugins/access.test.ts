import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { build, postTo, SUMMARY } from '../fixtures/build.js'
import { Issuer } from '../fixtures/issuer.js'
import { captureLog } from '../fixtures/log.js'

const hash = (key: string) => createHash('sha256').update(key).digest('hex')
const API_KEYS = `app:${hash('secret')},app:${hash('next')},batch:${hash('other')}`

const GUARDED = [
  ['GET', '/'],
  ['GET', '/docs'],
  ['GET', '/docs/json'],
  ['GET', '/demo'],
  ['GET', '/demo/recorder.js'],
  ['GET', '/models'],
  ['GET', '/models/rf'],
  ['GET', '/nowhere'],
  ['POST', '/'],
  ['POST', '/predict'],
  ['POST', '/predict/rf'],
  ['POST', '/verify/best'],
  ['PUT', '/predict/rf'],
] as const

t.test('with keys everything but health asks for one', async (t) => {
  const app = build(t, { API_KEYS })
  for (const [method, url] of GUARDED) {
    for (const headers of [{}, { 'x-api-key': 'wrong' }, { authorization: 'Bearer secret' }]) {
      const answer = await app.inject({ method, url, headers })
      t.match(answer.json(), { status: 401, code: 'KSR_UNAUTHORIZED' }, `${method} ${url}`)
      t.equal(answer.json().detail, 'The request needs an API key as x-api-key, and has none that is valid.')
      t.equal(answer.headers['www-authenticate'], 'ApiKey')
    }
  }
  for (const url of ['/health', '/health/live', '/health/ready']) {
    t.equal((await app.inject(url)).statusCode, 200, url)
  }
})

t.test('any of the keys opens, the old and the new one of a caller too', async (t) => {
  const app = build(t, { API_KEYS })
  for (const key of ['secret', 'next', 'other']) {
    const headers = { 'x-api-key': key }
    const answer = await app.inject({ method: 'POST', url: '/predict/rf', headers, payload: SUMMARY })
    t.match(answer.json(), { user: 84 })
    t.equal((await app.inject({ url: '/docs', headers })).statusCode, 200)
    t.equal((await app.inject({ url: '/nowhere', headers })).statusCode, 404)
  }
})

t.test('a body is not read of somebody who may not send one', async (t) => {
  const app = build(t, { API_KEYS })
  t.equal((await postTo(app)('/predict/rf', '{')).statusCode, 401)
  t.equal((await postTo(app)('/predict/rf', ' '.repeat(100_000))).statusCode, 401)
})

t.test('what PUBLIC_ROUTES names is open to everybody, and nothing else', async (t) => {
  for (const [name, paths] of [
    ['index', ['/']],
    ['docs', ['/docs', '/docs/json', '/docs/static/swagger-ui.css']],
    ['demo', ['/demo', '/demo/recorder.js', '/demo/demo.css']],
    ['models', ['/models', '/models/rf']],
  ] as const) {
    const app = build(t, { API_KEYS, PUBLIC_ROUTES: name })
    for (const [method, url] of GUARDED) {
      const open = method === 'GET' && (paths as readonly string[]).includes(url)
      t.equal((await app.inject({ method, url })).statusCode, open ? 200 : 401, `${name}: ${method} ${url}`)
    }
    for (const url of paths) t.equal((await app.inject({ method: 'HEAD', url })).statusCode, 200)
  }
})

t.test('a token of the issuer opens, beside keys', async (t) => {
  const issuer = await Issuer.start(t)
  const app = build(t, { API_KEYS, ...issuer.settings() })
  const ask = (headers: Record<string, string>) => app.inject({ url: '/models', headers })
  const token = await issuer.token()
  t.equal((await ask({ authorization: `Bearer ${token}` })).statusCode, 200)
  t.equal((await ask({ authorization: `bearer  ${token}` })).statusCode, 200)
  t.equal((await ask({ 'x-api-key': 'secret' })).statusCode, 200)
  t.equal((await ask({ 'x-api-key': 'secret', authorization: 'Bearer wrong' })).statusCode, 200)
  for (const authorization of [token, `Basic ${token}`, 'Bearer', 'Bearer wrong', `Bearer ${token},`]) {
    const answer = await ask({ authorization })
    t.match(answer.json(), {
      code: 'KSR_UNAUTHORIZED',
      detail: /x-api-key or a token as Authorization: Bearer,/,
    })
    t.equal(answer.headers['www-authenticate'], 'ApiKey, Bearer')
  }
})

t.test('while the keys of tokens can not be had, the answer is to come again', async (t) => {
  const issuer = await Issuer.start(t)
  issuer.status = 404
  const app = build(t, issuer.settings())
  const headers = { authorization: `Bearer ${await issuer.token()}` }
  const answer = await app.inject({ url: '/models', headers })
  t.match(answer.json(), { status: 503, code: 'KSR_KEYS_UNAVAILABLE' })
  t.equal(answer.headers['retry-after'], '5')
})

t.test('nor is then anybody heard without end', async (t) => {
  const issuer = await Issuer.start(t)
  issuer.status = 404
  const app = build(t, { ...issuer.settings(), RATE_LIMIT: '2' })
  const headers = { authorization: `Bearer ${await issuer.token()}` }
  const statuses = []
  for (let i = 0; i < 3; i++) statuses.push((await app.inject({ url: '/models', headers })).statusCode)
  t.same(statuses, [503, 503, 429])
})

t.test('a rate limit counts each key for itself, and tells how much is left', async (t) => {
  const app = build(t, { API_KEYS, RATE_LIMIT: '2' })
  const ask = (key: string) => app.inject({ url: '/models', headers: { 'x-api-key': key } })
  t.match((await ask('secret')).headers, {
    'ratelimit-limit': '2',
    'ratelimit-remaining': '1',
    'ratelimit-reset': '60',
  })
  t.match((await ask('next')).headers, { 'ratelimit-remaining': '0' }, 'two keys of one caller')
  const answer = await ask('secret')
  t.match(answer.json(), {
    status: 429,
    code: 'KSR_TOO_MANY_REQUESTS',
    detail: 'There were more than 2 requests in a minute.',
  })
  t.match(answer.headers['retry-after'], /^\d+$/)
  t.equal((await ask('other')).statusCode, 200)
  t.equal((await app.inject('/health')).headers['ratelimit-limit'], undefined)
})

t.test('of many samples in a request each counts as one', async (t) => {
  const asked = (RATE_LIMIT: string, url: string, payload: string, type = 'application/json') =>
    build(t, { MODELS: 'svm', RATE_LIMIT }).inject({
      method: 'POST',
      url,
      headers: { 'content-type': type },
      payload,
    })
  const lines = Array.from({ length: 40 }, () => `${JSON.stringify(SUMMARY)}\n`).join('')
  const batch = JSON.stringify({ samples: Array(3).fill(SUMMARY) })
  const input = { name: 'input', datatype: 'FP32', shape: [3, 8], data: Array(24).fill(50) }
  const tensors = JSON.stringify({ inputs: [input] })
  for (const [url, payload] of [
    ['/predict/svm/batch', batch],
    ['/v2/models/svm/infer', tensors],
  ] as const) {
    const answer = await asked('3', url, payload)
    t.equal(answer.statusCode, 200, url)
    t.equal(answer.headers['ratelimit-remaining'], '0')
    const refused = await asked('2', url, payload)
    t.equal(refused.statusCode, 429)
    t.match(refused.headers['retry-after'], /^\d+$/)
  }
  const whole = await asked('40', '/predict/svm/stream', lines, 'application/x-ndjson')
  t.equal(whole.body.match(/"user":/g)?.length, 40)
  const cut = await asked('39', '/predict/svm/stream', lines, 'application/x-ndjson')
  t.equal(cut.body.match(/"user":/g)?.length, 32)
  t.match(JSON.parse(cut.body.trim().split('\n').at(-1) as string), { code: 'KSR_TOO_MANY_REQUESTS' })
})

t.test('who guesses keys is counted by the address', async (t) => {
  const app = build(t, { API_KEYS, RATE_LIMIT: '3' })
  const ask = (remoteAddress: string, key: string) =>
    app.inject({ url: '/models', remoteAddress, headers: { 'x-api-key': key } })
  for (let i = 0; i < 3; i++) t.equal((await ask('192.0.2.1', `guess ${i}`)).statusCode, 401)
  t.equal((await ask('192.0.2.1', 'another guess')).statusCode, 429)
  t.equal((await ask('192.0.2.1', 'secret')).statusCode, 200)
  t.equal((await ask('192.0.2.2', 'guess')).statusCode, 401)
})

t.test('addresses are those that one’s own proxies saw, and no more', async (t) => {
  for (const [TRUST_PROXY, forwarded, limited] of [
    // What the caller itself writes makes nobody another one.
    ['0', (i: number) => `198.51.100.${i}`, true],
    ['1', (i: number) => `198.51.100.${i}`, false],
    ['1', (i: number) => `198.51.100.${i}, 203.0.113.1`, true],
    ['2', (i: number) => `198.51.100.${i}, 203.0.113.1`, false],
    // One client has a whole /64 of IPv6.
    ['1', (i: number) => `2001:db8::${i}`, true],
    ['1', (i: number) => `2001:db8:0:${i}::1`, false],
  ] as const) {
    const app = build(t, { RATE_LIMIT: '1', TRUST_PROXY })
    const statuses = []
    for (let i = 1; i < 4; i++) {
      const headers = { 'x-forwarded-for': forwarded(i) }
      statuses.push((await app.inject({ url: '/models', headers })).statusCode)
    }
    t.same(statuses, limited ? [200, 429, 429] : [200, 200, 200], `${TRUST_PROXY}: ${forwarded(1)}`)
  }
})

t.test('without keys, tokens and limits nobody is asked or counted', async (t) => {
  const app = build(t)
  const { headers, statusCode } = await app.inject({ url: '/models', headers: { 'x-api-key': 'any' } })
  t.equal(statusCode, 200)
  t.notHas(headers, { 'ratelimit-limit': '' })
})

t.test('keys that can not be read stop the start', async (t) => {
  const jwt = { JWT_JWKS_URL: 'file:///nowhere', JWT_ISSUER: 'i', JWT_AUDIENCE: 'a' }
  for (const settings of [{ API_KEYS_FILE: '/nowhere' }, jwt]) {
    const app = build(t, settings)
    await t.rejects(async () => await app.ready(), { code: 'KSR_CONFIG' })
  }
})

t.test('keys and key sets in files are exchanged by a reload, both or none', async (t) => {
  const issuer = await Issuer.start(t)
  const dir = t.testdir({ keys: `app:${hash('old')}`, 'jwks.json': issuer.keySet() })
  const app = build(t, {
    API_KEYS_FILE: join(dir, 'keys'),
    ...issuer.settings(),
    JWT_JWKS_URL: pathToFileURL(join(dir, 'jwks.json')).href,
  })
  await app.ready()
  const status = async (headers: Record<string, string>) =>
    (await app.inject({ url: '/models', headers })).statusCode
  const statuses = async () => [
    await status({ 'x-api-key': 'old' }),
    await status({ 'x-api-key': 'new' }),
    await status({ authorization: `Bearer ${await issuer.token()}` }),
  ]
  t.same(await statuses(), [200, 401, 200])
  await issuer.rotate('second')
  writeFileSync(join(dir, 'keys'), `app:${hash('new')}`)
  writeFileSync(join(dir, 'jwks.json'), '{')
  await app.reload()
  t.same(await statuses(), [200, 401, 401], 'a file that is not right leaves all as it was')
  writeFileSync(join(dir, 'jwks.json'), issuer.keySet())
  await app.reload()
  t.same(await statuses(), [401, 200, 200])
  writeFileSync(join(dir, 'keys'), '')
  await app.reload()
  t.same(await statuses(), [401, 200, 200], 'an emptied file opens nothing')
})

t.test('keys that an issuer published are kept over a reload, when the issuer may be away', async (t) => {
  const issuer = await Issuer.start(t)
  const dir = t.testdir({ keys: `app:${hash('old')}` })
  const app = build(t, { API_KEYS_FILE: join(dir, 'keys'), ...issuer.settings() })
  const ask = async () =>
    app.inject({ url: '/models', headers: { authorization: `Bearer ${await issuer.token()}` } })
  t.equal((await ask()).statusCode, 200)
  issuer.status = 500
  await app.reload()
  t.equal((await ask()).statusCode, 200)
})

t.test('a service that is open to the network says so when it starts', async (t) => {
  for (const [host, settings, warns] of [
    ['127.0.0.1', {}, false],
    ['0.0.0.0', {}, true],
    ['::', {}, true],
    ['0.0.0.0', { API_KEYS }, false],
  ] as const) {
    const { logTo, lines } = captureLog()
    const app = build(t, { LOG_LEVEL: 'warn', ...settings }, { logTo })
    await app.listen({ host, port: 0 })
    await app.close()
    const expected = { msg: 'open to whoever reaches it: neither API_KEYS nor JWT_JWKS_URL is set' }
    t.match(lines(), warns ? [expected] : [], host)
    t.equal(lines().length, warns ? 1 : 0)
  }
})

t.test('the log tells who asked, and of those who are turned away from where', async (t) => {
  const { logTo, lines } = captureLog()
  const issuer = await Issuer.start(t)
  const app = build(t, { API_KEYS, ...issuer.settings(), RATE_LIMIT: '1', LOG_LEVEL: 'info' }, { logTo })
  const ask = async (headers: Record<string, string>, remoteAddress: string) => {
    const since = lines().length
    await app.inject({ url: '/models', headers, remoteAddress })
    return lines().slice(since)
  }
  const key = { 'x-api-key': 'secret' }
  const address = '192.0.2.1'
  t.match(await ask(key, address), [{ caller: 'key app', status: 200 }])
  t.match(await ask(key, address), [
    { caller: 'key app', address, code: 'KSR_TOO_MANY_REQUESTS' },
    { caller: 'key app', address, status: 429 },
  ])
  const authorization = `Bearer ${await issuer.token()}`
  t.match(await ask({ authorization }, address), [{ caller: 'token client', status: 200 }])
  const forged = `Bearer ${await issuer.token({ sub: 'a"}\n{"caller":"key app' })}`
  t.match(await ask({ authorization: forged }, address), [{ caller: 'token a"}\n{"caller":"key app' }])
  t.match(await ask({ 'x-api-key': 'wrong' }, '192.0.2.2'), [
    { address: '192.0.2.2', code: 'KSR_UNAUTHORIZED' },
    { address: '192.0.2.2', status: 401 },
  ])
  t.notMatch(JSON.stringify(lines().filter(({ status }) => status === 200)), address, 'of nobody else')
})

t.test('a key or token in the URL opens nothing, and is not logged', async (t) => {
  const issuer = await Issuer.start(t)
  const { logTo, text } = captureLog()
  const app = build(t, { API_KEYS, ...issuer.settings(), LOG_LEVEL: 'trace' }, { logTo })
  const token = await issuer.token()
  for (const query of ['x-api-key=secret', 'api_key=secret', `access_token=${token}`]) {
    t.equal((await app.inject(`/models?${query}`)).statusCode, 401, query)
  }
  for (const secret of ['=secret', token]) t.notMatch(text(), secret)
})

t.test('no key or token is ever logged', async (t) => {
  const issuer = await Issuer.start(t)
  const { logTo, text } = captureLog()
  const app = build(t, { API_KEYS, ...issuer.settings(), LOG_LEVEL: 'trace' }, { logTo })
  const token = await issuer.token()
  for (const headers of [
    { 'x-api-key': 'secret' },
    { 'x-api-key': 'a-guess-of-a-key' },
    { authorization: `Bearer ${token}` },
    { authorization: `Bearer ${token.slice(0, -3)}` },
  ]) {
    await app.inject({ url: '/models', headers })
  }
  t.match(text(), 'KSR_UNAUTHORIZED')
  for (const secret of ['"secret"', 'a-guess-of-a-key', hash('secret'), token.slice(-40, -3)]) {
    t.notMatch(text(), secret)
  }
})
