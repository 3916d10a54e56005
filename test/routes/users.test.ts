import t from 'tap'
import { jittered, person, times } from '../fixtures/people.js'
import { isProblem, service } from '../fixtures/texts.js'

const typing = (type: () => object[]) => ({ keystrokes: type() })

t.test('a user is enrolled typing by typing, until there are enough', async (t) => {
  const { ask } = await service(t)
  await ask('PUT', '/login', { keys: 13 })
  const type = person(1)
  for (const [samples, enough, needed, state] of [
    [1, false, 2, 'collecting'],
    [2, false, 1, 'collecting'],
    [3, true, 0, 'ready'],
  ] as const) {
    const answer = await ask('POST', '/login/users/anna/samples', typing(type))
    t.equal(answer.statusCode, 201)
    t.match(answer.headers, { etag: /^"\w+"$/, location: '/texts/login/users/anna' })
    const { added, errorRates, ...rest } = answer.json()
    t.same(rest, { user: 'anna', samples, enough, needed, state, quality: [] })
    t.equal(added.length, 1)
    t.match(errorRates[0], { samples: 3, eer: Number, fnmr: Number })
  }
  const both = (
    await ask('POST', '/login/users/anna/samples', { attempts: [typing(type), typing(type)] })
  ).json()
  t.match(both, { samples: 5, enough: true })
  t.equal(both.added.length, 2)
})

t.test('what is odd about a typing is said, and it is kept', async (t) => {
  const { ask } = await service(t)
  await ask('PUT', '/login', { keys: 13 })
  const even = times(13, (i) => ({ press: 200 * i, release: 200 * i + 90 }))
  const answer = await ask('POST', '/login/users/anna/samples', { keystrokes: even })
  t.equal(answer.statusCode, 201)
  t.ok(answer.json().quality.includes('too-regular'))
})

t.test('a user’s id may have what addresses have, and is escaped where it is a path', async (t) => {
  const { ask } = await service(t)
  await ask('PUT', '/login', { keys: 13 })
  const answer = await ask('POST', '/login/users/a+b@example.org:1/samples', typing(person(1)))
  t.equal(answer.json().user, 'a+b@example.org:1')
  t.equal(answer.headers.location, '/texts/login/users/a%2Bb%40example.org%3A1')
  t.equal(
    (await ask('GET', String(answer.headers.location).slice('/texts'.length))).json().user,
    'a+b@example.org:1',
  )
  for (const user of ['-a', 'a%20b', 'a%2Fb', 'a'.repeat(65)]) {
    isProblem(t, await ask('GET', `/login/users/${user}`), 400, 'KSR_INVALID_REQUEST', '/params/user', user)
  }
})

t.test('a user is described without any time', async (t) => {
  const { ask, enrolled } = await service(t, { RETENTION_DAYS: '30' })
  const [type] = await enrolled(1, { samples: 3 })
  const answer = await ask('GET', '/login/users/u0')
  t.equal(answer.statusCode, 200)
  const { samples, ...rest } = answer.json()
  t.match(rest, {
    user: 'u0',
    id: /^[0-9a-f-]{36}$/,
    state: 'ready',
    needed: 0,
    created: /^2/,
    updated: /^2/,
    expires: /^2/,
  })
  t.same(Object.keys(rest).sort(), [
    'created',
    'errorRates',
    'expires',
    'id',
    'needed',
    'state',
    'updated',
    'user',
  ])
  t.equal(samples.length, 3)
  for (const sample of samples) {
    t.same(Object.keys(sample).sort(), ['at', 'id', 'source'])
    t.equal(sample.source, 'enrolled')
  }
  const etag = String(answer.headers.etag)
  const unchanged = await ask('GET', '/login/users/u0', undefined, { 'if-none-match': etag })
  t.same([unchanged.statusCode, unchanged.body, unchanged.headers.etag], [304, '', etag])
  await ask('POST', '/login/users/u0/samples', typing(type))
  const changed = await ask('GET', '/login/users/u0', undefined, { 'if-none-match': etag })
  t.equal(changed.statusCode, 200)
  t.not(changed.headers.etag, etag)
  isProblem(t, await ask('GET', '/login/users/ben'), 404, 'KSR_NOT_ENROLLED')
})

t.test('users are listed in pages, in the order of their ids', async (t) => {
  const { ask, enrolled } = await service(t)
  await enrolled(3, { keys: 5, samples: 1 })
  await ask('POST', '/login/users/U9/samples', typing(person(9, 5)))
  const first = (await ask('GET', '/login/users?limit=3')).json()
  t.same(
    first.users.map(({ user }: { user: string }) => user),
    ['U9', 'u0', 'u1'],
  )
  t.match(first.users[1], { user: 'u0', state: 'collecting', samples: 1, updated: /^2/ })
  const second = (await ask('GET', `/login/users?limit=3&after=${first.next}`)).json()
  t.same(
    second.users.map(({ user }: { user: string }) => user),
    ['u2'],
  )
  t.notOk('next' in second)
  t.same((await ask('GET', '/login/users?after=~eg')).json(), { users: [] }, 'behind all of them')
})

t.test('a user is changed and deleted only as their caller knows them', async (t) => {
  const { ask } = await service(t)
  await ask('PUT', '/login', { keys: 13 })
  const type = person(1)
  const enrol = (headers: Record<string, string>) =>
    ask('POST', '/login/users/anna/samples', typing(type), headers)
  isProblem(t, await enrol({ 'if-match': '*' }), 412, 'KSR_PRECONDITION_FAILED')
  const made = await enrol({ 'if-none-match': '*' })
  t.equal(made.statusCode, 201)
  isProblem(t, await enrol({ 'if-none-match': '*' }), 412, 'KSR_PRECONDITION_FAILED')
  const old = { 'if-match': String(made.headers.etag) }
  const next = await enrol(old)
  t.equal(next.statusCode, 201)
  isProblem(t, await enrol(old), 412, 'KSR_PRECONDITION_FAILED')
  const [sample] = made.json().added
  isProblem(
    t,
    await ask('DELETE', `/login/users/anna/samples/${sample}`, undefined, old),
    412,
    'KSR_PRECONDITION_FAILED',
  )
  isProblem(t, await ask('DELETE', '/login/users/anna', undefined, old), 412, 'KSR_PRECONDITION_FAILED')
  const current = { 'if-match': String(next.headers.etag) }
  const forgotten = await ask('DELETE', `/login/users/anna/samples/${sample}`, undefined, current)
  t.same([forgotten.statusCode, forgotten.body], [204, ''])
  t.equal((await ask('GET', '/login/users/anna')).json().samples.length, 1)
  isProblem(t, await ask('DELETE', `/login/users/anna/samples/${sample}`), 404, 'KSR_SAMPLE_NOT_FOUND')
  isProblem(
    t,
    await ask('DELETE', '/login/users/anna/samples/1'),
    400,
    'KSR_INVALID_REQUEST',
    '/params/sample',
  )
  t.equal((await ask('DELETE', '/login/users/anna')).statusCode, 204)
  isProblem(t, await ask('DELETE', '/login/users/anna'), 404, 'KSR_NOT_ENROLLED')
})

t.test('a write that is sent again is done once', async (t) => {
  const { ask } = await service(t)
  await ask('PUT', '/login', { keys: 13 })
  const body = typing(person(1))
  const enrol = () => ask('POST', '/login/users/anna/samples', body, { 'idempotency-key': '"a-1"' })
  const [first, again] = [await enrol(), await enrol()]
  t.same([again.statusCode, again.json(), again.headers.etag], [201, first.json(), first.headers.etag])
  t.equal((await ask('GET', '/login/users/anna')).json().samples.length, 1)
  const [sample] = first.json().added
  for (const url of [`/login/users/anna/samples/${sample}`, '/login/users/anna']) {
    const drop = () => ask('DELETE', url, undefined, { 'idempotency-key': url })
    t.same([(await drop()).statusCode, (await drop()).statusCode], [204, 204])
  }
})

t.test('typings that can not be, or were sent before, are refused with their place', async (t) => {
  const { ask } = await service(t)
  await ask('PUT', '/login', { keys: 13 })
  const type = person(1)
  const [one, two] = [type(), type()]
  const [, { press }] = one as [object, { press: number }]
  const turned = one.with(1, { press, release: press - 5 })
  for (const [body, status, code, pointer] of [
    [{}, 400, 'KSR_INVALID_REQUEST', '/keystrokes'],
    [{ keystrokes: one, extra: 1 }, 400, 'KSR_INVALID_REQUEST', '/extra'],
    [{ attempts: [] }, 400, 'KSR_INVALID_REQUEST', '/attempts'],
    [{ attempts: times(9, () => ({ keystrokes: one })) }, 400, 'KSR_INVALID_REQUEST', '/attempts'],
    [{ keystrokes: [{ press: 'x', release: 1 }] }, 400, 'KSR_INVALID_REQUEST', '/keystrokes/0/press'],
    [{ keystrokes: one.slice(1) }, 422, 'KSR_KEYSTROKE_COUNT', '/keystrokes/12'],
    [
      { attempts: [{ keystrokes: one }, { keystrokes: turned }] },
      422,
      'KSR_RELEASE_BEFORE_PRESS',
      '/attempts/1/keystrokes/1/release',
    ],
    [{ keystrokes: one.toReversed() }, 422, 'KSR_PRESS_ORDER', '/keystrokes/1/press'],
    [
      { attempts: [{ keystrokes: two }, { keystrokes: jittered(two, 3) }] },
      409,
      'KSR_REPLAYED',
      '/attempts/1',
    ],
  ] as const) {
    isProblem(t, await ask('POST', '/login/users/anna/samples', body), status, code, pointer)
  }
  isProblem(t, await ask('GET', '/login/users/anna'), 404, 'KSR_NOT_ENROLLED')
})

t.test('of a user and of a text there is only so much', async (t) => {
  const { ask } = await service(t, { MAX_ENROLLED: '2' })
  await ask('PUT', '/login', { keys: 13 })
  const type = person(1)
  const enrol = (user: string, count: number) =>
    ask('POST', `/login/users/${user}/samples`, { attempts: times(count, () => typing(type)) })
  for (const count of [8, 8, 4]) t.equal((await enrol('anna', count)).statusCode, 201)
  isProblem(t, await enrol('anna', 1), 409, 'KSR_LIMIT')
  await enrol('ben', 1)
  isProblem(t, await enrol('carl', 1), 409, 'KSR_LIMIT')
})
