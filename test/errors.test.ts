import { readFileSync } from 'node:fs'
import t from 'tap'
import { coded } from '../src/errors.js'

const CALLERS = [
  'KSR_INVALID_REQUEST',
  'KSR_INVALID_JSON',
  'KSR_INVALID_URL',
  'KSR_BAD_REQUEST',
  'KSR_UNAUTHORIZED',
  'KSR_MODEL_NOT_FOUND',
  'KSR_USER_NOT_FOUND',
  'KSR_TEXT_NOT_FOUND',
  'KSR_NOT_ENROLLED',
  'KSR_SAMPLE_NOT_FOUND',
  'KSR_ROUTE_NOT_FOUND',
  'KSR_METHOD_NOT_ALLOWED',
  'KSR_NOT_ACCEPTABLE',
  'KSR_REQUEST_TIMEOUT',
  'KSR_TEXT_DIFFERS',
  'KSR_REPLAYED',
  'KSR_NOT_READY',
  'KSR_NOBODY_ENROLLED',
  'KSR_LIMIT',
  'KSR_CONFLICT',
  'KSR_IDEMPOTENT_REQUEST_PENDING',
  'KSR_PRECONDITION_FAILED',
  'KSR_BODY_TOO_LARGE',
  'KSR_URL_TOO_LONG',
  'KSR_UNSUPPORTED_MEDIA_TYPE',
  'KSR_UNSUPPORTED_ENCODING',
  'KSR_KEYSTROKE_COUNT',
  'KSR_RELEASE_BEFORE_PRESS',
  'KSR_PRESS_ORDER',
  'KSR_NEEDS_KEYSTROKES',
  'KSR_ATTEMPTS_NOT_FUSED',
  'KSR_TOO_MANY_ATTEMPTS',
  'KSR_NO_OPERATING_POINT',
  'KSR_NO_VERIFICATION',
  'KSR_NO_PRIOR',
  'KSR_ARCHIVE',
  'KSR_IDEMPOTENCY_KEY_REUSED',
  'KSR_TOO_MANY_REQUESTS',
  'KSR_CLAIMS_PAUSED',
  'KSR_HEADERS_TOO_LARGE',
  'KSR_INTERNAL',
  'KSR_SEALED',
  'KSR_OVERLOADED',
  'KSR_TIMEOUT',
  'KSR_KEYS_UNAVAILABLE',
  'KSR_NO_ENROLMENT',
]

t.test('every code that a caller can meet is in the OpenAPI document, and no other', async (t) => {
  const document = readFileSync(new URL('../openapi.yaml', import.meta.url), 'utf8')
  t.same([...new Set(document.match(/KSR_[A-Z_]+[A-Z]/g))].sort(), CALLERS.toSorted())
})

t.test(
  'every code that a caller can meet is defined in errors.ts, beside those that stop the start or an invocation',
  async (t) => {
    const source = readFileSync(new URL('../src/errors.ts', import.meta.url), 'utf8')
    const defined = [...source.matchAll(/^ {2}(KSR_[A-Z_]+): \[/gm)].map(([, code]) => code)
    const others = [
      'KSR_CONFIG',
      'KSR_MANIFEST',
      'KSR_MODEL_FILE',
      'KSR_RECORD_TOO_LARGE',
      'KSR_STORE',
      'KSR_UNKNOWN_EVENT',
    ]
    // The inference protocol has no place for a code: the log has it.
    t.same(defined.sort(), [...CALLERS, ...others, 'KSR_TENSORS'].sort())
  },
)

t.test(
  'an error has its status, its message with the arguments in it, and the field it is about',
  async (t) => {
    const error = coded('KSR_PRESS_ORDER', [4, ''], { at: '/keystrokes/4/press' })
    const message = 'Keystroke 4 is pressed before the one in front of it: send them in press order.'
    t.equal(error.message, message)
    t.match(error, {
      code: 'KSR_PRESS_ORDER',
      statusCode: 422,
      errors: [{ pointer: '/keystrokes/4/press', message }],
    })
    t.equal(coded('KSR_INTERNAL').errors, undefined)
  },
)
