import { METHODS } from 'node:http'
import { type Static, Type } from '@sinclair/typebox'
import { Check } from '@sinclair/typebox/value'

const Text = Type.Union([Type.String(), Type.Null()])
const Path = Type.String({ pattern: '^/' })
const Method = Type.String({ pattern: `^(${METHODS.join('|')})$` })
/** Any: what TypeBox takes for any else has no line feed in it, and a value under one that has would be anything. */
const Name = Type.String({ pattern: '^[\\s\\S]*$' })
// What a gateway leaves out it may also send as null.
const Values = Type.Union([Type.Record(Name, Text), Type.Null()])
const Lists = Type.Union([Type.Record(Name, Type.Array(Type.String())), Type.Null()])
const content = {
  body: Type.Optional(Text),
  isBase64Encoded: Type.Optional(Type.Union([Type.Boolean(), Type.Null()])),
  headers: Type.Optional(Values),
  multiValueHeaders: Type.Optional(Lists),
  cookies: Type.Optional(Type.Union([Type.Array(Text), Type.Null()])),
}
const Client = Type.Object({ sourceIp: Type.Optional(Text) })
const context = {
  stage: Type.Optional(Text),
  requestId: Type.Optional(Text),
  identity: Type.Optional(Type.Union([Client, Type.Null()])),
}

/** An event of an HTTP API with payload version 2.0, or of a function URL. */
const HttpEvent = Type.Object({
  ...content,
  version: Type.Literal('2.0'),
  rawPath: Path,
  rawQueryString: Type.Optional(Text),
  /** The route that the gateway matched: `ANY /name`, `$default`. */
  routeKey: Type.Optional(Text),
  // The wrapper takes it where it is there.
  httpMethod: Type.Optional(Type.Null()),
  requestContext: Type.Object({
    ...context,
    http: Type.Intersect([Client, Type.Object({ method: Method })]),
  }),
})

/** An event of an HTTP API with payload version 1.0, of a REST API (no version), or of a load balancer (`elb`). */
const RestEvent = Type.Object({
  ...content,
  version: Type.Optional(Type.Literal('1.0')),
  path: Path,
  httpMethod: Method,
  queryStringParameters: Type.Optional(Values),
  multiValueQueryStringParameters: Type.Optional(Lists),
  /** The route that the gateway matched: `/name`, `/{proxy+}`. */
  resource: Type.Optional(Text),
  requestContext: Type.Object({
    ...context,
    http: Type.Optional(Type.Union([Client, Type.Null()])),
    elb: Type.Optional(Type.Unknown()),
  }),
})

/** What is read of the events of gateways. */
const GatewayEvent = Type.Union([HttpEvent, RestEvent])
export type GatewayEvent = Static<typeof GatewayEvent>

/** Whether that is the event of a gateway. Asked here: what an entry imports is bundled as a whole. */
export function isGatewayEvent(event: unknown): event is GatewayEvent {
  return Check(GatewayEvent, event)
}
