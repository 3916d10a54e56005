import t from 'tap'
import { eventUrl, withoutPrefix } from '../src/path.js'
import type { GatewayEvent } from '../src/schemas/event.js'

const NAME = 'keystroke_based_user_recognition'

t.test('a prefix is taken off as whole segments, and something always stays', async (t) => {
  for (const [url, prefix, rest] of [
    ['/api/predict', '/api', '/predict'],
    ['/api/predict?top=3', '/api', '/predict?top=3'],
    ['/api', '/api', '/'],
    ['/api/', '/api', '/'],
    ['/api?top=3', '/api', '/?top=3'],
    ['/apis', '/api', '/apis'],
    ['/predict', '/api', '/predict'],
    ['/predict', '', '/predict'],
  ] as const) {
    t.equal(withoutPrefix(url, prefix), rest, `${url} without ${prefix}`)
  }
})

/** The URL of an event with these of its fields. */
function asked(fields: object, config: { basePath?: string; functionName?: string } = {}) {
  const event = { httpMethod: 'GET', requestContext: {}, ...fields } as GatewayEvent
  return eventUrl(event, { basePath: '', functionName: NAME, ...config })
}

t.test('an HTTP API puts a named stage into the path, the default stage not', async (t) => {
  const routeKey = 'ANY /{proxy+}'
  const context = { requestContext: { stage: 'prod' } }
  t.equal(asked({ version: '2.0', rawPath: '/prod/predict/rf', routeKey, ...context }), '/predict/rf')
  t.equal(asked({ version: '1.0', path: '/prod/predict', resource: '/{proxy+}', ...context }), '/predict')
  t.equal(asked({ version: '2.0', rawPath: '/prod', routeKey, ...context }), '/')
  t.equal(
    asked({
      version: '2.0',
      rawPath: '/$default/x',
      routeKey: '$default',
      requestContext: { stage: '$default' },
    }),
    '/$default/x',
  )
})

t.test('a REST API and a load balancer leave the stage out of the path: nothing is taken off', async (t) => {
  const requestContext = { stage: 'models' }
  t.equal(asked({ path: '/models/rf', resource: '/{proxy+}', requestContext }), '/models/rf')
  t.equal(asked({ path: '/predict', requestContext: {} }), '/predict')
})

t.test('the route that the console makes is named after the function: its name is taken off', async (t) => {
  const http = { version: '2.0', requestContext: { stage: 'default' } }
  t.equal(asked({ ...http, rawPath: `/default/${NAME}`, routeKey: `ANY /${NAME}` }), '/')
  t.equal(
    asked({ ...http, rawPath: `/default/${NAME}/predict/rf`, routeKey: `ANY /${NAME}/{proxy+}` }),
    '/predict/rf',
  )
  t.equal(asked({ path: `/${NAME}`, resource: `/${NAME}`, requestContext: { stage: 'default' } }), '/')
})

t.test('a custom domain may put BASE_PATH before that', async (t) => {
  const event = { path: `/api/${NAME}`, resource: `/${NAME}`, requestContext: { stage: 'default' } }
  t.equal(asked(event, { basePath: '/api' }), '/')
})

t.test('a function may have the name of a path of ours', async (t) => {
  const proxied = { path: '/predict/rf', resource: '/{proxy+}', requestContext: { stage: 'prod' } }
  t.equal(asked(proxied, { functionName: 'predict' }), '/predict/rf')
  const url = {
    version: '2.0',
    rawPath: '/models',
    routeKey: '$default',
    requestContext: { stage: '$default' },
  }
  t.equal(asked(url, { functionName: 'models' }), '/models')
  t.equal(asked({ ...proxied, resource: '/predictor' }, { functionName: 'predict' }), '/predict/rf')
  t.equal(asked(proxied, { functionName: '' }), '/predict/rf')
  const { routeKey: _, ...routeless } = url
  t.equal(asked(routeless, { functionName: 'models' }), '/models')
})

t.test('a query arrives as it was sent, whatever its gateway made of it', async (t) => {
  const path = '/predict'
  const http = { version: '2.0', rawPath: path, routeKey: '$default', requestContext: { stage: '$default' } }
  t.equal(asked({ ...http, rawQueryString: 'top=1&top=2' }), '/predict?top=1&top=2')
  t.equal(asked({ ...http, rawQueryString: '' }), '/predict')
  t.equal(asked(http), '/predict')
  const multiValueQueryStringParameters = { top: ['1', '2'], 'a b': ['100%', '&'] }
  t.equal(asked({ path, multiValueQueryStringParameters }), '/predict?top=1&top=2&a%20b=100%25&a%20b=%26')
  t.equal(asked({ path, queryStringParameters: { top: '3' } }), '/predict?top=3')
  t.equal(asked({ path, queryStringParameters: null, multiValueQueryStringParameters: null }), '/predict')
  const balanced = { path, requestContext: { elb: {} }, queryStringParameters: { 'a%20b': '100%' } }
  t.equal(asked(balanced), '/predict?a%20b=100%', 'a load balancer does not decode')
})

t.test('what a gateway decoded in the path does not begin a query or a fragment', async (t) => {
  t.equal(asked({ path: '/predict/rf?top=2#x' }), '/predict/rf%3Ftop=2%23x')
})

t.test('no path leads elsewhere than a gateway took it to lead', async (t) => {
  // A gateway that asks nobody for a token under /health would let these through to others.
  for (const [path, expected] of [
    ['/health/../models', '/health/%252E%252E/models'],
    ['/health/..', '/health/%252E%252E'],
    ['/health/%2e%2E/models', '/health/%252E%252E/models'],
    ['/health/.%2e/', '/health/%252E%252E/'],
    ['/./models', '/%252E/models'],
    ['/health\\..\\models', '/health%5C..%5Cmodels'],
    ['/\\', '/%5C'],
    ['/\\health/models', '/%5Chealth/models'],
    ['/\t/health/models', '/%09/health/models'],
    ['/models\n', '/models%0A'],
    ['/models ', '/models%20'],
    ['/models/a.b..', '/models/a.b..'],
    ['/models/...', '/models/...'],
  ] as const) {
    const url = asked({ path })
    t.equal(url, expected, path)
    t.equal(new URL(url, 'http://localhost').href, `http://localhost${expected}`)
  }
})
