// Answers what a new process is most often asked, and keeps what V8 compiled of the code for that: run once, on the
// Node that will serve, when an image is made. Fails if an answer or the code is not as it should be.
import { equal } from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

process.env.LOG_LEVEL = 'warn'
const { handler } = await import('./lambda.js')
const { keepCode } = await import('./load.cjs')

const headers = { 'content-type': 'application/json' }

async function ask(expected, httpMethod, path, sent) {
  const event = { httpMethod, path, headers, requestContext: {}, ...(sent && { body: JSON.stringify(sent) }) }
  const { statusCode, body } = await handler(event, { awsRequestId: 'warm' })
  equal(statusCode, expected, `${httpMethod} ${path}: ${body}`)
  return JSON.parse(body)
}

const times = { Mean: 100, STD: 10 }
const sample = { HT: times, PPT: times, RRT: times, RPT: times }
await ask(200, 'GET', '/')
await ask(200, 'GET', '/health')
for (const { name, href } of (await ask(200, 'GET', '/models')).models) {
  await ask(200, 'GET', href)
  await ask(200, 'POST', `/predict/${name}`, sample)
  await ask(200, 'POST', `/predict/${name}?top=5`, sample)
  await ask(200, 'POST', '/predict', { Model: name, ...sample })
  await ask(400, 'POST', `/predict/${name}`, {})
}
keepCode()

const load = JSON.stringify(join(import.meta.dirname, 'load.cjs'))
const cold = `process.exit(Number(require(${load}).cold))`
execFileSync(process.execPath, ['--eval', cold])
