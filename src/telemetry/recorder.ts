/** Why a request was not let through, although nothing was wrong with it. */
export const REFUSALS = ['overload', 'timeout', 'rate-limit', 'claims-paused', 'unauthorized'] as const
export type Refusal = (typeof REFUSALS)[number]

/** One run of a model: how many rows it had, and how long it took. */
export interface Run {
  model: string
  rows: number
  ms: number
}

/** Who is told of what happens, and keeps no more of it than numbers: no URL, no id, nothing that was sent. */
export interface Recorder {
  /** A request was answered: `route` is its pattern, undefined where there is none. */
  completed(method: string, route: string | undefined, status: number, ms: number): void
  /** Who asked went away before there was an answer. */
  aborted(): void
  refused(reason: Refusal): void
  ran(run: Run): void
}

/** Where those ask, again and again, who want to know how the service is just then. */
export const MONITORED = /^(\/v2)?\/(health|metrics)(\/|\?|$)/

/** Any other is `other`: the caller chooses it. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

export function methodLabel(method: string): string {
  return METHODS.has(method) ? method : 'other'
}

export function routeLabel(route = 'unknown'): string {
  return route
}
