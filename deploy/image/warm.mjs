// Answers what a new process is most often asked, and keeps what V8 compiled of the code for that: run once, on the
// Node that will serve, when an image is made. Fails if an answer or the code is not as it should be.
import { equal } from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

process.env.LOG_LEVEL = 'warn'
const { handler } = await import('./lambda.js')
const { keepCode } = await import('./load.cjs')

const headers = { 'content-type': 'application/json' }

async function ask(expected, httpMethod, path, sent, queryStringParameters) {
  const body = sent && JSON.stringify(sent)
  const event = { httpMethod, path, queryStringParameters, headers, body, requestContext: {} }
  const answer = await handler(event, { awsRequestId: 'warm' })
  equal(answer.statusCode, expected, `${httpMethod} ${path}: ${answer.body}`)
  return JSON.parse(answer.body)
}

const times = { Mean: 100, STD: 10 }
const summary = { HT: times, PPT: times, RRT: times, RPT: times }
await ask(200, 'GET', '/')
await ask(200, 'GET', '/health')
for (const { name, href } of (await ask(200, 'GET', '/models')).models) {
  const { accepts, keys } = await ask(200, 'GET', href)
  const keystrokes = Array.from({ length: keys }, (_, i) => ({ press: 150 * i, release: 150 * i + 90 }))
  const bodies = { summary, keystrokes: { keystrokes }, attempts: { attempts: [{ keystrokes }] } }
  for (const body of accepts.map((kind) => bodies[kind])) {
    const { user } = await ask(200, 'POST', `/predict/${name}`, body)
    await ask(200, 'POST', `/predict/${name}`, body, { top: '5' })
    await ask(200, 'POST', '/predict', { Model: name, ...body })
    if (accepts.includes('attempts')) await ask(200, 'POST', `/verify/${name}`, { user, ...body })
  }
  await ask(400, 'POST', `/predict/${name}`, {})
}
keepCode()

const load = JSON.stringify(join(import.meta.dirname, 'load.cjs'))
const cold = `process.exit(Number(require(${load}).cold))`
execFileSync(process.execPath, ['--eval', cold])
