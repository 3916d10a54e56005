import { createHash } from 'node:crypto'
import t, { type Test } from 'tap'
import { PAUSE_MS } from '../../src/access/claims.js'
import { loadConfig } from '../../src/config.js'
import { timingsRow } from '../../src/keystroke/features.js'
import type { Keystroke } from '../../src/schemas/sample.js'
import { TextModel } from '../../src/templates/text-model.js'
import { anyVersion, openEnrolment, openModels, typed } from '../fixtures/enrolment.js'
import { Issuer } from '../fixtures/issuer.js'
import { jittered, person, randomFrom, times } from '../fixtures/people.js'
import { isProblem, service } from '../fixtures/texts.js'

const KEYS = 13
const DEFAULTS = loadConfig({})
const hash = (key: string) => createHash('sha256').update(key).digest('hex')
const API_KEYS = `app:${hash('a')},web:${hash('b')}`
const [APP, WEB] = [{ 'x-api-key': 'a' }, { 'x-api-key': 'b' }]

t.test('whoever overheard a typing gets nowhere with it, as it was or moved a little', async (t) => {
  const { ask, enrolled } = await service(t)
  const [type] = await enrolled(1)
  const claimed = type()
  t.match((await ask('POST', '/login/verify', { user: 'u0', keystrokes: claimed })).json(), { match: true })
  const enrolledOnce = type()
  await ask('POST', '/login/users/u0/samples', { keystrokes: enrolledOnce })
  let [sent, refused] = [0, 0]
  const count = (answer: { json(): { code?: string; match?: boolean; decision?: string } }) => {
    sent++
    if (answer.json().code === 'KSR_REPLAYED') refused++
    const { match, decision } = answer.json()
    if (match === true || decision === 'known') t.fail('a replay was taken')
  }
  for (const heard of [claimed, enrolledOnce]) {
    for (const by of [0, 1, 2, 4, 5]) {
      for (const tempo of [1, 0.95, 1.05]) {
        const keystrokes = jittered(heard, by, 10 * by + sent, tempo)
        count(await ask('POST', '/login/verify', { user: 'u0', keystrokes }))
        count(await ask('POST', '/login/identify', { keystrokes }))
        if (heard === enrolledOnce) count(await ask('POST', '/login/users/u0/samples', { keystrokes }))
      }
    }
  }
  t.comment(`${refused} of ${sent} replays are refused as such, the others are no match`)
  t.ok(refused >= 0.95 * sent)
})

/** The logarithms of the 13 hold times and of the 12 press-press times. */
type Typing = readonly number[]
const START: Typing = times(2 * KEYS - 1, (i) => Math.log(i < KEYS ? 95 : 170))

function keystrokesOf(typing: Typing): Keystroke[] {
  let press = 0
  return times(KEYS, (i) => {
    if (i > 0) press += Math.exp(typing[KEYS + i - 1] as number)
    return { press, release: press + Math.exp(typing[i] as number) }
  })
}

/**
 * Changes some times at random, and goes on from what is no worse.
 * @param rate how good a typing is, or that it is good enough
 * @returns how many typings it took; Infinity where `most` were not enough
 */
async function climb(most: number, seed: number, rate: (typing: Keystroke[]) => Promise<number | 'enough'>) {
  const random = randomFrom(seed)
  const about0 = (deviation: number) => 2 * deviation * (random() + random() + random() - 1.5)
  let best = START
  let height = Number.NEGATIVE_INFINITY
  for (let asked = 1; asked <= most; asked++) {
    const change = () => (random() < 0.2 ? about0(0.25) : 0)
    const tried = asked === 1 ? START : best.map((time) => time + change())
    const rated = await rate(keystrokesOf(tried))
    if (rated === 'enough') return asked
    if (rated >= height) {
      height = rated
      best = tried
    }
  }
  return Number.POSITIVE_INFINITY
}

t.test('whoever climbs the score of claims is paused before they match', async (t) => {
  const models = await openModels(t)
  const { enrolment } = await openEnrolment(t, { models })
  const { text } = await enrolment.putText('', 'login', { keys: KEYS }, anyVersion)
  const model = new TextModel(models, KEYS, 'shipped')
  const victims = times(8, (i) => person(i + 1))
  const asked: Record<'fine' | 'coarse' | 'match', number[]> = { fine: [], coarse: [], match: [] }
  const MOST = 600
  for (const [i, type] of victims.entries()) {
    const user = `u${i}`
    const { value } = (await enrolment.enrol(text, user, typed(...times(5, type)), anyVersion)).user
    const template = model.template(value.samples.map(({ row }) => row))
    const same = await model.sameUser(template)
    const { threshold } = model.verificationPoint(model.pointOf(5, 1), 0.01)
    const claim = (keystrokes: Keystroke[]) =>
      enrolment.recogniser.verify(text, user, typed(keystrokes), {}, [])
    asked.fine.push(
      await climb(MOST, i, async (keystrokes) => {
        const rows = typed(keystrokes).map(({ times }) => timingsRow(times))
        const statistic = await model.compare({ template, same }, rows)
        return statistic >= threshold ? 'enough' : statistic
      }),
    )
    asked.coarse.push(
      await climb(MOST, i, async (keystrokes) => {
        const { match, score } = await claim(keystrokes)
        return match ? 'enough' : score
      }),
    )
    // Nothing to climb: each change is as good as any.
    const random = randomFrom(i)
    asked.match.push(
      await climb(MOST, i, async () => {
        const guess = START.map((time) => time + 1.2 * (random() + random() + random() - 1.5))
        return (await claim(keystrokesOf(guess))).match ? 'enough' : 0
      }),
    )
  }
  for (const [oracle, typings] of Object.entries(asked)) {
    const sorted = typings.toSorted((a, b) => a - b)
    const reached = sorted.filter(Number.isFinite).length
    const median = sorted[Math.floor(sorted.length / 2)] as number
    t.comment(
      `${oracle}: ${reached} of ${sorted.length} within ${MOST} typings, ${sorted[0]} at least, median ${median}`,
    )
  }
  const { verifyFailures } = DEFAULTS
  t.ok(verifyFailures > 0 && verifyFailures <= 5)
  const least = Math.min(...asked.coarse, ...asked.match)
  t.ok(least > verifyFailures, `the fastest took ${least} typings`)
  t.comment(
    `with pauses of ${PAUSE_MS / 1000} s after ${verifyFailures} the fastest takes ${((least - verifyFailures) * PAUSE_MS) / 60_000} minutes`,
  )
  t.ok(asked.match.filter(Number.isFinite).length <= 2, 'without a score there is nothing to climb')
})

t.test('by the defaults false claims are paused, of one who climbs as of any', async (t) => {
  const { ask, enrolled } = await service(t)
  await enrolled(1)
  const statuses: number[] = []
  await climb(12, 1, async (keystrokes) => {
    const answer = await ask('POST', '/login/verify', { user: 'u0', keystrokes })
    statuses.push(answer.statusCode)
    return answer.json().score ?? 0
  })
  t.same(statuses, [
    ...times(DEFAULTS.verifyFailures, () => 200),
    ...times(12 - DEFAULTS.verifyFailures, () => 429),
  ])
})

t.test(
  'each typing that is enrolled counts for the limit of requests, and so does each user of an import',
  async (t) => {
    const { ask, enrolled } = await service(t, { RATE_LIMIT: '20' })
    // The text, two users of four typings each: nine.
    const [type] = await enrolled(2)
    const archive = await ask('GET', '/login/templates')
    t.equal(archive.headers['ratelimit-remaining'], '10')
    const imported = await ask('POST', '/login/templates', archive.json())
    t.equal(imported.headers['ratelimit-remaining'], '8')
    const batch = await ask('POST', '/login/identify/batch', {
      samples: times(5, () => ({ keystrokes: type() })),
    })
    t.equal(batch.headers['ratelimit-remaining'], '3')
    const flood = await ask('POST', '/login/users/u9/samples', {
      attempts: times(5, () => ({ keystrokes: type() })),
    })
    isProblem(t, flood, 429, 'KSR_TOO_MANY_REQUESTS')
    t.match(flood.headers['retry-after'], /^\d+$/)
  },
)

/** Everything that is asked about a text. */
const routes = (name: string, type: () => Keystroke[]) => {
  const body = { keystrokes: type() }
  const all: ['GET' | 'POST' | 'DELETE', string, object?][] = [
    ['GET', `/${name}`],
    ['GET', `/${name}/users`],
    ['GET', `/${name}/users/u0`],
    ['POST', `/${name}/users/u0/samples`, body],
    ['DELETE', `/${name}/users/u0/samples/00000000-0000-4000-8000-000000000000`],
    ['POST', `/${name}/identify?top=5`, body],
    ['POST', `/${name}/identify/batch`, { samples: [body] }],
    ['POST', `/${name}/verify`, { user: 'u0', ...body }],
    ['GET', `/${name}/templates`],
    ['POST', `/${name}/templates`, { format: 1, keys: KEYS, users: [], sha256: '0'.repeat(64) }],
    ['DELETE', `/${name}/users/u0`],
    ['DELETE', `/${name}`],
  ]
  return all
}

/** Two callers, of whom the second has nothing and finds nothing of the first. */
async function apart(
  t: Test,
  settings: NodeJS.ProcessEnv,
  one: Record<string, string>,
  other: Record<string, string>,
) {
  const { ask, enrolled } = await service(t, settings)
  const [type] = await enrolled(2, { headers: one })
  const requests = routes('login', type)
  const nowhere = routes('nowhere', type)
  for (const [i, [method, url, body]] of requests.entries()) {
    const id = { ...other, 'x-request-id': `request-${i}` }
    const there = await ask(method, url, body, id)
    const [, elsewhere, payload] = nowhere[i] as (typeof nowhere)[0]
    const missing = await ask(method, elsewhere, payload, id)
    isProblem(t, there, 404, 'KSR_TEXT_NOT_FOUND', undefined, `${method} ${url}`)
    t.equal(there.body, missing.body.replaceAll('nowhere', 'login'), 'as what is not there, byte for byte')
    const { date: _, 'content-length': __, ...headers } = there.headers
    const { date: ___, 'content-length': ____, ...others } = missing.headers
    t.same(headers, others)
  }
  t.same((await ask('GET', '', undefined, other)).json(), { texts: [] })
  t.equal((await ask('PUT', '/login', { keys: 8 }, other)).statusCode, 201, 'the name is theirs to give')
  t.match((await ask('GET', '', undefined, other)).json(), { texts: [{ text: 'login', keys: 8 }] })
  t.match((await ask('GET', '', undefined, one)).json(), { texts: [{ text: 'login', keys: KEYS }] })
  t.same((await ask('GET', '/login/users', undefined, other)).json(), { users: [] })
  await ask('DELETE', '/login', undefined, other)
  t.equal(
    (await ask('GET', '/login/users', undefined, one)).json().users.length,
    2,
    'and of the first nothing is gone',
  )
}

t.test('a caller finds nothing of another one’s, nor whether there is any', async (t) => {
  await apart(t, { API_KEYS }, APP, WEB)
})

t.test('nor does who comes with a token for another subject, or with a key of that name', async (t) => {
  for (const [one, other] of [
    ['token app', 'token web'],
    ['key', 'token app'],
    ['token key app', 'key'],
  ] as const) {
    const issuer = await Issuer.start(t)
    const headers = async (caller: string) =>
      caller === 'key' ? APP : { authorization: `Bearer ${await issuer.token({ sub: caller.slice(6) })}` }
    await apart(t, { ...issuer.settings(), API_KEYS }, await headers(one), await headers(other))
  }
})

t.test('the pauses of one caller’s users are not those of another’s', async (t) => {
  const { ask, enrolled } = await service(t, { API_KEYS, VERIFY_FAILURES: '2' })
  await enrolled(1, { headers: APP })
  const [type] = await enrolled(1, { headers: WEB })
  for (const status of [200, 200, 429]) {
    const claim = { user: 'u0', keystrokes: person(60 + status)() }
    t.equal((await ask('POST', '/login/verify', claim, APP)).statusCode, status)
  }
  t.match((await ask('POST', '/login/verify', { user: 'u0', keystrokes: type() }, WEB)).json(), {
    match: true,
  })
})
