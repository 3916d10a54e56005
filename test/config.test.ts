import { readFileSync } from 'node:fs'
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
    modelDir: MODELS,
    models: [],
    maxCandidates: 5,
    hideScores: [],
    showScores: [],
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
    ['MODELS', 'svm,,rf'],
    ['MAX_CANDIDATES', '-1'],
    ['MAX_CANDIDATES', '2.5'],
    ['MAX_CANDIDATES', '1001'],
    ['HIDE_SCORES', 'rf, svm'],
    ['SHOW_SCORES', ','],
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

t.test('scores that are both hidden and shown stop the start', async (t) => {
  t.throws(() => loadConfig({ HIDE_SCORES: 'svm,rf', SHOW_SCORES: 'rf' }), {
    code: 'KSR_CONFIG',
    message: 'The environment is not right: HIDE_SCORES and SHOW_SCORES both name "rf".',
  })
})
