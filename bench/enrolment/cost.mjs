// The CPU of one identification and of one verification, µs, by the number of users: node cost.mjs FOLDER USERS...
import { buildApp } from '../../dist/app.js'
import { loadConfig } from '../../dist/config.js'
import { timingsRow } from '../../dist/keystroke/features.js'
import { timesOf } from '../../dist/keystroke/times.js'
import { randomness, typist } from './typists.mjs'

const KEYS = 13
const MS = 400

const [folder, ...users] = process.argv.slice(2)
const app = buildApp(loadConfig({ LOG_LEVEL: 'silent', DATA_DIR: folder }))
await app.ready()
const enrolment = await app.enrolment()
const { recogniser } = enrolment
const random = randomness(1)
// Nobody who is enrolled: who is recognised can't send the same again. Of many users somebody is like one of them.
const typings = Array.from({ length: 64 }, () => typist(random)())
const typed = typings.map(({ keystrokes }) => ({ keystrokes, times: timesOf(keystrokes, KEYS), at: '' }))
const rows = typed.map(({ times }) => timingsRow(times))
const best = app.models.get('best')

const found = []
for (const count of users.map(Number)) {
  const text = await enrolment.text('', `text-${count}`)
  const identify = (i) => recogniser.identify(text, [typed[i % typed.length]], {}).catch(unlessReplayed)
  const verify = (i) =>
    recogniser.verify(text, `user-${i % count}`, [typed[i % typed.length]], {}, []).catch(unlessReplayed)
  const before = performance.now()
  await identify(0)
  const loadMs = performance.now() - before
  found.push({ users: count, loadMs, identify: await micros(identify), verify: await micros(verify) })
}
const stateless = await micros((i) => best.identify([rows[i % rows.length]]))
process.send({ found, stateless })
await app.close()

/** One after the other. */
async function micros(run) {
  for (let i = 0; i < 50; i++) await run(i)
  const start = process.cpuUsage()
  const end = performance.now() + MS
  let runs = 0
  for (; performance.now() < end || runs < 20; runs++) await run(runs)
  const { user, system } = process.cpuUsage(start)
  return (user + system) / runs
}

function unlessReplayed(error) {
  if (error.code !== 'KSR_REPLAYED') throw error
}
