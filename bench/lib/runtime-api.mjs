// What Lambda is to a runtime: an HTTP server that hands out events and takes the answers.
import { createServer } from 'node:http'

const DEADLINE_MS = 30_000
const ARN = 'arn:aws:lambda:us-east-1:123456789012:function:keystroke_based_user_recognition'
const PATHS = /^\/2018-06-01\/runtime\/(invocation|init)\/([^/]+)(?:\/(\w+))?$/

/**
 * @returns the address for AWS_LAMBDA_RUNTIME_API; `invoke(event)`, which resolves when the answer has arrived and
 * rejects when the runtime reports an error instead; `readyAt`, when the runtime first asked for an event; `close`
 */
export async function startRuntimeApi() {
  let asking
  let invocation
  let count = 0
  let fail
  const failed = new Promise((_resolve, reject) => {
    fail = reject
  })
  failed.catch(() => {})

  const server = createServer(async (request, response) => {
    const body = (await request.setEncoding('utf8').toArray()).join('')
    const at = performance.now()
    const [, kind, id, what] = PATHS.exec(request.url) ?? []
    if (kind === 'invocation' && id === 'next') {
      api.readyAt ??= at
      asking = response
      handOut()
    } else if (kind === 'invocation' && what === 'response' && id === invocation?.id) {
      const acknowledge = () => response.writeHead(202).end('{"status":"OK"}')
      invocation.resolve({ at, body, acknowledge })
      invocation = undefined
    } else {
      // An error of the start or of an invocation, or what no runtime should send.
      fail(new Error(`the runtime sent ${request.method} ${request.url}: ${body}`))
      response.writeHead(202).end()
    }
  })

  function handOut() {
    if (!asking || !invocation) return
    asking.writeHead(200, {
      'Content-Type': 'application/json',
      'Lambda-Runtime-Aws-Request-Id': invocation.id,
      'Lambda-Runtime-Deadline-Ms': Date.now() + DEADLINE_MS,
      'Lambda-Runtime-Invoked-Function-Arn': ARN,
    })
    asking.end(invocation.event)
    asking = undefined
  }

  function invoke(event) {
    const answered = new Promise((resolve) => {
      invocation = { id: `00000000-0000-4000-8000-${String(++count).padStart(12, '0')}`, event, resolve }
    })
    handOut()
    return Promise.race([answered, failed])
  }

  function close() {
    server.closeAllConnections()
    server.close()
  }

  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const api = { address: `127.0.0.1:${server.address().port}`, readyAt: undefined, invoke, close }
  return api
}
