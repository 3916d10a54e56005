import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { loadConfig } from '../src/config.js'
import { MODELS } from './fixtures/models.js'

t.test('an empty environment gives the documented defaults', async (t) => {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
  t.same(loadConfig({}), {
    port: 3000,
    host: '127.0.0.1',
    workers: 1,
    logLevel: 'info',
    codeDir: fileURLToPath(new URL('../src/', import.meta.url)),
    modelDir: MODELS,
    modelUri: '',
    s3PathStyle: false,
    models: [],
    maxCandidates: 5,
    hideScores: [],
    showScores: [],
    modelPublicKey: '',
    apiKeys: [],
    apiKeysFile: '',
    jwt: { jwksUrl: '', issuer: '', audience: '' },
    publicRoutes: [],
    corsOrigins: [],
    trustProxy: 0,
    rateLimit: 0,
    verifyFailures: 5,
    bodyLimit: 65536,
    batchBodyLimit: 1048576,
    maxConnections: 4096,
    overloadMs: 10,
    dataDir: resolve('data'),
    enrolmentTable: '',
    enrolmentKeys: [],
    retentionDays: 0,
    maxTexts: 100,
    maxEnrolled: 10000,
    keepSamples: false,
    updateTemplates: false,
    staleDays: 180,
    metrics: true,
    tracesEndpoint: '',
    basePath: '',
    functionName: '',
    version,
  })
})

t.test('every setting is read', async (t) => {
  const env = {
    PORT: '8080',
    HOST: '0.0.0.0',
    WORKERS: '4',
    LOG_LEVEL: 'warn',
    MODEL_DIR: '/models',
    MODELS: 'svm,rf',
    MAX_CANDIDATES: '0',
    HIDE_SCORES: 'rf,trees',
    SHOW_SCORES: 'best',
    MODEL_PUBLIC_KEY: `${'A'.repeat(59)}=`,
    API_KEYS: `app:${'0'.repeat(64)},web:${'f'.repeat(64)}`,
    API_KEYS_FILE: '/run/secrets/keys',
    JWT_JWKS_URL: 'https://issuer.example/jwks.json',
    JWT_ISSUER: 'https://issuer.example/',
    JWT_AUDIENCE: 'recognition',
    PUBLIC_ROUTES: 'docs,demo,metrics',
    CORS_ORIGINS: 'https://a.example,http://localhost:5173',
    TRUST_PROXY: '2',
    RATE_LIMIT: '600',
    VERIFY_FAILURES: '0',
    BODY_LIMIT: '1048576',
    BATCH_BODY_LIMIT: '2097152',
    MAX_CONNECTIONS: '100',
    OVERLOAD_MS: '0',
    DATA_DIR: '/data',
    ENROLMENT_TABLE: 'recognition-Records-1A2B',
    ENROLMENT_KEYS: `new:${'0'.repeat(64)},old:${'f'.repeat(64)}`,
    RETENTION_DAYS: '365',
    MAX_TEXTS: '1',
    MAX_ENROLLED: '100000',
    KEEP_SAMPLES: 'on',
    UPDATE_TEMPLATES: 'on',
    STALE_DAYS: '0',
    METRICS: 'off',
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318',
    BASE_PATH: '/api/v1',
    AWS_LAMBDA_FUNCTION_NAME: 'recognition',
    SOMETHING_ELSE: 'is not ours',
  }
  t.match(loadConfig(env), {
    port: 8080,
    host: '0.0.0.0',
    workers: 4,
    logLevel: 'warn',
    modelDir: '/models',
    models: ['svm', 'rf'],
    maxCandidates: 0,
    hideScores: ['rf', 'trees'],
    showScores: ['best'],
    modelPublicKey: `${'A'.repeat(59)}=`,
    apiKeys: [`app:${'0'.repeat(64)}`, `web:${'f'.repeat(64)}`],
    apiKeysFile: '/run/secrets/keys',
    jwt: {
      jwksUrl: 'https://issuer.example/jwks.json',
      issuer: 'https://issuer.example/',
      audience: 'recognition',
    },
    publicRoutes: ['docs', 'demo', 'metrics'],
    corsOrigins: ['https://a.example', 'http://localhost:5173'],
    trustProxy: 2,
    rateLimit: 600,
    verifyFailures: 0,
    bodyLimit: 1048576,
    batchBodyLimit: 2097152,
    maxConnections: 100,
    overloadMs: 0,
    dataDir: '/data',
    enrolmentTable: 'recognition-Records-1A2B',
    enrolmentKeys: [`new:${'0'.repeat(64)}`, `old:${'f'.repeat(64)}`],
    retentionDays: 365,
    maxTexts: 1,
    maxEnrolled: 100000,
    keepSamples: true,
    updateTemplates: true,
    staleDays: 0,
    metrics: false,
    tracesEndpoint: 'http://collector:4318/v1/traces',
    basePath: '/api/v1',
    functionName: 'recognition',
  })
})

t.test('a value that a setting can not have stops the start and is named', async (t) => {
  for (const [name, value] of [
    ['PORT', 'http'],
    ['WORKERS', '0'],
    ['WORKERS', '65'],
    ['PORT', '65536'],
    ['PORT', ''],
    ['PORT', '0x10'],
    ['PORT', '3e3'],
    ['MAX_CANDIDATES', ' '],
    ['HOST', ''],
    ['LOG_LEVEL', 'loud'],
    ['MODEL_DIR', ''],
    ['MODEL_URI', 'models'],
    ['MODEL_URI', 'https://models.s3.amazonaws.com/v1'],
    ['MODEL_URI', 's3://'],
    ['MODEL_URI', 's3://ab'],
    ['MODEL_URI', `s3://${'a'.repeat(64)}`],
    ['MODEL_URI', 's3://Models'],
    ['MODEL_URI', 's3://my_models'],
    ['MODEL_URI', 's3://my..models'],
    ['MODEL_URI', 's3://-models'],
    ['MODEL_URI', 's3://models./v1'],
    ['MODEL_URI', 's3://models//v1'],
    ['MODEL_URI', 's3://models/v1//'],
    ['MODEL_URI', 's3://models/a//b'],
    ['MODEL_URI', 's3://models/../other'],
    ['MODEL_URI', 's3://models/./v1'],
    ['MODEL_URI', 's3://models/a b'],
    ['MODEL_URI', 's3://models/v1?versionId=1'],
    ['MODEL_URI', 's3://models/v1\n'],
    ['MODELS', 'svm,,rf'],
    ['MAX_CANDIDATES', '-1'],
    ['MAX_CANDIDATES', '2.5'],
    ['MAX_CANDIDATES', '1001'],
    ['HIDE_SCORES', 'rf, svm'],
    ['SHOW_SCORES', ','],
    ['MODEL_PUBLIC_KEY', '-----BEGIN PUBLIC KEY-----'],
    ['API_KEYS', 'secret'],
    ['API_KEYS', `app:${'0'.repeat(63)}`],
    ['API_KEYS', `app:${'0'.repeat(64)},secret`],
    ['JWT_JWKS_URL', 'http://issuer.example/jwks.json'],
    ['JWT_JWKS_URL', 'http://localhost.example/jwks.json'],
    ['JWT_JWKS_URL', 'jwks.json'],
    ['JWT_JWKS_URL', 'https://user:secret@issuer.example/jwks.json'],
    ['JWT_JWKS_URL', 'https://issuer.example/jwks.json'],
    ['JWT_ISSUER', 'https://issuer.example/'],
    ['JWT_AUDIENCE', 'recognition'],
    ['PUBLIC_ROUTES', 'predict'],
    ['PUBLIC_ROUTES', 'docs,health'],
    ['CORS_ORIGINS', 'example.org'],
    ['CORS_ORIGINS', 'https://example.org/'],
    ['TRUST_PROXY', 'true'],
    ['RATE_LIMIT', '-1'],
    ['VERIFY_FAILURES', '1001'],
    ['BODY_LIMIT', '1023'],
    ['BODY_LIMIT', '6291457'],
    ['BATCH_BODY_LIMIT', '67108865'],
    ['MAX_CONNECTIONS', '0'],
    ['OVERLOAD_MS', '0.5'],
    ['ENROLMENT_TABLE', 'ab'],
    ['ENROLMENT_TABLE', 'a table'],
    ['ENROLMENT_KEYS', '0'.repeat(64)],
    ['ENROLMENT_KEYS', `1:${'0'.repeat(63)}`],
    ['ENROLMENT_KEYS', `1:${'F'.repeat(64)}`],
    ['ENROLMENT_KEYS', `1:${'0'.repeat(64)},1:${'f'.repeat(64)}`],
    ['RETENTION_DAYS', '3651'],
    ['MAX_TEXTS', '0'],
    ['MAX_TEXTS', '10001'],
    ['MAX_ENROLLED', '0'],
    ['MAX_ENROLLED', '100001'],
    ['KEEP_SAMPLES', 'true'],
    ['UPDATE_TEMPLATES', ''],
    ['STALE_DAYS', '-1'],
    ['METRICS', 'yes'],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'collector:4318'],
    ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'http://'],
    ['BASE_PATH', 'api'],
    ['BASE_PATH', '/api/'],
  ] as const) {
    t.throws(
      () => loadConfig({ [name]: value }),
      { code: 'KSR_CONFIG', message: new RegExp(name) },
      `${name}=${value}`,
    )
  }
})

t.test(
  'a folder of S3 is a bucket and what stands before the names, with or without a slash at the end',
  async (t) => {
    for (const [value, modelUri] of [
      ['', ''],
      ['s3://models', 's3://models'],
      ['s3://models/', 's3://models'],
      ['s3://my.models-2/recognition/v1', 's3://my.models-2/recognition/v1'],
      ['s3://models/date=2024-05-01/v1.2_a/', 's3://models/date=2024-05-01/v1.2_a'],
    ] as const) {
      t.equal(loadConfig({ MODEL_URI: value }).modelUri, modelUri, value)
    }
  },
)

t.test('what stands in for S3 is asked with the bucket in the path', async (t) => {
  for (const name of ['AWS_ENDPOINT_URL', 'AWS_ENDPOINT_URL_S3']) {
    t.ok(loadConfig({ [name]: 'http://localhost:4566' }).s3PathStyle, name)
    t.notOk(loadConfig({ [name]: '' }).s3PathStyle, name)
  }
})

t.test(
  'traces are sent to what OpenTelemetry says: a URL of their own, or one that all signals share',
  async (t) => {
    for (const [shared, own, endpoint] of [
      ['http://collector:4318', '', 'http://collector:4318/v1/traces'],
      ['https://collector.example/otlp/', '', 'https://collector.example/otlp/v1/traces'],
      ['', 'http://collector:4318/spans', 'http://collector:4318/spans'],
      ['http://collector:4318', 'http://other:4318/v1/traces', 'http://other:4318/v1/traces'],
      ['', '', ''],
    ] as const) {
      const env = { OTEL_EXPORTER_OTLP_ENDPOINT: shared, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: own }
      t.equal(loadConfig(env).tracesEndpoint, endpoint)
    }
  },
)

t.test('on Lambda, where each costs money, there are metrics only where they are asked for', async (t) => {
  t.notOk(loadConfig({ AWS_LAMBDA_FUNCTION_NAME: 'recognition' }).metrics)
  t.ok(loadConfig({ AWS_LAMBDA_FUNCTION_NAME: 'recognition', METRICS: 'on' }).metrics)
})

t.test(
  'records are in a folder where the process starts, in another, or nowhere, as on Lambda',
  async (t) => {
    t.equal(loadConfig({ DATA_DIR: 'records/of ours' }).dataDir, resolve('records/of ours'))
    t.equal(loadConfig({ DATA_DIR: '' }).dataDir, '')
    const lambda = { AWS_LAMBDA_FUNCTION_NAME: 'recognition' }
    t.match(loadConfig({ ...lambda, ENROLMENT_TABLE: 'records' }), { dataDir: '', enrolmentTable: 'records' })
    t.equal(loadConfig({ ...lambda, DATA_DIR: '/mnt/data' }).dataDir, '/mnt/data')
  },
)

t.test('a key that can not be one is not told', async (t) => {
  const secret = 'abcdef0123456789'.repeat(4)
  for (const ENROLMENT_KEYS of [secret, `1:${secret}0`, `1:${secret},1:${secret}`]) {
    t.throws(() => loadConfig({ ENROLMENT_KEYS }), { message: /^(?!.*abcdef)/ })
  }
})

t.test('models from a folder and from S3 at once stop the start', async (t) => {
  t.throws(() => loadConfig({ MODEL_URI: 's3://models', MODEL_DIR: '/models' }), {
    code: 'KSR_CONFIG',
    message: 'The environment is not right: only one of MODEL_URI and MODEL_DIR can be set.',
  })
  t.equal(loadConfig({ MODEL_URI: '', MODEL_DIR: '/models' }).modelDir, '/models')
})

t.test('scores that are both hidden and shown stop the start', async (t) => {
  t.throws(() => loadConfig({ HIDE_SCORES: 'svm,rf', SHOW_SCORES: 'rf' }), {
    code: 'KSR_CONFIG',
    message: 'The environment is not right: HIDE_SCORES and SHOW_SCORES both name "rf".',
  })
})
