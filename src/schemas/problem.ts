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
  401: 'Where the service asks for keys or tokens: none that is valid was sent. KSR_UNAUTHORIZED',
  404:
    'There is no such model, or the model knows no such user: KSR_MODEL_NOT_FOUND, KSR_USER_NOT_FOUND. Or the caller has no ' +
    'such text, or the text no such user, or the user no such sample: KSR_TEXT_NOT_FOUND, KSR_NOT_ENROLLED, ' +
    'KSR_SAMPLE_NOT_FOUND. For any other path KSR_ROUTE_NOT_FOUND, and 405 KSR_METHOD_NOT_ALLOWED for another method.',
  406: 'The Accept header rules out application/json. KSR_NOT_ACCEPTABLE',
  408: 'The request did not arrive in time. KSR_REQUEST_TIMEOUT',
  409:
    'It does not fit what is there. There is another text of that name, KSR_TEXT_DIFFERS; the typing was sent before, ' +
    'KSR_REPLAYED; the user, or every user, has too few samples, KSR_NOT_READY, KSR_NOBODY_ENROLLED; there are as many as ' +
    'there can be, KSR_LIMIT; somebody else was faster, KSR_CONFLICT: ask again. Or the first request with this Idempotency-Key is ' +
    'still being answered, KSR_IDEMPOTENT_REQUEST_PENDING: Retry-After says when to ask again.',
  412: 'It has changed since, or is there, or is not: not what If-Match or If-None-Match says. KSR_PRECONDITION_FAILED',
  413: 'The body is too large. KSR_BODY_TOO_LARGE',
  414: 'A part of the path is too long. KSR_URL_TOO_LONG',
  415: 'The body is not application/json: KSR_UNSUPPORTED_MEDIA_TYPE. Or it is not in UTF-8, or compressed: KSR_UNSUPPORTED_ENCODING',
  422:
    'The timings contradict each other or the text, and `errors` points at the keystroke: KSR_KEYSTROKE_COUNT, ' +
    'KSR_RELEASE_BEFORE_PRESS, KSR_PRESS_ORDER. Or it is nothing that this model can answer: KSR_NEEDS_KEYSTROKES, ' +
    'KSR_ATTEMPTS_NOT_FUSED, KSR_TOO_MANY_ATTEMPTS, KSR_NO_OPERATING_POINT, KSR_NO_VERIFICATION. ' +
    'Or the text has another number of keys than the shipped prior, KSR_NO_PRIOR; the templates are none of this text or ' +
    'service, KSR_ARCHIVE; the Idempotency-Key was that of another request, KSR_IDEMPOTENCY_KEY_REUSED.',
  429: 'Where the service limits them: the caller sends too many requests, KSR_TOO_MANY_REQUESTS, or too many claims to be one user did not match, KSR_CLAIMS_PAUSED. Retry-After says when the next is heard.',
  431: 'The headers are too large. KSR_HEADERS_TOO_LARGE',
  500: 'The request failed; the log has the cause under the request id. KSR_INTERNAL, or KSR_SEALED where it is a record that can not be opened',
  503: 'It can not be answered now: there are too many requests, KSR_OVERLOADED, it took too long, KSR_TIMEOUT, nobody can tell whether the token is valid, KSR_KEYS_UNAVAILABLE, or the service is not set up to keep users, KSR_NO_ENROLMENT. Retry-After says when to try again.',
}

/** What any route but those of health may answer. */
const ANYWHERE = [401, 429, 500, 503] as const

/** The entries of a route's `response` schema for the problems that it can answer, beside those that any can. */
export function problems(...statuses: (keyof typeof REASONS)[]) {
  return Object.fromEntries(
    [...statuses, ...ANYWHERE].map((status) => [
      status,
      {
        description: REASONS[status],
        content: { 'application/problem+json': { schema: reference(Problem) } },
      },
    ]),
  )
}
