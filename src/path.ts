/** What of an event of API Gateway, a load balancer or a function URL says which path was asked for. */
export interface GatewayEvent {
  /** Of HTTP APIs and function URLs; REST APIs and load balancers have none. */
  version?: string
  /** The path, of HTTP APIs with payload version 2.0 and of function URLs. */
  rawPath?: string
  /** The path, of all others. */
  path?: string
  /** The route that the gateway matched: `ANY /name`, `$default`. */
  routeKey?: string
  /** The same for REST APIs and payload version 1.0: `/name`, `/{proxy+}`. */
  resource?: string
  requestContext: { stage?: string }
}

/**
 * The path that an event asks for as this service knows it: without the gateway's stage, and, where the gateway's
 * route is named after the function, as the console's trigger makes it, without BASE_PATH and that name.
 * A function may be called `predict`: its name is taken off where the route has it, not wherever the path does.
 */
export function eventPath(
  event: GatewayEvent,
  { basePath, functionName }: { basePath: string; functionName: string },
): string {
  const {
    version,
    rawPath,
    path = rawPath as string,
    routeKey = '',
    resource = routeKey,
    requestContext,
  } = event
  // REST APIs leave the stage out of the path, and a stage called $default never is in it.
  const staged = version !== undefined && requestContext.stage !== '$default'
  const asked = staged ? withoutPrefix(path, `/${requestContext.stage}`) : path
  const route = resource.slice(resource.indexOf('/'))
  if (functionName === '' || withoutPrefix(route, `/${functionName}`) === route) return asked
  return withoutPrefix(withoutPrefix(asked, basePath), `/${functionName}`)
}

/** A path or URL without the leading segments `prefix`, or as it is where it doesn't start with them. */
export function withoutPrefix(url: string, prefix: string): string {
  if (!url.startsWith(prefix)) return url
  const rest = url.slice(prefix.length)
  if (rest === '' || rest.startsWith('?')) return `/${rest}`
  return rest.startsWith('/') ? rest : url
}
