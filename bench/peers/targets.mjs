// The services that ours is measured against: how to prepare, start and ask each.
import { execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const here = (path) => fileURLToPath(new URL(path, import.meta.url))
const json = async (file) => JSON.parse(await readFile(file, 'utf8'))

const MODELS = here('../../models')
const PACKAGES = {
  'requirements.lock': [
    'fastapi',
    'uvicorn',
    'uvloop',
    'httptools',
    'pydantic',
    'onnxruntime',
    'flask',
    'werkzeug',
    'gunicorn',
    'numpy',
    'scikit-learn',
    'xgboost-cpu',
  ],
  'requirements-mlserver.lock': ['mlserver', 'mlserver-sklearn'],
}

const SAMPLE = {
  HT: { Mean: 48.43, STD: 23.34 },
  PPT: { Mean: 120.43, STD: 37.41 },
  RRT: { Mean: 124.43, STD: 45.34 },
  RPT: { Mean: 132.56, STD: 47.12 },
}
// What all three reference models answer, where made from the data that the model card names.
const SAMPLE_USER = 84
const SAMPLE_DATA = 'd94fadc0cf773596a6bfaf5b506aa72cd86a601f8e9295770c9d256e17869a84'

// A peer that has one core must not start threads for more.
const ONE_THREAD = { OMP_NUM_THREADS: '1', OPENBLAS_NUM_THREADS: '1', MKL_NUM_THREADS: '1' }

// SHA-256 of the data: `shipped`, that the files of models/ were made from; `pickled`, that of the estimators here.
const data = {}

/**
 * Installs what the peers need, and makes the estimators: from the CSV file that KEYSTROKE_DATA names, else from made-up
 * typings. Does only what has not been done.
 * @param folder where to put some 200 MB of estimators
 */
export async function preparePeers(folder) {
  const workDir = resolve(folder)
  await run(here('environment.sh'))
  versions.python = (await output(python, '-c', 'import platform; print(platform.python_version())')).trim()

  await mkdir(workDir, { recursive: true })
  await makeModels(workDir, process.env.KEYSTROKE_DATA)
  data.shipped = (await json(join(MODELS, 'manifest.json'))).data.sha256
  data.pickled = (await json(join(workDir, 'data.json'))).sha256

  await writeMlserver(join(workDir, 'mlserver'), workDir)
  await writeMlserver(join(workDir, 'mlserver-batching'), workDir, {
    max_batch_size: 32,
    max_batch_time: 0.005,
  })
}

/** Versions of the main packages, by name; that of `python` once the peers are prepared. */
export const versions = Object.fromEntries(
  (
    await Promise.all(
      Object.entries(PACKAGES).map(async ([file, names]) => {
        const lock = await readFile(here(file), 'utf8')
        return names.map((name) => [name, new RegExp(`^${name}==(\\S+)`, 'm').exec(lock)[1]])
      }),
    )
  ).flat(),
)

const python = here('.venv/web/bin/python')

const flask = {
  models: ['svm', 'rf', 'xgb'],
  request: (model) => ({ path: '/predict', body: { Model: model.toUpperCase(), ...SAMPLE }, headers: {} }),
  check: (_model, answer) => checkUser(answer.prediction, data.pickled),
}

const mlserver = {
  models: ['rf'],
  request: (model) => ({
    path: `/v2/models/${model}/infer`,
    body: {
      inputs: [
        {
          name: 'input',
          shape: [1, 8],
          datatype: 'FP32',
          data: Object.values(SAMPLE).flatMap(({ Mean, STD }) => [Mean, STD]),
        },
      ],
    },
    headers: {},
  }),
  check: (model, { model_name, outputs }) => {
    if (model_name !== model) throw new Error(`answered by ${model_name}, not ${model}`)
    checkUser(outputs[0].data[0], data.pickled)
  },
}

/**
 * Each peer has a `name`; a `title`; `models`, which it serves; `command(port, workDir)`, the `file`, `args` and
 * additional `env` of the process that serves them on 127.0.0.1 until SIGTERM; `request(model)`, the `path`, `body` and
 * additional `headers` of a POST; and `check(model, answer)`, which throws at a wrong parsed answer. One closes the
 * connection after each answer, `keepAlive: false`, and has models that should be asked over so many `connections` only.
 */
export const peers = [
  {
    name: 'fastapi',
    title: 'FastAPI + ONNX Runtime, on uvicorn',
    models: ['svm', 'rf', 'xgb'],
    command: (port) => ({
      file: python,
      args: [here('fastapi_onnx.py'), `${port}`, MODELS],
      env: ONE_THREAD,
    }),
    request: (model) => ({ path: `/predict/${model}`, body: SAMPLE, headers: {} }),
    check: (model, answer) => {
      if (answer.model !== model) throw new Error(`answered by ${answer.model}, not ${model}`)
      checkUser(answer.user, data.shipped)
    },
  },
  {
    ...flask,
    name: 'flask-original',
    title: "the original's Flask: a pickle loaded per request, on Flask's own server",
    keepAlive: false,
    // Every request under way holds an estimator of its own, the forest in 150 MB or more; more at a time are no faster.
    connections: { rf: 4, xgb: 4 },
    command: (port, workDir) => ({
      file: python,
      args: [here('flask_original.py'), `${port}`],
      env: { ...ONE_THREAD, FOLDER: resolve(workDir) },
    }),
  },
  {
    ...flask,
    name: 'flask-kept',
    title: "the original's Flask with the models kept in memory, on gunicorn",
    command: (port, workDir) => ({
      file: here('.venv/web/bin/gunicorn'),
      args: [
        ...['--bind', `127.0.0.1:${port}`, '--pythonpath', here('.')],
        ...['--worker-class', 'gthread', '--threads', '4', '--keep-alive', '60'],
        ...['--log-level', 'warning', '--no-control-socket', 'flask_original:make_app()'],
      ],
      env: { ...ONE_THREAD, FOLDER: resolve(workDir), KEEP: '1' },
    }),
  },
  {
    ...mlserver,
    name: 'mlserver',
    title: 'MLServer with its scikit-learn runtime',
    command: (port, workDir) => mlserverCommand(port, resolve(workDir, 'mlserver')),
  },
  {
    ...mlserver,
    name: 'mlserver-batching',
    title: 'MLServer with its scikit-learn runtime, answering up to 32 requests at once',
    command: (port, workDir) => mlserverCommand(port, resolve(workDir, 'mlserver-batching')),
  },
]

function checkUser(user, sha256) {
  if (!Number.isInteger(user)) throw new Error(`answered ${JSON.stringify(user)}, which is no user`)
  if (sha256 === SAMPLE_DATA && user !== SAMPLE_USER) throw new Error(`answered ${user}, not ${SAMPLE_USER}`)
}

function mlserverCommand(port, folder) {
  return {
    file: here('.venv/mlserver/bin/mlserver'),
    args: ['start', folder],
    env: { ...ONE_THREAD, MLSERVER_HTTP_PORT: `${port}` },
  }
}

async function writeMlserver(folder, workDir, batching = {}) {
  await rm(folder, { recursive: true, force: true }) // it serves every model that it finds there
  // MLServer wants the folder of a model to have its name.
  await mkdir(join(folder, 'rf'), { recursive: true })
  const settings = {
    debug: false,
    host: '127.0.0.1',
    grpc_port: 0, // gRPC cannot be turned off; any port that is free
    metrics_endpoint: null,
    gzip_enabled: false,
    parallel_workers: 0,
  }
  const model = {
    name: 'rf',
    implementation: 'mlserver_sklearn.SKLearnModel',
    ...batching,
    parameters: { uri: join(workDir, 'forest.joblib') },
  }
  await writeFile(join(folder, 'settings.json'), JSON.stringify(settings))
  await writeFile(join(folder, 'rf', 'model-settings.json'), JSON.stringify(model))
}

async function makeModels(workDir, csv) {
  const inputs = [here('make_models.py'), here('requirements.lock'), ...(csv ? [csv] : [])]
  const hash = createHash('sha256')
  for (const file of inputs) hash.update(await readFile(file))
  const made = hash.digest('hex')
  const stamp = join(workDir, 'made-from')
  if ((await readFile(stamp, 'utf8').catch(() => '')) === made) return
  const source = csv ? 'the typings of KEYSTROKE_DATA' : 'made-up typings, for KEYSTROKE_DATA is not set'
  console.error(`Fitting the peers' estimators to ${source}`)
  await run(python, [here('make_models.py'), workDir, ...(csv ? [csv] : [])], {
    PYTHONPATH: here('../../training'),
  })
  await writeFile(stamp, made)
}

async function output(file, ...args) {
  return (await promisify(execFile)(file, args)).stdout
}

/** Runs a program to its end; what it writes goes to standard error. */
async function run(file, args = [], env = {}) {
  const child = spawn(file, args, { stdio: ['ignore', 2, 2], env: { ...process.env, ...env } })
  const [status] = await once(child, 'exit')
  if (status !== 0) throw new Error(`${file} ended with status ${status}`)
}
