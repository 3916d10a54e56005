import type { GatewayEvent } from './schemas/event.js'

/**
 * The URL that an event asks for as this service knows it: without the gateway's stage, and, where the gateway's
 * route is named after the function, as the console's trigger makes it, without BASE_PATH and that name.
 * A function may be called `predict`: its name is taken off where the route has it, not wherever the path does.
 */
export function eventUrl(
  event: GatewayEvent,
  { basePath, functionName }: { basePath: string; functionName: string },
): string {
  const [path, route] =
    'rawPath' in event ? [event.rawPath, event.routeKey ?? ''] : [event.path, event.resource ?? '']
  const { stage } = event.requestContext
  // REST APIs leave the stage out of the path, and a stage called $default never is in it.
  const staged = event.version !== undefined && stage !== '$default'
  const asked = staged ? withoutPrefix(path, `/${stage}`) : path
  const routePath = route.slice(route.indexOf('/'))
  const named = functionName !== '' && withoutPrefix(routePath, `/${functionName}`) !== routePath
  const known = named ? withoutPrefix(withoutPrefix(asked, basePath), `/${functionName}`) : asked
  const query = eventQuery(event)
  return verbatim(known) + (query && `?${query}`)
}

/** What begins a query or a fragment, is taken for a slash, or is dropped where a URL is parsed. */
const MISREAD = /[\p{Cc} ?#\\]/gu
/** Segments that are resolved there. */
const DOTS = /(?<=\/)(\.|%2e){1,2}(?=\/|$)/gi

/**
 * A path that is parsed as it stands. Gateways decode paths, and decide by them who may ask: `/health/../models` must not
 * become `/models` behind them.
 */
function verbatim(path: string): string {
  return path
    .replaceAll(MISREAD, encodeURIComponent)
    .replaceAll(DOTS, (dots) => dots.replaceAll(/\.|%2e/gi, '%252E'))
}

/** The query of an event, encoded as in a URL. */
function eventQuery(event: GatewayEvent): string {
  if ('rawPath' in event) return event.rawQueryString ?? ''
  const values = event.multiValueQueryStringParameters ?? event.queryStringParameters ?? {}
  // Load balancers hand on what they got, API Gateway decodes it.
  const encode = 'elb' in event.requestContext ? String : encodeText
  return Object.entries(values)
    .flatMap(([name, value]) => [value].flat().map((one) => `${encode(name)}=${encode(String(one))}`))
    .join('&')
}

/** Half a pair of UTF-16 has no form in a URL: it becomes the replacement character, as where anybody else decodes it. */
function encodeText(text: string): string {
  return encodeURIComponent(text.replace(/\p{Surrogate}/gu, '\ufffd'))
}

/** The path and query of a URL that may name scheme and host before them, as one that a proxy is asked for does. */
export function withoutOrigin(url: string): string {
  if (url.startsWith('/')) return url
  const path = url.replace(/^https?:\/\/[^/?#]*/i, '')
  return path === '' || path.startsWith('?') ? `/${path}` : path
}

/** A path or URL without the leading segments `prefix`, or as it is where it doesn't start with them. */
export function withoutPrefix(url: string, prefix: string): string {
  if (!url.startsWith(prefix)) return url
  const rest = url.slice(prefix.length)
  if (rest === '' || rest.startsWith('?')) return `/${rest}`
  return rest.startsWith('/') ? rest : url
}
