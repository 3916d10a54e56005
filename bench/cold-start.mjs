// Measures the cold start of the Lambda image beside that of a bare Fastify in the same runtime: bench/README.md
//
//   node bench/cold-start.mjs [--runs 11] [--image NAME=REFERENCE ...] [--env NAME:KEY=VALUE ...] [--write]
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { call, inspectImage } from './lib/engine.mjs'
import { buildHello } from './lib/hello.mjs'
import { machine } from './lib/machine.mjs'
import { coldStart, removeAll } from './lib/measure.mjs'
import { sizesTable, timesTable } from './lib/report.mjs'
import { sizes } from './lib/sizes.mjs'

const RESULTS = new URL('results/cold-start.md', import.meta.url)
const SETTINGS = [
  { name: 'Full speed', goals: { time: 1.6, rss: 130 } },
  { name: '0.29 vCPU', cpus: 0.29, goals: { time: 2, rss: 130 } },
]
// A start is quiet when everything else on the machine takes no more than this.
const QUIET_CORES = 0.25
const TRIES = 3
const RESERVED = ['hello', 'lambda', 'server']
const SIZE_GOALS = { lambda: 60, server: 75 }
const ENVIRONMENT = {
  AWS_LAMBDA_FUNCTION_NAME: 'keystroke_based_user_recognition',
  AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
  AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '512',
  AWS_LAMBDA_LOG_GROUP_NAME: '/aws/lambda/keystroke_based_user_recognition',
  AWS_LAMBDA_LOG_STREAM_NAME: 'bench',
  AWS_REGION: 'us-east-1',
  MODELS: 'svm,rf,xgb',
  LOG_LEVEL: 'info',
}

const { values: options } = parseArgs({
  options: {
    runs: { type: 'string', default: '11' },
    image: { type: 'string', multiple: true, default: [] },
    env: { type: 'string', multiple: true, default: [] },
    write: { type: 'boolean', default: false },
  },
})
const rounds = Number(options.runs)
if (!(Number.isInteger(rounds) && rounds > 0)) throw new Error(`--runs ${options.runs}: not a number of runs`)

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, async () => {
    await removeAll()
    process.exit(1)
  })
}

const recipe = await readFile(new URL('../Dockerfile', import.meta.url), 'utf8')
const [nodeBase, lambdaBase] = ['NODE_IMAGE', 'LAMBDA_IMAGE'].map(
  (name) => new RegExp(`^ARG ${name}=(.+)$`, 'm').exec(recipe)[1],
)
const lambda = await inspectImage('keystroke-recognition:lambda')
const server = await inspectImage('keystroke-recognition:server')
const images = new Map([['lambda', lambda]])
for (const [name, reference] of options.image.map((text) => parts(text, /^([^=]+)=(.+)$/))) {
  images.set(name, await inspectImage(reference))
}
// hello first: the others are compared to it.
const hello = await buildHello(lambdaBase)
const targets = new Map([['hello', { name: 'hello', image: hello, env: ENVIRONMENT, check: checkHello }]])
for (const [name, image] of images) {
  targets.set(name, { name, image, env: ENVIRONMENT, check: checkPrediction })
}
for (const [name, key, value] of options.env.map((text) => parts(text, /^([^:]+):([^=]+)=(.*)$/))) {
  const target = targets.get(name) ?? targets.get('lambda')
  targets.set(name, { ...target, name, env: { ...target.env, [key]: value } })
}

const found = new Map()
for (const [name, image] of images) found.set(name, await sizes(image, lambdaBase))
found.set('server', await sizes(server, nodeBase))

const runs = new Map(
  SETTINGS.map((setting) => [setting, new Map([...targets.keys()].map((name) => [name, []]))]),
)
for (let round = 0; round <= rounds; round++) {
  for (const setting of SETTINGS) {
    for (const name of turned([...targets.keys()], round)) {
      const run = await quietStart(targets.get(name), setting.cpus)
      // The first round is what brings the files into memory.
      if (round > 0) runs.get(setting).get(name).push(run)
    }
  }
  console.error(`round ${round} of ${rounds}${round ? '' : ' (not counted)'}`)
}

const report = await describe()
console.log(report)
if (options.write) {
  await mkdir(new URL('.', RESULTS), { recursive: true })
  await writeFile(RESULTS, report)
}

async function describe() {
  const { Version: engine } = await call('GET', '/version')
  const command = ['node bench/cold-start.mjs', ...process.argv.slice(2).map(quoted)].join(' ')
  const starts = SETTINGS.flatMap((setting) => [...runs.get(setting).values()]).flat()
  const disturbed = starts.filter(({ others }) => others > QUIET_CORES).length
  return `# Cold start

Medians of ${rounds} cold starts of each, in turn; smallest and largest in brackets, and beside the ratio of medians that of the
smallest. What is measured, and how: [README](../README.md).

${SETTINGS.map((setting) => `## ${setting.name}\n\n${timesTable(runs.get(setting), setting.goals)}\n`).join('\n')}
## What the images add to their bases

${sizesTable(found, SIZE_GOALS)}

## Where

- ${machine()}, Docker ${engine}
- Node ${found.get('lambda').node} in the images
- During ${disturbed} of these ${starts.length} starts other work kept more than ${QUIET_CORES} cores busy
- ${[...targets].map(([name, { image }]) => `${name} \`${image.Id.slice(7, 19)}\``).join(', ')}

\`\`\`sh
docker compose build server lambda
${command}
\`\`\`
`
}

/** Of a few starts the first that the rest of the machine left alone, or else the one it disturbed least. */
async function quietStart(target, share) {
  let best
  for (let tries = 0; tries < TRIES && !(best?.others <= QUIET_CORES); tries++) {
    const run = await coldStart(target, share)
    if (!best || run.others < best.others) best = run
  }
  return best
}

/** Another one goes first every round. */
function turned(names, by) {
  const first = by % names.length
  return [...names.slice(first), ...names.slice(0, first)]
}

function quoted(argument) {
  return /^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument}'`
}

function parts(text, pattern) {
  const match = pattern.exec(text)
  if (!match) throw new Error(`${text}: not of the form that bench/README.md shows`)
  if (RESERVED.includes(match[1])) throw new Error(`${text}: ${match[1]} is there already`)
  return match.slice(1)
}

function checkHello({ statusCode, body }) {
  if (statusCode !== 200 || body !== '{"hello":"world"}')
    throw new Error(`hello answered ${statusCode}: ${body}`)
}

function checkPrediction({ statusCode, body }, model) {
  const wrong = statusCode !== 200 || (model === 'RF' && JSON.parse(body).user !== 84)
  if (wrong) throw new Error(`${model} answered ${statusCode}: ${body}`)
}
