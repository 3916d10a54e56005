import { format } from 'node:util'

/** One field of a request that is at fault: a JSON Pointer (RFC 6901) and what is wrong there. */
export interface FieldError {
  pointer: string
  message: string
}

/**
 * An error with a stable code. The ones with a status below 500 are the caller's, and their message is for
 * the caller; those that stop the start carry 500 and are read by whoever starts the service.
 * No message ever holds a timing.
 */
export class CodedError extends Error {
  readonly code: string
  readonly statusCode: number
  readonly errors: FieldError[] | undefined
  /** After how many seconds the same request may do better. */
  readonly retryAfter: number | undefined

  constructor(
    code: string,
    statusCode: number,
    message: string,
    { errors, cause, retryAfter }: Omit<Details, 'at'> = {},
  ) {
    super(message, { cause })
    // What a stack trace, or Lambda's report of a failed invocation, starts with.
    this.name = code
    this.code = code
    this.statusCode = statusCode
    this.errors = errors
    this.retryAfter = retryAfter
  }
}

/** Every coded error of the service: status and message, `%s` standing for the arguments of `coded`. */
const MESSAGES = {
  KSR_INVALID_REQUEST: [400, 'The request does not have the documented form.'],
  KSR_INVALID_JSON: [400, 'The body is not valid JSON.'],
  KSR_INVALID_URL: [400, 'The URL is not valid.'],
  KSR_BAD_REQUEST: [400, 'The request can not be read.'],
  KSR_UNAUTHORIZED: [401, 'The request needs %s, and has none that is valid.'],
  KSR_MODEL_NOT_FOUND: [404, 'There is no model "%s". GET /models lists those there are.'],
  KSR_USER_NOT_FOUND: [404, 'The model "%s" does not know the user of the claim.'],
  KSR_TEXT_NOT_FOUND: [404, 'There is no text "%s". GET /texts lists those there are.'],
  KSR_NOT_ENROLLED: [404, 'The text "%s" has no user "%s".'],
  KSR_SAMPLE_NOT_FOUND: [404, 'The user "%s" has no sample "%s".'],
  KSR_ROUTE_NOT_FOUND: [404, 'There is nothing at this path. GET / lists what there is.'],
  KSR_METHOD_NOT_ALLOWED: [405, 'This path answers %s only.'],
  KSR_NOT_ACCEPTABLE: [406, 'The answer is %s, which the Accept header rules out.'],
  KSR_REQUEST_TIMEOUT: [408, 'The request did not arrive in time.'],
  KSR_TEXT_DIFFERS: [409, 'There is a text "%s" already, of %s keys and the prior "%s".'],
  KSR_REPLAYED: [409, 'This typing is one that was sent before, or all but one: nobody types twice alike.'],
  KSR_NOT_READY: [409, 'The user "%s" has %s samples of the %s that it takes to recognise somebody.'],
  KSR_NOBODY_ENROLLED: [
    409,
    'The text "%s" has no user with the %s samples that it takes to recognise somebody.',
  ],
  KSR_LIMIT: [409, 'There can be no more than %s %s.'],
  KSR_CONFLICT: [409, 'Somebody else was changing the same at the same time.'],
  KSR_IDEMPOTENT_REQUEST_PENDING: [409, 'The first request with this Idempotency-Key is not answered yet.'],
  KSR_PRECONDITION_FAILED: [412, 'It is not, or no longer, what %s says.'],
  KSR_BODY_TOO_LARGE: [413, 'The body is larger than the %s bytes that are read.'],
  KSR_URL_TOO_LONG: [414, 'A part of the path is too long.'],
  KSR_UNSUPPORTED_MEDIA_TYPE: [415, 'Send the body as %s.'],
  KSR_UNSUPPORTED_ENCODING: [415, 'Send the body in UTF-8, and not compressed.'],
  KSR_KEYSTROKE_COUNT: [422, 'The text has %s keys; %s keystrokes were sent%s.'],
  KSR_RELEASE_BEFORE_PRESS: [422, 'Keystroke %s%s is released before it is pressed.'],
  KSR_PRESS_ORDER: [
    422,
    'Keystroke %s%s is pressed before the one in front of it: send them in press order.',
  ],
  KSR_NEEDS_KEYSTROKES: [
    422,
    'This model needs the raw keystrokes: a summary does not hold what it looks at.',
  ],
  KSR_ATTEMPTS_NOT_FUSED: [422, 'This model takes one typing: only those of raw keystrokes fuse attempts.'],
  KSR_TOO_MANY_ATTEMPTS: [422, 'The model "%s" takes up to %s attempts; %s were sent.'],
  KSR_NO_OPERATING_POINT: [422, 'The model "%s" has no operating point at this %s. It has %s.'],
  KSR_NO_VERIFICATION: [422, 'The model "%s" verifies no claims. Those of raw keystrokes do.'],
  KSR_NO_PRIOR: [422, 'The shipped prior is for texts of %s keys.'],
  KSR_ARCHIVE: [422, 'The templates can not be imported: %s.'],
  KSR_IDEMPOTENCY_KEY_REUSED: [
    422,
    'Another request was sent with this Idempotency-Key: each needs one of its own.',
  ],
  KSR_TENSORS: [422, 'The tensors are not those of the model.'],
  KSR_TOO_MANY_REQUESTS: [429, 'There were more than %s requests in a minute.'],
  KSR_CLAIMS_PAUSED: [
    429,
    'The last %s claims to be this user did not match: the next is heard after a pause.',
  ],
  KSR_HEADERS_TOO_LARGE: [431, 'The headers are too large.'],
  KSR_INTERNAL: [500, 'The request failed. The log has the cause under this request id.'],
  KSR_SEALED: [500, 'A record can not be opened: %s.'],
  KSR_UNKNOWN_EVENT: [
    500,
    'The event is none of API Gateway, a load balancer or a function URL, and no body of POST /predict.',
  ],
  KSR_OVERLOADED: [503, 'There are more requests than can be answered in time.'],
  KSR_TIMEOUT: [503, 'The answer took too long.'],
  KSR_KEYS_UNAVAILABLE: [503, 'The keys that tokens are signed with can not be had.'],
  KSR_NO_ENROLMENT: [503, 'The service keeps no users: %s.'],
  KSR_CONFIG: [500, 'The environment is not right: %s.'],
  KSR_MANIFEST: [500, '%s: %s.'],
  KSR_MODEL_FILE: [500, '%s: %s.'],
  KSR_STORE: [500, '%s: %s.'],
  KSR_RECORD_TOO_LARGE: [500, 'A record of %s bytes is larger than the %s that can be kept.'],
} as const satisfies Record<string, [number, string]>

export type ErrorCode = keyof typeof MESSAGES

interface Details {
  /** The one field at fault, which the message is about. */
  at?: string
  /** The fields at fault, each with a message of its own. */
  errors?: FieldError[]
  cause?: unknown
  /** After how many seconds the same request may do better. */
  retryAfter?: number
}

/** The error of that code, its arguments put into the message. */
export function coded(
  code: ErrorCode,
  args: readonly (string | number)[] = [],
  details: Details = {},
): CodedError {
  const [statusCode, template] = MESSAGES[code]
  const message = format(template, ...args)
  const { at, ...rest } = details
  if (at !== undefined) rest.errors = [{ pointer: at, message }]
  return new CodedError(code, statusCode, message, rest)
}
