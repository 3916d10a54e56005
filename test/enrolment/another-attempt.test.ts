import t, { type Test } from 'tap'
import { build, postTo } from '../fixtures/build.js'
import { unsettledModels } from '../fixtures/models.js'
import { ANNA, typingsOf } from '../fixtures/typist.js'

const KEYS = 13

/** A text for which anna is enrolled, and what is asked about it; one attempt never settles an answer. */
async function enrolled(t: Test) {
  const app = build(t, { MODEL_DIR: unsettledModels(t), DATA_DIR: `${t.testdir()}/data` })
  const post = postTo(app)
  await app.inject({ method: 'PUT', url: '/texts/phrase', payload: { keys: KEYS, prior: 'general' } })
  const anna = typingsOf(ANNA, 1)
  const typing = () => ({ keystrokes: anna(KEYS) })
  await post('/texts/phrase/users/anna/samples', { attempts: Array.from({ length: 5 }, typing) })
  return { post, typing }
}

for (const [route, claim] of [
  ['identify', {}],
  ['verify', { user: 'anna' }],
] as const) {
  t.test(`${route}: the attempt that was not enough comes again with another one`, async (t) => {
    const { post, typing } = await enrolled(t)
    const ask = (sample: object) => post(`/texts/phrase/${route}`, { ...claim, ...sample })
    const first = typing()
    const one = await ask(first)
    t.equal(one.statusCode, 200)
    t.match(one.json(), { user: 'anna', anotherAttemptHelps: true })

    const alone = await ask(first)
    t.equal(alone.json().code, 'KSR_REPLAYED', 'but not alone')
    const last = await ask({ attempts: [typing(), first] })
    t.equal(last.json().code, 'KSR_REPLAYED', 'nor behind another')
    t.match(last.json().errors, [{ pointer: '/attempts/1' }])

    const second = typing()
    const both = await ask({ attempts: [first, second] })
    t.equal(both.statusCode, 200)
    t.match(both.json(), { user: 'anna', attempts: 2, anotherAttemptHelps: false })

    for (const again of [first, second]) {
      const replay = await ask({ attempts: [again, typing()] })
      t.equal(replay.json().code, 'KSR_REPLAYED', 'and once it is settled neither comes again')
      t.match(replay.json().errors, [{ pointer: '/attempts/0' }])
    }
  })
}
