import { METHODS } from 'node:http'
import { type Static, Type } from '@sinclair/typebox'

const Text = Type.Union([Type.String(), Type.Null()])
const Path = Type.String({ pattern: '^/' })
const Method = Type.String({ pattern: `^(${METHODS.join('|')})$` })
const Query = Type.Union([Type.Record(Type.String(), Type.Unknown()), Type.Null()])
const content = {
  body: Type.Optional(Text),
  headers: Type.Optional(Query),
  multiValueHeaders: Type.Optional(
    Type.Union([Type.Record(Type.String(), Type.Array(Type.Unknown())), Type.Null()]),
  ),
}
const stage = Type.Optional(Text)

/** An event of an HTTP API with payload version 2.0, or of a function URL. */
const HttpEvent = Type.Object({
  ...content,
  version: Type.Literal('2.0'),
  rawPath: Path,
  rawQueryString: Type.Optional(Text),
  /** The route that the gateway matched: `ANY /name`, `$default`. */
  routeKey: Type.Optional(Text),
  requestContext: Type.Object({ stage, http: Type.Object({ method: Method }) }),
})

/** An event of an HTTP API with payload version 1.0, of a REST API (no version), or of a load balancer (`elb`). */
const RestEvent = Type.Object({
  ...content,
  version: Type.Optional(Type.Literal('1.0')),
  path: Path,
  httpMethod: Method,
  queryStringParameters: Type.Optional(Query),
  multiValueQueryStringParameters: Type.Optional(Query),
  /** The route that the gateway matched: `/name`, `/{proxy+}`. */
  resource: Type.Optional(Text),
  requestContext: Type.Object({ stage, elb: Type.Optional(Type.Unknown()) }),
})

/** What is read of the events of gateways. */
export const GatewayEvent = Type.Union([HttpEvent, RestEvent])
export type GatewayEvent = Static<typeof GatewayEvent>
