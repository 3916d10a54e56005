// From nothing to the first answer among so many users, ms: node start.mjs FOLDER USERS
import { randomness, typist } from './typists.mjs'

const [folder, users] = process.argv.slice(2)
const { buildApp } = await import('../../dist/app.js')
const { loadConfig } = await import('../../dist/config.js')
const app = buildApp(loadConfig({ LOG_LEVEL: 'silent', DATA_DIR: folder }))
await app.ready()
const readyMs = performance.now()
const payload = typist(randomness(1))()
const answer = await app.inject({ method: 'POST', url: `/texts/text-${users}/identify`, payload })
if (answer.statusCode !== 200) throw new Error(answer.body)
// Since the process began.
process.send({ readyMs, answeredMs: performance.now() })
await app.close()
