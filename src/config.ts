import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { coded } from './errors.js'

/** What the service is told from outside, checked and complete. */
export interface Config {
  port: number
  host: string
  /** How many processes serve on the port. */
  workers: number
  logLevel: string
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
  /** A path prefix that a proxy leaves on the requests; '' for none. */
  basePath: string
  /** The name under which Lambda runs this; '' elsewhere. */
  functionName: string
  /** The version of the service, from package.json. */
  version: string
}

/** A bucket and what stands before the names of files: nothing that a key or a path could take for something else. */
const S3_FOLDER = /^(s3:\/\/(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](\/[A-Za-z0-9_][A-Za-z0-9._=-]*)*\/?)?$/

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']

/**
 * The settings from the environment, with their defaults.
 * @throws KSR_CONFIG naming the setting that has a value it can't have
 */
export function loadConfig(env: NodeJS.ProcessEnv = process.env): Config {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
  const config: Config = {
    port: whole('PORT', 65535, 3000),
    host: text('HOST', '127.0.0.1', /./, 'an address'),
    workers: whole('WORKERS', 64, 1, 1),
    logLevel: text('LOG_LEVEL', 'info', new RegExp(`^(${LOG_LEVELS.join('|')})$`), LOG_LEVELS.join(', ')),
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
    basePath: text('BASE_PATH', '', /^(\/[A-Za-z0-9._~-]+)*$/, 'a path such as /api/v1'),
    functionName: env.AWS_LAMBDA_FUNCTION_NAME ?? '',
    version,
  }
  if (config.modelUri !== '' && env.MODEL_DIR !== undefined) {
    throw coded('KSR_CONFIG', ['only one of MODEL_URI and MODEL_DIR can be set'])
  }
  const both = config.hideScores.find((name) => config.showScores.includes(name))
  if (both !== undefined) throw coded('KSR_CONFIG', [`HIDE_SCORES and SHOW_SCORES both name "${both}"`])
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

  function list(name: string): string[] {
    const names = text(name, '', /^([^,\s]+(,[^,\s]+)*)?$/, 'names with commas between: svm,rf')
    return names === '' ? [] : names.split(',')
  }
}
