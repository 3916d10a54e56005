import { type Static, Type } from '@sinclair/typebox'
import { reference } from './reference.js'

/** RFC 9457 problem details, with a stable `code` and, for validation, the fields at fault. */
export const Problem = Type.Object(
  {
    type: Type.String({ description: 'A name for this kind of problem, made from the code.' }),
    title: Type.String({ description: "The status code's phrase." }),
    status: Type.Integer(),
    detail: Type.String({ description: 'What is wrong, for a human.' }),
    instance: Type.String({ description: 'The request id, under which the log speaks of it.' }),
    code: Type.String({ pattern: '^KSR_[A-Z_]+$', description: 'Stable: what a program may test for.' }),
    errors: Type.Optional(
      Type.Array(
        Type.Object({
          pointer: Type.String({ description: 'JSON Pointer (RFC 6901) to the field.' }),
          message: Type.String(),
        }),
      ),
    ),
  },
  { $id: 'Problem', description: 'RFC 9457 problem details.' },
)
export type Problem = Static<typeof Problem>

// Each with the codes it has: a test holds them against the list of errors.
const REASONS = {
  400: 'The request does not have the documented form; `errors` points at the fields. KSR_INVALID_REQUEST, KSR_INVALID_JSON, KSR_INVALID_URL, KSR_BAD_REQUEST',
  404: 'There is no such model, or the model knows no such user. KSR_MODEL_NOT_FOUND, KSR_USER_NOT_FOUND; for any other path KSR_ROUTE_NOT_FOUND, and 405 KSR_METHOD_NOT_ALLOWED for another method.',
  406: 'The Accept header rules out application/json. KSR_NOT_ACCEPTABLE',
  408: 'The request did not arrive in time. KSR_REQUEST_TIMEOUT',
  413: 'The body is too large. KSR_BODY_TOO_LARGE',
  414: 'A part of the path is too long. KSR_URL_TOO_LONG',
  415: 'The body is not application/json. KSR_UNSUPPORTED_MEDIA_TYPE',
  422:
    'The timings contradict each other or the text, and `errors` points at the keystroke: KSR_KEYSTROKE_COUNT, ' +
    'KSR_RELEASE_BEFORE_PRESS, KSR_PRESS_ORDER. Or it is nothing that this model can answer: KSR_NEEDS_KEYSTROKES, ' +
    'KSR_ATTEMPTS_NOT_FUSED, KSR_TOO_MANY_ATTEMPTS, KSR_NO_OPERATING_POINT, KSR_NO_VERIFICATION',
  431: 'The headers are too large. KSR_HEADERS_TOO_LARGE',
  500: 'The request failed; the log has the cause under the request id. KSR_INTERNAL',
}

/** The entries of a route's `response` schema for the problems that it can answer. */
export function problems(...statuses: (keyof typeof REASONS)[]) {
  return Object.fromEntries(
    statuses.map((status) => [
      status,
      {
        description: REASONS[status],
        content: { 'application/problem+json': { schema: reference(Problem) } },
      },
    ]),
  )
}
