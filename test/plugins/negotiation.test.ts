import { gzipSync } from 'node:zlib'
import t from 'tap'
import { build, SUMMARY } from '../fixtures/build.js'
import { TYPISTS } from '../fixtures/models.js'

t.test('callers that take JSON are served', async (t) => {
  const app = build(t)
  for (const accept of [
    'application/json',
    'application/problem+json',
    '*/*',
    '',
    'application/*',
    'text/html, */*;q=0.1',
    'text/html,application/json;q=0.5',
  ]) {
    t.equal((await app.inject({ url: '/models', headers: { accept } })).statusCode, 200, accept)
  }
})

t.test('callers that do not are told 406, as a problem document', async (t) => {
  const answer = await build(t).inject({ url: '/models', headers: { accept: 'text/html' } })
  t.match(answer.json(), { status: 406, code: 'KSR_NOT_ACCEPTABLE' })
})

t.test('the documentation is a page', async (t) => {
  const answer = await build(t).inject({ url: '/docs', headers: { accept: 'text/html' } })
  t.equal(answer.statusCode, 200)
  t.match(answer.headers['content-type'], /text\/html/)
})

t.test('probes are answered whatever they accept', async (t) => {
  t.equal(
    (await build(t).inject({ url: '/health/ready', headers: { accept: 'text/plain' } })).statusCode,
    200,
  )
})

function ask(
  app: ReturnType<typeof build>,
  headers: Record<string, string>,
  payload: string | Buffer = JSON.stringify(SUMMARY),
) {
  return app.inject({
    method: 'POST',
    url: '/predict/rf',
    headers: { 'content-type': 'application/json', ...headers },
    payload,
  })
}

t.test('a body in UTF-8 is read, however that is said', async (t) => {
  const app = build(t)
  for (const type of [
    'application/json',
    'application/json; charset=utf-8',
    'application/json;charset=UTF-8',
    'APPLICATION/JSON ; Charset="utf-8"',
    'application/json; charset="u\\tf-8"',
    'application/json; charset=utf8',
    'application/json; profile="a;charset=latin1"; charset=utf-8; charset=UTF-8',
    'application/json;',
  ]) {
    t.equal((await ask(app, { 'content-type': type })).statusCode, 200, type)
  }
})

t.test('a body in any other charset is 415, and never read as if it were UTF-8', async (t) => {
  const app = build(t)
  for (const type of [
    'application/json; charset=utf-16',
    'application/json;charset=ISO-8859-1',
    'application/json; charset="utf-16le"',
    'application/json; CHARSET=utf-7',
    'application/json; charset=utf-8; charset=utf-16',
    'application/json; charset=utf-16; charset=utf-8',
    'application/json; profile="\\"; charset=utf-8"; charset=latin1',
    'application/json; charset=""',
  ]) {
    t.match(
      (await ask(app, { 'content-type': type })).json(),
      { status: 415, code: 'KSR_UNSUPPORTED_ENCODING' },
      type,
    )
  }
})

t.test('a media type whose parameters can not be read is 415', async (t) => {
  const app = build(t)
  for (const type of [
    'application/json; charset',
    'application/json; charset=utf-8, text/plain',
    'application/json; charset="utf-16',
    'application/json; = ; charset=utf-16',
  ]) {
    const answer = await ask(app, { 'content-type': type })
    t.match(answer.json(), { status: 415, code: 'KSR_UNSUPPORTED_MEDIA_TYPE' }, type)
  }
})

t.test('a compressed body is 415, is not inflated, and the caller is told what to send', async (t) => {
  const app = build(t)
  const bomb = gzipSync(Buffer.alloc(50_000_000, ' '))
  for (const encoding of ['gzip', 'GZIP', 'br', 'deflate', 'zstd', 'identity, gzip', 'nonsense']) {
    const answer = await ask(app, { 'content-encoding': encoding }, bomb)
    t.match(answer.json(), { status: 415, code: 'KSR_UNSUPPORTED_ENCODING' }, encoding)
    t.equal(answer.headers['accept-encoding'], 'identity')
  }
  for (const encoding of ['identity', 'Identity', '']) {
    t.equal((await ask(app, { 'content-encoding': encoding })).statusCode, 200, encoding)
  }
})

t.test('bytes that are no UTF-8 are 400, and never another text', async (t) => {
  const app = build(t, { MODEL_DIR: TYPISTS })
  const claim = (user: Buffer) =>
    app.inject({
      method: 'POST',
      url: '/verify/templates',
      headers: { 'content-type': 'application/json' },
      payload: Buffer.concat([Buffer.from('{"keystrokes":[],"user":"'), user, Buffer.from('"}')]),
    })
  for (const bytes of [
    [0xff],
    [0xc3, 0x28],
    // Overlong, a surrogate, past the last one, cut off.
    [0xc0, 0xaf],
    [0xed, 0xa0, 0x80],
    [0xf4, 0x90, 0x80, 0x80],
    [0xe2, 0x82],
  ]) {
    t.match((await claim(Buffer.from(bytes))).json(), { status: 400, code: 'KSR_INVALID_JSON' })
  }
  t.notMatch((await claim(Buffer.from('é'))).json(), { code: 'KSR_INVALID_JSON' })
})

t.test('a mark of the byte order before a body is passed over, as RFC 8259 allows', async (t) => {
  const app = build(t)
  t.equal((await ask(app, {}, `\uFEFF${JSON.stringify(SUMMARY)}`)).statusCode, 200)
  const wide = Buffer.from(`\uFEFF${JSON.stringify(SUMMARY)}`, 'utf16le')
  t.match((await ask(app, {}, wide)).json(), { status: 400, code: 'KSR_INVALID_JSON' })
})

t.test('what comes without a body is not asked for its form', async (t) => {
  const app = build(t)
  const headers = { 'content-encoding': 'gzip', 'content-type': 'text/plain; charset=latin1' }
  t.equal((await app.inject({ url: '/models', headers })).statusCode, 200)
})

t.test(
  'a deletion may name a type for the body that it has not, and a write of PUT is read as one of POST',
  async (t) => {
    const app = build(t, { DATA_DIR: t.testdir() })
    const json = { 'content-type': 'application/json' }
    const put = (headers: Record<string, string>, payload: string | Buffer) =>
      app.inject({ method: 'PUT', url: '/texts/motto', headers: { ...json, ...headers }, payload })
    const compressed = await put({ 'content-encoding': 'gzip' }, gzipSync('{"keys":13}'))
    t.match(compressed.json(), { status: 415, code: 'KSR_UNSUPPORTED_ENCODING' })
    t.match((await put({ 'content-type': 'application/json; charset=latin1' }, '{"keys":13}')).json(), {
      status: 415,
      code: 'KSR_UNSUPPORTED_ENCODING',
    })
    t.match((await put({}, '')).json(), { status: 400, code: 'KSR_INVALID_JSON' })
    t.equal((await put({}, '{"keys":13}')).statusCode, 201)
    t.equal((await app.inject({ method: 'DELETE', url: '/texts/motto', headers: json })).statusCode, 204)
  },
)
