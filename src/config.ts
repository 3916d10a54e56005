import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { coded } from './errors.js'

/** What the service is told from outside, checked and complete. */
export interface Config {
  port: number
  host: string
  /** How many processes serve on the port. */
  workers: number
  logLevel: string
  /** Where this code is: the files of the page to try it are beside it. */
  codeDir: string
  /** The folder that training wrote. */
  modelDir: string
  /** What is read instead of that folder, `s3://bucket/prefix`; '' for nothing. */
  modelUri: string
  /** Whether a bucket is named in the path, not in the host name. */
  s3PathStyle: boolean
  /** Which of the manifest's models to load; empty for all. */
  models: string[]
  /** The largest `?top=`; 0 turns candidates off. */
  maxCandidates: number
  /** The models whose candidates are answered without scores, beside those that the manifest says. */
  hideScores: string[]
  /** The models whose candidates are answered with scores, whatever the manifest says. */
  showScores: string[]
  /** The public half of the key that the manifest has to be signed with, SPKI in DER as base64; '' for any manifest. */
  modelPublicKey: string
  /** The keys that let a caller in, as `name:SHA-256`, and the file that has more, one a line; '' for none. */
  apiKeys: string[]
  apiKeysFile: string
  /** Where the keys are that tokens are signed with, and what these have to say; all '' where none are taken. */
  jwt: { jwksUrl: string; issuer: string; audience: string }
  /** What is answered to everybody although keys or tokens are asked for; health always is. */
  publicRoutes: string[]
  /** The web pages that may ask, by their origins. */
  corsOrigins: string[]
  /** How many proxies in front of the service add the address that they see to X-Forwarded-For. */
  trustProxy: number
  /** How many requests a minute a caller may send; 0 for any number. */
  rateLimit: number
  /** After how many false claims in a row a user can't be claimed for a while; 0 for never. */
  verifyFailures: number
  /** The largest body that is read, bytes. */
  bodyLimit: number
  /** The largest body of many samples that is read, bytes. */
  batchBodyLimit: number
  /** How many connections are held at once. */
  maxConnections: number
  /** How long turns of the event loop may be, ms, before some requests are refused; 0 for any length. */
  overloadMs: number
  /** The folder of the records of those who are enrolled; '' for none. */
  dataDir: string
  /** The table of DynamoDB that has them instead; '' for the folder. */
  enrolmentTable: string
  /** The keys that the records are sealed with, as `id:64 hexadecimal digits`: the first for what is written. Secret. */
  enrolmentKeys: string[]
  /** After how many days a record that nobody changed is forgotten; 0 for never. */
  retentionDays: number
  /** How many texts a caller may have, and how many users a text. */
  maxTexts: number
  maxEnrolled: number
  /** Whether the typings of an enrolment are kept beside what is made of them. */
  keepSamples: boolean
  /** Whether what is known of a user learns from typings that were verified. */
  updateTemplates: boolean
  /** After how many days an enrolment is called stale; 0 for never. */
  staleDays: number
  /** Whether there are metrics. */
  metrics: boolean
  /** The URL that traces are sent to; '' for no traces. The other settings of OpenTelemetry are read by its SDK. */
  tracesEndpoint: string
  /** A path prefix that a proxy leaves on the requests; '' for none. */
  basePath: string
  /** The name under which Lambda runs this; '' elsewhere. */
  functionName: string
  /** The version of the service, from package.json. */
  version: string
}

/** A bucket and what stands before the names of files: nothing that a key or a path could take for something else. */
const S3_FOLDER = /^(s3:\/\/(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](\/[A-Za-z0-9_][A-Za-z0-9._=-]*)*\/?)?$/

/** `name:` and the SHA-256 of the key, in hexadecimal digits. */
const API_KEY = /^[A-Za-z0-9._-]{1,64}:[0-9a-f]{64}$/

/** An id of ours, and 32 bytes in hexadecimal digits, which Secrets Manager of AWS can make. */
const ENROLMENT_KEY = /^[A-Za-z0-9._-]{1,64}:[0-9a-f]{64}$/

const TABLE = /^([A-Za-z0-9_.-]{3,255})?$/

/** What may be opened to everybody: the index, the page of the contract, that to try it, the models' cards, the metrics. */
const PUBLIC_ROUTES = ['index', 'docs', 'demo', 'models', 'metrics']

/** Keys are fetched where nobody on the way can change them. */
const JWKS_URL =
  /^(https:\/\/[^\s@/]+(\/[^\s]*)?|http:\/\/(localhost|127\.0\.0\.1|\[::1\])(:\d+)?(\/[^\s]*)?|file:\/\/\/[^\s]+)?$/

/** As the specification has it, the one is all of the URL and the other what stands before the path. */
const TRACES = 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'
const TELEMETRY = 'OTEL_EXPORTER_OTLP_ENDPOINT'
const COLLECTOR = /^(https?:\/\/[^\s/?#]+[^\s?#]*)?$/

const ORIGIN = /^(\*|https?:\/\/[^\s/,]+)$/

/** A public key of Ed25519 or of a curve, as DER in base64: a line of its PEM. */
const PUBLIC_KEY = /^([A-Za-z0-9+/]{40,}={0,2})?$/

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']

/**
 * The settings from the environment, with their defaults.
 * @throws KSR_CONFIG naming the setting that has a value it can't have
 */
export function loadConfig(env: NodeJS.ProcessEnv = process.env): Config {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
  // What Lambda writes to a folder is gone with the process.
  const dataDir = text('DATA_DIR', env.AWS_LAMBDA_FUNCTION_NAME ? '' : 'data', /^/, 'a folder')
  const config: Config = {
    port: whole('PORT', 65535, 3000),
    host: text('HOST', '127.0.0.1', /./, 'an address'),
    workers: whole('WORKERS', 64, 1, 1),
    logLevel: text('LOG_LEVEL', 'info', new RegExp(`^(${LOG_LEVELS.join('|')})$`), LOG_LEVELS.join(', ')),
    codeDir: fileURLToPath(new URL('.', import.meta.url)),
    modelDir: text('MODEL_DIR', fileURLToPath(new URL('../models', import.meta.url)), /./, 'a folder'),
    modelUri: text('MODEL_URI', '', S3_FOLDER, 'a folder of S3 such as s3://bucket/models').replace(
      /\/$/,
      '',
    ),
    // The SDK of AWS reads the two itself: what else speaks S3 seldom has a host name for each bucket.
    s3PathStyle: Boolean(env.AWS_ENDPOINT_URL_S3 || env.AWS_ENDPOINT_URL),
    models: list('MODELS'),
    maxCandidates: whole('MAX_CANDIDATES', 1000, 5),
    hideScores: list('HIDE_SCORES'),
    showScores: list('SHOW_SCORES'),
    modelPublicKey: text('MODEL_PUBLIC_KEY', '', PUBLIC_KEY, 'a public key, DER in base64'),
    apiKeys: list('API_KEYS', API_KEY, 'names with SHA-256 hashes: app:9f86d0…,web:60303a…'),
    apiKeysFile: text('API_KEYS_FILE', '', /^/, 'a file'),
    jwt: {
      jwksUrl: text('JWT_JWKS_URL', '', JWKS_URL, 'a URL of https or file, or of http on this machine'),
      issuer: text('JWT_ISSUER', '', /^/, 'the issuer of the tokens'),
      audience: text('JWT_AUDIENCE', '', /^/, 'the audience of the tokens'),
    },
    publicRoutes: list(
      'PUBLIC_ROUTES',
      new RegExp(`^(${PUBLIC_ROUTES.join('|')})$`),
      PUBLIC_ROUTES.join(','),
    ),
    corsOrigins: list('CORS_ORIGINS', ORIGIN, 'origins with commas between, https://example.org, or *'),
    trustProxy: whole('TRUST_PROXY', 16, 0),
    rateLimit: whole('RATE_LIMIT', 1_000_000, 0),
    verifyFailures: whole('VERIFY_FAILURES', 1000, 5),
    bodyLimit: whole('BODY_LIMIT', 6 * 1024 * 1024, 64 * 1024, 1024),
    batchBodyLimit: whole('BATCH_BODY_LIMIT', 64 * 1024 * 1024, 1024 * 1024, 1024),
    maxConnections: whole('MAX_CONNECTIONS', 1_000_000, 4096, 1),
    overloadMs: whole('OVERLOAD_MS', 10_000, 10),
    dataDir: dataDir && resolve(dataDir),
    enrolmentTable: text('ENROLMENT_TABLE', '', TABLE, 'the name of a table of DynamoDB'),
    enrolmentKeys: list(
      'ENROLMENT_KEYS',
      ENROLMENT_KEY,
      'ids with 64 hexadecimal digits each: 1:9f86d0…,2:60303a…',
    ),
    retentionDays: whole('RETENTION_DAYS', 3650, 0),
    maxTexts: whole('MAX_TEXTS', 10_000, 100, 1),
    maxEnrolled: whole('MAX_ENROLLED', 100_000, 10_000, 1),
    keepSamples: isOn('KEEP_SAMPLES', false),
    updateTemplates: isOn('UPDATE_TEMPLATES', false),
    staleDays: whole('STALE_DAYS', 3650, 180),
    // CloudWatch asks for money for each.
    metrics: isOn('METRICS', !env.AWS_LAMBDA_FUNCTION_NAME),
    tracesEndpoint:
      text(TRACES, '', COLLECTOR, 'a URL of http or https') ||
      text(TELEMETRY, '', COLLECTOR, 'a URL of http or https').replace(/(.)\/?$/, '$1/v1/traces'),
    basePath: text('BASE_PATH', '', /^(\/[A-Za-z0-9._~-]+)*$/, 'a path such as /api/v1'),
    functionName: env.AWS_LAMBDA_FUNCTION_NAME ?? '',
    version,
  }
  if (config.modelUri !== '' && env.MODEL_DIR !== undefined) {
    throw coded('KSR_CONFIG', ['only one of MODEL_URI and MODEL_DIR can be set'])
  }
  const both = config.hideScores.find((name) => config.showScores.includes(name))
  if (both !== undefined) throw coded('KSR_CONFIG', [`HIDE_SCORES and SHOW_SCORES both name "${both}"`])
  const ids = config.enrolmentKeys.map((key) => key.split(':')[0])
  if (new Set(ids).size < ids.length) throw coded('KSR_CONFIG', ['ENROLMENT_KEYS has two keys of one id'])
  const { jwksUrl, issuer, audience } = config.jwt
  // Whose tokens, and made for whom: a token for another service of the same issuer must not do.
  if ([jwksUrl, issuer, audience].includes('') && jwksUrl + issuer + audience !== '') {
    throw coded('KSR_CONFIG', ['JWT_JWKS_URL, JWT_ISSUER and JWT_AUDIENCE belong together'])
  }
  return config

  function text(name: string, fallback: string, form: RegExp, described: string): string {
    const value = env[name] ?? fallback
    if (!form.test(value)) throw coded('KSR_CONFIG', [`${name} must be ${described}`])
    return value
  }

  function whole(name: string, maximum: number, fallback: number, minimum = 0): number {
    const value = Number(text(name, String(fallback), /^\d+$/, 'a whole number'))
    if (value > maximum) throw coded('KSR_CONFIG', [`${name} must be a whole number up to ${maximum}`])
    if (value < minimum) throw coded('KSR_CONFIG', [`${name} must be a whole number from ${minimum} on`])
    return value
  }

  function isOn(name: string, fallback: boolean): boolean {
    return text(name, fallback ? 'on' : 'off', /^(on|off)$/, 'on or off') === 'on'
  }

  function list(name: string, form = /^/, described = 'names with commas between: svm,rf'): string[] {
    const items = text(name, '', /^([^,\s]+(,[^,\s]+)*)?$/, described)
    const listed = items === '' ? [] : items.split(',')
    if (!listed.every((item) => form.test(item))) throw coded('KSR_CONFIG', [`${name} must be ${described}`])
    return listed
  }
}
