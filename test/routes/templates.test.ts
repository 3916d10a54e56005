import t from 'tap'
import { person } from '../fixtures/people.js'
import { isProblem, service } from '../fixtures/texts.js'

const ENROLMENT_KEYS = `2025:${'a1'.repeat(32)}`

t.test('templates of a text are taken out in pages, and put in elsewhere', async (t) => {
  const from = await service(t, { ENROLMENT_KEYS })
  const [type] = await from.enrolled(3)
  const first = await from.ask('GET', '/login/templates?limit=2')
  t.equal(first.statusCode, 200)
  const archive = first.json()
  t.match(archive, {
    format: 1,
    keys: 13,
    users: [{ user: 'u0', sealed: /^[A-Za-z0-9+/]+=*$/ }, { user: 'u1' }],
    sha256: /^[0-9a-f]{64}$/,
  })
  const rest = (await from.ask('GET', `/login/templates?limit=2&after=${archive.next}`)).json()
  t.match(rest.users, [{ user: 'u2' }])
  t.notOk('next' in rest)

  const to = await service(t, { ENROLMENT_KEYS })
  await to.ask('PUT', '/copy', { keys: 13 })
  const put = (payload: object) => to.ask('POST', '/copy/templates', payload)
  const imported = await put(archive)
  t.same([imported.statusCode, imported.json()], [200, { imported: 2, kept: [] }])
  t.same((await put(rest)).json(), { imported: 1, kept: [] })
  t.same((await put(archive)).json(), { imported: 0, kept: ['u0', 'u1'] })
  t.match((await to.ask('POST', '/copy/verify', { user: 'u0', keystrokes: type() })).json(), { match: true })
  const [here, there] = [await from.ask('GET', '/login/users/u0'), await to.ask('GET', '/copy/users/u0')]
  t.same(there.json().samples, here.json().samples)
  t.not(there.json().id, here.json().id)
})

t.test('an archive that is not right is refused with its place, and nobody of it is enrolled', async (t) => {
  const { ask, enrolled } = await service(t)
  await enrolled(2)
  const archive = (await ask('GET', '/login/templates')).json()
  await ask('PUT', '/copy', { keys: 13 })
  await ask('PUT', '/short', { keys: 12 })
  for (const [text, payload, status, code, pointer] of [
    ['copy', { ...archive, sha256: '0'.repeat(64) }, 422, 'KSR_ARCHIVE', '/sha256'],
    ['copy', { ...archive, users: archive.users.slice(1) }, 422, 'KSR_ARCHIVE', '/sha256'],
    ['short', archive, 422, 'KSR_ARCHIVE', '/keys'],
    ['copy', { ...archive, format: 2 }, 400, 'KSR_INVALID_REQUEST', '/format'],
    [
      'copy',
      { ...archive, users: [{ user: 'u0', sealed: '?' }] },
      400,
      'KSR_INVALID_REQUEST',
      '/users/0/sealed',
    ],
    ['copy', { ...archive, more: 1 }, 400, 'KSR_INVALID_REQUEST', '/more'],
  ] as const) {
    isProblem(t, await ask('POST', `/${text}/templates`, payload), status, code, pointer)
  }
  t.same((await ask('GET', '/copy/users')).json(), { users: [] })
  const other = await service(t)
  await other.ask('PUT', '/copy', { keys: 13 })
  isProblem(
    t,
    await other.ask('POST', '/copy/templates', archive),
    422,
    'KSR_ARCHIVE',
    '/users/0/sealed',
    'by another key',
  )
})

t.test('users are put in once, however often that is sent, and only as many as may be', async (t) => {
  const { ask, enrolled } = await service(t, { MAX_ENROLLED: '2' })
  await enrolled(2)
  const archive = (await ask('GET', '/login/templates')).json()
  await ask('PUT', '/copy', { keys: 13 })
  const put = () => ask('POST', '/copy/templates', archive, { 'idempotency-key': 'import-1' })
  t.same((await put()).json(), { imported: 2, kept: [] })
  t.same((await put()).json(), { imported: 2, kept: [] })
  await ask('DELETE', '/copy/users/u0')
  await ask('POST', '/copy/users/other/samples', { keystrokes: person(9)() })
  isProblem(t, await ask('POST', '/copy/templates', archive), 409, 'KSR_LIMIT')
})
