// Invokes the Lambda handler, as often as its argument says, for each model named after it; prints CPU µs of an invocation.
import { readFileSync } from 'node:fs'

process.env.AWS_LAMBDA_FUNCTION_NAME = 'keystroke_based_user_recognition'
const { handler } = await import('../../dist/lambda.js')

const [times, ...models] = process.argv.slice(2)
const file = new URL('../../test/fixtures/events/http-v2-console-trigger.json', import.meta.url)
const event = JSON.parse(readFileSync(file, 'utf8'))
const rounds = 5

for (const model of models) {
  const body = event.body.replace(/("Model": )"\w+"/, `$1"${model.toUpperCase()}"`)
  const asked = { ...event, body, headers: { ...event.headers, 'content-length': String(body.length) } }
  const found = []
  for (let round = 0; round <= rounds; round++) {
    const before = process.cpuUsage()
    for (let i = 0; i < Number(times); i++) {
      const { statusCode, body: answer } = await handler(asked, { awsRequestId: `${i}` })
      if (statusCode !== 200 || !answer.includes(`"${model}"`)) throw new Error(`${model}: ${answer}`)
    }
    const { user, system } = process.cpuUsage(before)
    // The first is what the code warms up with.
    if (round > 0) found.push((user + system) / Number(times))
  }
  process.send({ model, micros: found.toSorted((a, b) => a - b)[rounds >> 1] })
}
process.disconnect()
