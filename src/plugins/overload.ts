import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { Admission } from '../admission.js'
import type { Config } from '../config.js'
import { coded } from '../errors.js'
import { rowsWaiting } from '../inference/batch.js'
import { withoutOrigin, withoutPrefix } from '../path.js'
import { MONITORED } from '../telemetry/recorder.js'
import { problemOf } from './problems.js'
import { requestIdOf } from './request-id.js'
import { SECURITY_HEADERS } from './security-headers.js'
import { everyServer, keepDoor } from './servers.js'

declare module 'fastify' {
  interface FastifyInstance {
    /** Whether there are more requests than can be answered: some are being refused. */
    isOverloaded(): boolean
    /** How many requests this process has refused so far because there were too many. */
    overloadRefusals(): number
  }
}

const TELL_EVERY_MS = 10_000
const LOOK_EVERY_MS = 1000

const INSTANCE = '00000000-0000-0000-0000-000000000000'
const BODY = JSON.stringify(problemOf(coded('KSR_OVERLOADED'), INSTANCE))
const [BEFORE_INSTANCE, AFTER_INSTANCE] = BODY.split(INSTANCE) as [string, string]
const HEADERS = {
  ...SECURITY_HEADERS,
  'content-type': 'application/problem+json; charset=utf-8',
  'retry-after': '1',
}
const HEAD = [
  'HTTP/1.1 503 Service Unavailable',
  ...Object.entries({ ...HEADERS, connection: 'keep-alive' }).map(([name, value]) => `${name}: ${value}`),
].join('\r\n')

/**
 * Refuses what comes over the sockets beyond what can be answered, before Fastify hears of it: what a refusal costs is
 * taken from the answers.
 */
export const overload = fp(
  async (app: FastifyInstance, { config }: { config: Config }) => {
    const { overloadMs, basePath, bodyLimit } = config
    const admission = new Admission({ overloadMs, clock: () => performance.now(), cpu: cpuTime })
    const turns = turnsOf(admission)
    let refusals = 0
    let watch: NodeJS.Timeout | undefined
    app.decorate('isOverloaded', () => admission.overloaded)
    app.decorate('overloadRefusals', () => refusals)
    if (overloadMs === 0) return

    /** One line when it begins, one when it ends, and one now and then between: a line for each would be one more load. */
    function tell(): void {
      if (watch !== undefined) return
      const before = refusals
      let told = performance.now()
      app.log.warn('overloaded: what can not be answered in time is refused')
      watch = setInterval(() => {
        const refused = refusals - before
        if (!admission.overloaded) {
          clearInterval(watch)
          watch = undefined
          app.log.info({ refused }, 'no longer overloaded')
        } else if (performance.now() - told >= TELL_EVERY_MS) {
          told = performance.now()
          app.log.warn({ refused }, 'still overloaded')
        }
      }, LOOK_EVERY_MS).unref()
    }

    everyServer(app, (server) =>
      keepDoor(server, (request, response) => {
        if (turns.admit()) return false
        if (
          MONITORED.test(withoutPrefix(withoutOrigin(request.url as string), basePath)) &&
          turns.admitProbe()
        )
          return false
        tell()
        refusals++
        app.metrics.refused('overload')
        refuse(request, response, app.isDraining() || leavesUnread(request, bodyLimit))
        return true
      }),
    )
    app.addHook('onClose', async () => clearInterval(watch))
  },
  { name: 'overload', dependencies: ['draining', 'metrics'] },
)

/** Tells what it admits to when a turn begins and ends, as seen from its requests. */
function turnsOf(admission: Admission) {
  const PROBES = 4
  let turn = 0
  let probes = 0
  let reading = false
  let ended = true

  function end(followed: boolean): void {
    ended = true
    admission.end({ waiting: rowsWaiting(), followed })
  }

  function begin(): void {
    const one = ++turn
    reading = true
    ended = false
    probes = 0
    admission.begin(rowsWaiting())
    setImmediate(() => {
      // What has been read is worked on now. The turn has ended when more is read.
      reading = false
      setImmediate(() => {
        if (!ended && turn === one) end(false)
      })
    })
  }

  return {
    admit(): boolean {
      if (!reading) {
        if (!ended) end(true)
        begin()
      }
      return admission.admit()
    },
    /** Beside those that it admits: a few, or probes would be the way round it. */
    admitProbe: () => probes++ < PROBES,
  }
}

/**
 * The answer, as cheap as it can be made: in one piece, past what Node does for an answer that it has to put together.
 * Everything that is not as usual goes the usual way.
 */
function refuse(request: IncomingMessage, response: ServerResponse, last: boolean): void {
  const { socket } = response
  const id = requestIdOf(request)
  const body = BEFORE_INSTANCE + id + AFTER_INSTANCE
  // Without a socket, an answer to what was asked before on the connection is still to come.
  if (socket !== null && response.shouldKeepAlive && !last && request.method !== 'HEAD') {
    socket.write(`${HEAD}\r\ncontent-length: ${body.length}\r\nx-request-id: ${id}\r\n\r\n${body}`, 'latin1')
    response.emit('finish')
    return
  }
  if (last) response.shouldKeepAlive = false
  response.writeHead(503, { ...HEADERS, 'content-length': body.length, 'x-request-id': id }).end(body)
}

/** Whether the connection had better not be used on: its next bytes may be a body, or no body, or a very long one. */
function leavesUnread({ rawHeaders }: IncomingMessage, bodyLimit: number): boolean {
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string
    if (name.length === 6 && name.toLowerCase() === 'expect') return true
    if (
      name.length === 14 &&
      name.toLowerCase() === 'content-length' &&
      Number(rawHeaders[i + 1]) > bodyLimit
    )
      return true
    if (name.length === 17 && name.toLowerCase() === 'transfer-encoding') return true
  }
  return false
}

function cpuTime(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}
