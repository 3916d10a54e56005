import t from 'tap'
import { Claims, PAUSE_MS } from '../../src/access/claims.js'

function at(most: number) {
  const clock = { now: 0 }
  const claims = new Claims({ most, now: () => clock.now })
  const claim = (user: string, match: boolean) => claims.decide([user], async () => ({ match }))
  return { clock, claims, claim }
}
const PAUSED = { code: 'KSR_CLAIMS_PAUSED', statusCode: 429 }

t.test('after so many false claims in a row a user can not be claimed for 30 s', async (t) => {
  const { clock, claim } = at(5)
  for (let i = 0; i < 5; i++) t.same(await claim('anna', false), { match: false })
  await t.rejects(claim('anna', true), { ...PAUSED, retryAfter: 30 })
  t.same(await claim('ben', true), { match: true }, 'others can')
  clock.now = PAUSE_MS - 500
  await t.rejects(claim('anna', true), { ...PAUSED, retryAfter: 1 })
  clock.now = PAUSE_MS
  t.same(await claim('anna', false), { match: false })
  await t.rejects(claim('anna', false), PAUSED, 'one more failure, one more pause')
  clock.now = 2 * PAUSE_MS
  t.same(await claim('anna', true), { match: true })
  for (let i = 0; i < 5; i++) t.same(await claim('anna', false), { match: false }, 'counted from the start')
})

t.test('a true claim ends the row', async (t) => {
  const { claim } = at(2)
  for (let i = 0; i < 3; i++) {
    t.same(await claim('anna', false), { match: false })
    t.same(await claim('anna', true), { match: true })
  }
})

t.test('of many claims at once no more are heard', async (t) => {
  const { claim } = at(5)
  const answers = await Promise.allSettled(Array.from({ length: 50 }, () => claim('anna', false)))
  t.equal(answers.filter(({ status }) => status === 'fulfilled').length, 5)
})

t.test('a claim that could not be decided is none', async (t) => {
  const { clock, claims, claim } = at(1)
  const fail = () => claims.decide(['anna'], () => Promise.reject(new Error('no such user')))
  for (let i = 0; i < 3; i++) await t.rejects(fail(), { message: 'no such user' })
  await claim('anna', false)
  clock.now = PAUSE_MS
  await t.rejects(fail(), { message: 'no such user' })
  t.same(await claim('anna', false), { match: false }, 'nor does it make the pause longer')
})

t.test('with 0 there is no pause', async (t) => {
  const { claim } = at(0)
  for (let i = 0; i < 100; i++) t.same(await claim('anna', false), { match: false })
})

t.test('users and callers are told apart whatever they are called', async (t) => {
  const { claims } = at(1)
  const claim = (...claimed: (string | number)[]) => claims.decide(claimed, async () => ({ match: false }))
  await claim('key a', 84)
  await claim('key a', '84')
  await claim('key b', 84)
  await t.rejects(claim('key a', 84), PAUSED)
})

t.test('the failures of no more than 100,000 users are remembered, the latest', async (t) => {
  const { claim } = at(1)
  for (let i = 0; i <= 100_000; i++) await claim(String(i), false)
  await t.rejects(claim('100000', false), PAUSED)
  t.same(await claim('0', false), { match: false })
})
