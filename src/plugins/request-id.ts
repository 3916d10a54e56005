import { randomUUID } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'

/** What may stand in a log and a header as it was sent. */
const ID = /^[A-Za-z0-9._-]{1,64}$/

/** Version, trace, span, flags, and what later versions may have to say (W3C Trace Context). */
const TRACE_PARENT =
  /^(?!ff)([0-9a-f]{2})-((?!0{32})[0-9a-f]{32})-((?!0{16})[0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/

/** The id that the caller gave a request, or a new one where that is none that can be used. */
export function requestIdOf({ headers }: { headers: IncomingHttpHeaders }): string {
  const sent = headers['x-request-id']
  return typeof sent === 'string' && ID.test(sent) ? sent : randomUUID()
}

/** The trace that a caller's `traceparent` belongs to, and the header as this version has it; undefined if invalid. */
export function traceOf(traceparent: unknown): { traceId: string; traceparent: string } | undefined {
  const [, version, traceId, spanId, flags, more] = TRACE_PARENT.exec(String(traceparent)) ?? []
  if (traceId === undefined || (version === '00' && more !== undefined)) return undefined
  return { traceId, traceparent: `00-${traceId}-${spanId}-${flags}` }
}
