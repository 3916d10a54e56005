import { AsyncLocalStorage } from 'node:async_hooks'
import awsLambdaFastify from '@fastify/aws-lambda'
import type { Context } from 'aws-lambda'
import { buildApp } from './app.js'
import { loadConfig } from './config.js'
import { coded } from './errors.js'
import { eventUrl } from './path.js'
import { isGatewayEvent } from './schemas/event.js'
import { NamedAttempts, NamedSummary, NamedTyping } from './schemas/sample.js'

const PREDICTION_FIELDS = [NamedSummary, NamedTyping, NamedAttempts].flatMap(({ properties }) =>
  Object.keys(properties),
)

const NO_QUERY = { queryStringParameters: null, multiValueQueryStringParameters: null }

const config = loadConfig()
const requestId = new AsyncLocalStorage<string>()
const app = buildApp(config, { requestId: () => requestId.getStore() as string })
const answerGateway = awsLambdaFastify(app, {
  albMultiValueHeaders: true,
  binaryMimeTypes: ['image/png'],
  callbackWaitsForEmptyEventLoop: false,
  decorateRequest: false,
  retainStage: true,
})
// Before Lambda hands out requests: none of them pays for loading.
await app.ready()

/**
 * Answers the event of a gateway in the gateway's form, and a prediction body that the function was invoked with
 * as POST /predict answers it.
 * @throws KSR_UNKNOWN_EVENT for any other event, which fails the invocation
 */
export function handler(event: unknown, context: Context): Promise<unknown> {
  return requestId.run(context.awsRequestId, async () => {
    try {
      if (isGatewayEvent(event)) {
        // The wrapper would put the URL together otherwise: it decodes twice, and fails where that can't be done.
        return await answerGateway({ ...event, ...NO_QUERY, path: eventUrl(event, config) }, context)
      }
      if (PREDICTION_FIELDS.some((name) => Object.hasOwn(Object(event), name))) {
        const headers = { 'content-type': 'application/json' }
        return (
          await app.inject({ method: 'POST', url: '/predict', headers, payload: written(event) })
        ).json()
      }
      throw coded('KSR_UNKNOWN_EVENT')
    } finally {
      // Lambda stops the process once this returns.
      app.metrics.flush()
      await app.flushTraces()
    }
  })
}

/** @throws KSR_UNKNOWN_EVENT where it is nested deeper than can be written, as no prediction body is */
function written(event: unknown): string {
  try {
    return JSON.stringify(event)
  } catch {
    throw coded('KSR_UNKNOWN_EVENT')
  }
}
