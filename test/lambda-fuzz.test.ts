import { setTimeout as wait } from 'node:timers/promises'
import type { Context } from 'aws-lambda'
import fc from 'fast-check'
import t from 'tap'
import { changedEvent, inventedEvent } from './fixtures/event-grammar.js'
import { EVENTS } from './fixtures/events.js'
import { holds } from './fixtures/fuzzing.js'

process.env.AWS_LAMBDA_FUNCTION_NAME = 'keystroke_based_user_recognition'
process.env.LOG_LEVEL = 'silent'
const { handler } = await import('../src/lambda.js')

const WITHIN_MS = 10_000
// So many are asked at once, as no gateway would: it shows whether one can take another's answer.
const AT_ONCE = 4

interface GatewayAnswer {
  statusCode: number
  headers: Record<string, unknown>
  body: string
  isBase64Encoded: boolean
}

let count = 0
const said: unknown[][] = []
// The wrapper writes what it can't answer to the log: with all that is in it.
console.error = (...words: unknown[]) => said.push(words)

/** What is wrong with what comes of an event; undefined where nothing is. */
async function fault(event: unknown): Promise<string | undefined> {
  const awsRequestId = `request-${count++}`
  const late = new AbortController()
  const answer = handler(event, { awsRequestId } as Context)
  try {
    const outcome = await Promise.race([answer, wait(WITHIN_MS, 'late', { signal: late.signal })])
    if (outcome === 'late') return 'no answer'
    return faultOf(outcome, awsRequestId)
  } catch (error) {
    return (error as Error).name === 'KSR_UNKNOWN_EVENT' ? undefined : `threw ${(error as Error).stack}`
  } finally {
    late.abort()
  }
}

function faultOf(outcome: unknown, requestId: string): string | undefined {
  if (typeof outcome !== 'object' || outcome === null) return `answered ${outcome}`
  // A direct invocation gets the bare body.
  if (!('statusCode' in outcome)) {
    return 'prediction' in outcome ? undefined : faultOfProblem(outcome, requestId)
  }
  const { statusCode, headers, body, isBase64Encoded } = outcome as GatewayAnswer
  if (!Number.isInteger(statusCode) || statusCode < 200 || statusCode > 599) return `status ${statusCode}`
  if (statusCode >= 500) return `status ${statusCode}: ${body}`
  if (typeof body !== 'string' || typeof isBase64Encoded !== 'boolean') return `body ${typeof body}`
  if (Object.values(headers).some((value) => typeof value !== 'string')) return 'a header that is no text'
  if (statusCode < 400 || body === '') return undefined
  if (headers['content-type'] !== 'application/problem+json; charset=utf-8') return 'no problem document'
  return faultOfProblem(JSON.parse(body), requestId)
}

function faultOfProblem(problem: object, requestId: string): string | undefined {
  const { code, status, instance } = problem as { code?: unknown; status?: unknown; instance?: unknown }
  if (typeof code !== 'string' || !code.startsWith('KSR_')) return `the code ${code}`
  if (typeof status !== 'number' || status < 400 || status > 499) return `the status ${status}`
  return instance === requestId ? undefined : `the answer to ${instance}`
}

for (const [name, events] of [
  ['whatever is changed in the event of a gateway', changedEvent],
  ['whatever else the function is invoked with', inventedEvent],
] as const) {
  t.test(`${name}, it is answered in good form, or refused as unknown`, { timeout: 3_600_000 }, async (t) => {
    const batch = fc.array(events, { minLength: AT_ONCE, maxLength: AT_ONCE })
    const property = fc.asyncProperty(batch, async (events) => {
      const faults = await Promise.all(events.map(fault))
      const place = faults.findIndex((one) => one !== undefined)
      if (place >= 0) throw new Error(`${faults[place]}\nto ${JSON.stringify(events[place])}`)
      if (said.length > 0) throw new Error(`wrote ${said.splice(0)}`)
    })
    await holds(t, 3000, property, AT_ONCE)
    t.match(await handler(EVENTS.get('alb'), { awsRequestId: 'after' } as Context), { statusCode: 200 })
  })
}

t.test('what stands under a name with a line feed in it is looked at, too', async (t) => {
  for (const name of ['headers', 'multiValueHeaders', 'queryStringParameters']) {
    const odd = { 'a\nb': { toString: 1, valueOf: 1 } }
    t.equal(await fault({ ...EVENTS.get('alb'), [name]: odd }), undefined, name)
  }
})

t.test('what is nested deeper than the stack is refused like anything else', async (t) => {
  const deep = (depth: number) => JSON.parse('['.repeat(depth) + ']'.repeat(depth))
  for (const depth of [1000, 10_000, 1_000_000]) {
    t.equal(await fault({ Model: deep(depth) }), undefined, `in a body, ${depth}`)
    t.equal(await fault({ ...EVENTS.get('alb'), headers: deep(depth) }), undefined, `in headers, ${depth}`)
    t.equal(await fault({ other: deep(depth) }), undefined)
  }
})
