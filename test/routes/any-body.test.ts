import fc from 'fast-check'
import t from 'tap'
import { EnrolBody } from '../../src/schemas/enrolment.js'
import { exampleTensors } from '../../src/schemas/sample.js'
import { build, SUMMARY } from '../fixtures/build.js'
import { holds, type Test } from '../fixtures/fuzzing.js'
import { MODELS, readGolden } from '../fixtures/models.js'
import { typingOf } from '../fixtures/typing.js'

const ENROLMENT = EnrolBody['x-examples'].attempts.value
// Most claims here are false.
const app = build(t, { VERIFY_FAILURES: '0' })
await app.ready()
// Of a text that is not there nothing is reached.
await app.inject({ method: 'PUT', url: '/texts/motto', payload: { keys: app.models.keys } })
await app.inject({ method: 'POST', url: '/texts/motto/users/anna/samples', payload: ENROLMENT })
const TIMEOUT = { timeout: 3_600_000 }
const KEYS = app.models.keys
const NAMES = app.models.cards.map(({ name }) => name)
const { paths } = (await app.inject('/docs/json')).json() as { paths: Record<string, { post?: unknown }> }
// Of the document, so that a new route is asked, too.
const POSTED = Object.keys(paths)
  .filter((path) => paths[path]?.post)
  .map((path) => path.replace('{text}', 'motto').replace('{user}', 'anna'))
  .flatMap((path) => (path.includes('{model}') ? app.models.cards.map((card) => pathOf(path, card)) : path))

function pathOf(path: string, { name, version }: { name: string; version: string }): string {
  return path.replace('{model}', name).replace('{version}', version)
}

t.test('the routes are all that take a body', async (t) => t.equal(POSTED.length, 2 + 5 + 6 * NAMES.length))

/** Where a body stands in for a number that JSON has no form for: these alone may be null. */
const NULLABLE = ['fnir', 'fnmr', 'eer']

/** What is wrong with the answer to a body, whatever that is; undefined where nothing is. */
async function fault(url: string, payload: string | Buffer, contentType?: string) {
  const isStream = url.includes('/stream')
  const headers = { 'content-type': contentType ?? (isStream ? 'application/x-ndjson' : 'application/json') }
  const { statusCode, headers: answered, body } = await app.inject({ method: 'POST', url, headers, payload })
  const type = answered['content-type']
  const text = `${statusCode} ${type} ${body}`
  if (isStream && statusCode === 200) {
    const lines = body.split('\n').filter((line) => line !== '')
    return lines.some((line) => isOddLine(JSON.parse(line))) ? text : undefined
  }
  const answer = JSON.parse(body)
  if (statusCode === 200 || statusCode === 201) {
    if (type !== 'application/json; charset=utf-8') return text
    return oddNumber(answer) ? text : undefined
  }
  if (statusCode < 400 || statusCode > 499) return text
  if (url.startsWith('/v2')) return type === 'application/json' && /./.test(answer.error) ? undefined : text
  if (type !== 'application/problem+json; charset=utf-8') return text
  return answer.status === statusCode && /^KSR_/.test(answer.code) ? undefined : text
}

/** An answer of a stream is one, or a refusal. */
function isOddLine({
  user,
  status,
  code,
  ...rest
}: {
  user?: unknown
  status?: number
  code?: string
}): boolean {
  if (user !== undefined) return oddNumber(rest)
  return !/^KSR_/.test(code as string) || !((status as number) >= 400 && (status as number) < 500)
}

function oddNumber(value: unknown, name = ''): boolean {
  if (value === null) return !NULLABLE.includes(name)
  if (typeof value === 'number') return !Number.isFinite(value)
  return typeof value === 'object' && Object.entries(value).some(([name, one]) => oddNumber(one, name))
}

type Arguments = [url: string, payload: string | Buffer, contentType?: string]

/** Holds every answer against the rule. */
async function check(t: Test, runs: number, requests: fc.Arbitrary<Arguments>) {
  const property = fc.asyncProperty(requests, async (request) => {
    const found = await fault(...request)
    if (found !== undefined) throw new Error(`${found} to ${request.join(' ')}`)
  })
  await holds(t, runs, property)
}

const url = fc
  .tuple(
    fc.constantFrom(...POSTED),
    fc.constantFrom('', '?top=5', '?fpir=0.1', '?fmr=0.05', '?top=1e0&fpir=0.05'),
  )
  .map(([path, query]) => path + query)

const GOOD = [
  SUMMARY,
  { samples: [SUMMARY, SUMMARY] },
  exampleTensors.summary.value,
  exampleTensors.keystrokes.value,
  { Model: 'best', ...SUMMARY },
  { format: 1, keys: KEYS, users: [{ user: 'ben', sealed: 'AAAA' }], sha256: '0'.repeat(64) },
  ...readGolden(MODELS)
    .keystrokes.slice(0, 3)
    .flatMap(({ keystrokes }) => [
      { keystrokes },
      { samples: [{ keystrokes }] },
      { user: 84, keystrokes },
      { user: 'anna', keystrokes },
      { Model: 'best', keystrokes },
      { attempts: [{ keystrokes }, { keystrokes }] },
      { Model: 'best', attempts: [{ keystrokes }] },
    ]),
]
const oddText = fc.constantFrom('__proto__', 'constructor', 'prototype', 'toString', 'length', '\ud800', '')
const value = fc.oneof(
  fc.jsonValue(),
  oddText,
  fc.double(),
  fc.constantFrom(1e39, -1e39, 3.5e38, 5e-324, -0, 2 ** 53, 2 ** 64, 1e308),
)

/** A good body with another value, or another name, in some places. */
const nearlyGood = fc
  .tuple(
    fc.constantFrom(...GOOD),
    fc.array(fc.tuple(fc.nat(), value, oddText, fc.boolean()), { maxLength: 3 }),
  )
  .map(([good, changes]) => {
    const body = structuredClone(good)
    for (const [place, changed, name, renames] of changes) {
      const objects = objectsIn(body)
      const owner = objects[place % objects.length] as Record<string, unknown>
      const names = Object.keys(owner)
      if (Array.isArray(owner)) {
        owner[place % (owner.length + 1)] = changed
        continue
      }
      const at = renames ? name : (names[place % (names.length || 1)] ?? name)
      Object.defineProperty(owner, at, {
        value: changed,
        enumerable: true,
        configurable: true,
        writable: true,
      })
    }
    return JSON.stringify(body)
  })

function objectsIn(value: unknown): object[] {
  if (typeof value !== 'object' || value === null) return []
  return [value, ...Object.values(value).flatMap(objectsIn)]
}

t.test('whatever JSON is posted, it is answered, or refused with a problem document', TIMEOUT, async (t) => {
  const json = value.map((any) => JSON.stringify(any) ?? 'null')
  await check(t, 3000, fc.tuple(url, fc.oneof(json, { arbitrary: nearlyGood, weight: 3 })))
})

t.test('so is whatever text, and whatever bytes', TIMEOUT, async (t) => {
  const good = Buffer.from(JSON.stringify(GOOD[0]))
  const spoilt = fc
    .array(fc.tuple(fc.nat(good.length - 1), fc.integer({ min: 0, max: 255 })), {
      minLength: 1,
      maxLength: 4,
    })
    .map((changes) => {
      const bytes = Buffer.from(good)
      for (const [place, byte] of changes) bytes[place] = byte
      return bytes
    })
  const cut = fc.nat(good.length).map((length) => good.subarray(0, length))
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 100 }).map((bytes) => Buffer.from(bytes))
  const type = fc.oneof(
    { arbitrary: fc.constant('application/json'), weight: 5 },
    fc.constantFrom(
      'application/json; charset=utf-16',
      'application/json;charset=UTF-8',
      'application/json; charset="',
      'application/json;;',
      'APPLICATION/JSON',
      'application/problem+json',
      'text/json',
    ),
  )
  await check(t, 2000, fc.tuple(url, fc.oneof(spoilt, cut, bytes), type))
})

t.test('so is everything that has been the end of a parser', async (t) => {
  const summary = (text: string) => JSON.stringify(SUMMARY).replace('48.43', text)
  const user = (text: string) =>
    JSON.stringify({ user: 0, keystrokes: readGolden(MODELS).keystrokes[0]?.keystrokes }).replace(
      ':0,',
      `:${text},`,
    )
  const texts = [
    ...[
      '1e39',
      '-1e39',
      '1e400',
      '-1e400',
      '5e-324',
      '1e-400',
      '-0',
      `1${'0'.repeat(400)}`,
      `0.${'1'.repeat(9999)}`,
    ],
    ...[
      'NaN',
      'nan',
      '-NaN',
      'Infinity',
      '-Infinity',
      '+1',
      '.5',
      '1.',
      '01',
      '0x10',
      '1_000',
      '1e',
      'undefined',
    ],
    ...[
      '"NaN"',
      '"Infinity"',
      '"1"',
      'null',
      'true',
      '[48]',
      '{"valueOf":1}',
      '"\\ud800"',
      '"\\udfff\\ud800"',
    ],
    ...[
      `${'['.repeat(30_000)}`,
      '['.repeat(10_000) + ']'.repeat(10_000),
      `${'{"a":'.repeat(9000)}1${'}'.repeat(9000)}`,
    ],
    ...[
      '{"__proto__":{"Mean":1}}',
      '{"constructor":{"prototype":{}}}',
      '48,"HT":{"Mean":1,"STD":1}',
      '1}{',
      '1//',
    ],
  ]
  const bodies = [
    ...texts,
    ...texts.map(summary),
    ...texts.map(user),
    '{"HT":{"Mean":1,"Mean":2,"STD":1},"HT":{"Mean":1,"STD":1}}',
    '{"__proto__":{"HT":1}}',
    '{"\\u005f_proto__":{}}',
    '{"constructor":{"prototype":{"polluted":1}}}',
    `\ufeff${JSON.stringify(SUMMARY)}`,
    `${JSON.stringify(SUMMARY)}\0`,
    '',
    ' ',
    ' '.repeat(65_536),
    Buffer.from([0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00]),
    Buffer.from([0x22, 0xc3, 0x28, 0x22]),
    Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]),
  ]
  const faults: string[] = []
  for (const path of POSTED) {
    for (const body of bodies) {
      const found = await fault(path, body)
      if (found !== undefined) faults.push(`${path} ${body.toString().slice(0, 80)}: ${found}`)
    }
  }
  t.same(faults, [])
  t.notOk('polluted' in {})
})

/** Any typing that is possible. */
function anyTyping() {
  const most = Number.MAX_SAFE_INTEGER
  const real = typingOf(KEYS)
  // As far apart as the contract allows.
  const far = fc
    .array(fc.oneof(fc.double({ min: -most, max: most, noNaN: true }), fc.constantFrom(-most, 0, most)), {
      minLength: 2 * KEYS,
      maxLength: 2 * KEYS,
    })
    .map((times) => times.sort((a, b) => a - b))
    .chain((times) =>
      fc.constant(
        Array.from({ length: KEYS }, (_, i) => ({
          press: times[2 * i] as number,
          release: times[2 * i + 1] as number,
        })),
      ),
    )
  return fc.oneof(real, far)
}

t.test('any typing that is possible is answered with finite numbers by every model', TIMEOUT, async (t) => {
  const keystrokes = anyTyping()
  const requests = fc.oneof(
    fc
      .tuple(fc.constantFrom(...NAMES), keystrokes)
      .map(([name, keystrokes]) => [`/predict/${name}?top=5`, { keystrokes }] as const),
    fc
      .tuple(
        fc.constantFrom('best', 'templates', 'trees'),
        fc.array(keystrokes, { minLength: 1, maxLength: 4 }),
      )
      .map(
        ([name, all]) =>
          [`/predict/${name}`, { attempts: all.map((keystrokes) => ({ keystrokes })) }] as const,
      ),
    fc
      .tuple(fc.constantFrom('best', 'templates', 'trees'), keystrokes)
      .map(([name, keystrokes]) => [`/verify/${name}`, { user: 84, keystrokes }] as const),
  )
  await check200(t, requests)
})

t.test(
  'whoever is enrolled with typings that are possible, any such is compared with them',
  TIMEOUT,
  async (t) => {
    const attempts = fc.array(
      anyTyping().map((keystrokes) => ({ keystrokes })),
      { minLength: 3, maxLength: 3 },
    )
    const property = fc.asyncProperty(attempts, attempts, async (enrolled, asked) => {
      const of = async (method: 'POST' | 'DELETE', url: string, payload?: object) => {
        const { statusCode, body } = await app.inject({ method, url, ...(payload && { payload }) })
        // Nobody is known by what was made of their own typings.
        const isReplay = statusCode === 409 && JSON.parse(body).code === 'KSR_REPLAYED'
        if (isReplay || (statusCode < 300 && (body === '' || !oddNumber(JSON.parse(body))))) return
        throw new Error(`${statusCode} ${body} to ${url} ${JSON.stringify([enrolled, asked])}`)
      }
      await of('POST', '/texts/motto/users/odd/samples', { attempts: enrolled })
      await of('POST', '/texts/motto/identify?top=5', { attempts: asked })
      for (const user of ['anna', 'odd']) {
        const { statusCode } = await app.inject(`/texts/motto/users/${user}`)
        if (statusCode === 200) await of('POST', '/texts/motto/verify', { user, attempts: asked })
      }
      await app.inject({ method: 'DELETE', url: '/texts/motto/users/odd' })
    })
    await holds(t, 200, property)
  },
)

t.test('any summary that is possible is answered with finite numbers by every model', TIMEOUT, async (t) => {
  const most = 3.4028234663852886e38
  const size = (min: number) =>
    fc.oneof(
      fc.double({ min, max: most, noNaN: true }),
      fc.double({ min: min && -2000, max: 2000, noNaN: true }),
    )
  const times = (min: number) => fc.record({ Mean: size(min), STD: size(0) })
  const summaries = fc.record({ HT: times(0), PPT: times(-most), RRT: times(-most), RPT: times(-most) })
  const eight = fc.constantFrom(
    ...app.models.cards.filter((card) => card.accepts.includes('summary')).map(({ name }) => name),
  )
  const requests = fc.tuple(eight, summaries).map(([name, body]) => [`/predict/${name}?top=5`, body] as const)
  await check200(t, requests)
})

async function check200(t: Test, requests: fc.Arbitrary<readonly [string, object]>) {
  const property = fc.asyncProperty(requests, async ([url, body]) => {
    const { statusCode, body: answered } = await app.inject({ method: 'POST', url, payload: body })
    if (statusCode === 200 && !oddNumber(JSON.parse(answered))) return
    throw new Error(`${statusCode} ${answered} to ${url} ${JSON.stringify(body)}`)
  })
  await holds(t, 1000, property)
}
