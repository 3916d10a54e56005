// Enrols so many made-up people for a text each, in a folder: node fill.mjs FOLDER USERS...
import { buildApp } from '../../dist/app.js'
import { loadConfig } from '../../dist/config.js'
import { timesOf } from '../../dist/keystroke/times.js'
import { randomness, typist } from './typists.mjs'

const KEYS = 13
const SAMPLES = 5
const AT_ONCE = 64

const [folder, ...users] = process.argv.slice(2)
const app = buildApp(loadConfig({ LOG_LEVEL: 'silent', DATA_DIR: folder, MAX_ENROLLED: '100000' }))
await app.ready()
const enrolment = await app.enrolment()
const nothing = () => {}
for (const count of users.map(Number)) {
  const { text } = await enrolment.putText('', `text-${count}`, { keys: KEYS }, nothing)
  const random = randomness(count)
  let next = 0
  const enrol = async () => {
    for (let user = next++; user < count; user = next++) {
      const types = typist(random)
      const typings = Array.from({ length: SAMPLES }, () => {
        const { keystrokes } = types()
        return { keystrokes, times: timesOf(keystrokes, KEYS), at: '' }
      })
      await enrolment.enrol(text, `user-${user}`, typings, nothing)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, enrol))
}
await app.close()
