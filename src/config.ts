import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Static, Type } from '@sinclair/typebox'
import envSchema from 'env-schema'
import { coded } from './errors.js'

const LIST = '^([^,\\s]+(,[^,\\s]+)*)?$'

const Environment = Type.Object({
  PORT: Type.Integer({ minimum: 0, maximum: 65535, default: 3000 }),
  HOST: Type.String({ minLength: 1, default: '127.0.0.1' }),
  LOG_LEVEL: Type.String({
    enum: ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
    default: 'info',
  }),
  MODEL_DIR: Type.String({ minLength: 1, default: fileURLToPath(new URL('../models', import.meta.url)) }),
  MODELS: Type.String({ pattern: LIST, default: '' }),
  MAX_CANDIDATES: Type.Integer({ minimum: 0, maximum: 1000, default: 5 }),
  HIDE_SCORES: Type.String({ pattern: LIST, default: '' }),
  BASE_PATH: Type.String({ pattern: '^(/[A-Za-z0-9._~-]+)*$', default: '' }),
})

/** What the service is told from outside, checked and complete. */
export interface Config {
  port: number
  host: string
  logLevel: string
  /** The folder that training wrote. */
  modelDir: string
  /** Which of the manifest's models to load; empty for all. */
  models: string[]
  /** The largest `?top=`; 0 turns candidates off. */
  maxCandidates: number
  /** The models whose candidates are answered without scores. */
  hideScores: string[]
  /** A path prefix that a proxy leaves on the requests; '' for none. */
  basePath: string
  /** The version of the service, from package.json. */
  version: string
}

/**
 * The settings from the environment, with their defaults.
 * @throws KSR_CONFIG naming the setting that has a value it can't have
 */
export function loadConfig(env: NodeJS.ProcessEnv = process.env): Config {
  const settings = readEnvironment(env)
  const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
  return {
    port: settings.PORT,
    host: settings.HOST,
    logLevel: settings.LOG_LEVEL,
    modelDir: settings.MODEL_DIR,
    models: list(settings.MODELS),
    maxCandidates: settings.MAX_CANDIDATES,
    hideScores: list(settings.HIDE_SCORES),
    basePath: settings.BASE_PATH,
    version: manifest.version,
  }
}

function readEnvironment(env: NodeJS.ProcessEnv): Static<typeof Environment> {
  // The library would take 0x10 for 16 and a blank for 0.
  for (const name of ['PORT', 'MAX_CANDIDATES']) {
    const value = env[name]
    if (value !== undefined && !/^\d+$/.test(value))
      throw coded('KSR_CONFIG', [`${name} must be a whole number`])
  }
  try {
    return envSchema<Static<typeof Environment>>({ schema: Environment, data: env, env: false })
  } catch (error) {
    // The library's message says what is wrong ("env/PORT must be integer"), in the words of a JSON path.
    throw coded('KSR_CONFIG', [(error as Error).message.replaceAll('env/', '')])
  }
}

function list(value: string): string[] {
  return value === '' ? [] : value.split(',')
}
