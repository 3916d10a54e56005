// Measures how the cost of a request, the model files and their loading grow: bench/README.md
//
//   node bench/scale.mjs [--users 10,110,1000,10000] [--runs 5] [--folder FOLDER] [--write]
import { execFile } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs, promisify } from 'node:util'
import { machine } from './lib/machine.mjs'
import { median } from './lib/statistics.mjs'
import { makeModels } from './scale/models.mjs'
import { plot } from './scale/plot.mjs'
import {
  candidatesTable,
  filesTable,
  growthTable,
  keysGrowth,
  keysTable,
  limits,
  remarks,
  rowMicros,
  rowsTable,
} from './scale/report.mjs'

const REPORT = new URL('results/scale.md', import.meta.url)
const FIGURE = new URL('results/scale.svg', import.meta.url)
const BATCHES = [1, 8, 32, 100, 1000]
const PLOTTED = [1, 32]
const KEYS = [8, 13, 64]
const SECONDS = 0.25 // for each kind of run, in each process
const MEMORY = 4e9 // more is not tried
const TIMEOUT_MS = 300_000

const { values: options } = parseArgs({
  options: {
    users: { type: 'string', default: '10,110,1000,10000' },
    runs: { type: 'string', default: '5' },
    folder: { type: 'string', default: join(tmpdir(), 'keystroke-recognition-scale') },
    write: { type: 'boolean', default: false },
  },
})
const users = options.users.split(',').map((text) => whole(text, '--users', 2))
users.sort((a, b) => a - b)
const rounds = whole(options.runs, '--runs', 1)

const models = await makeModels(options.folder, users, (text) => console.error(text))
const processes = new Map(models.filter(({ file }) => file).map((entry) => [entry, []]))
const requests = []
// In turn, so that what disturbs one round disturbs all models alike.
for (let round = 1; round <= rounds; round++) {
  for (const [entry, runs] of processes) {
    if (runs.includes(undefined)) continue
    runs.push(await measure(entry))
  }
  requests.push(await run('scale/measure-requests.mjs', { folder: options.folder, keys: KEYS, users }))
  console.error(`round ${round} of ${rounds}`)
}
const results = models.map((entry) => ({ ...entry, found: joined(processes.get(entry) ?? []) }))

const report = await describe()
console.log(report)
if (options.write) {
  await mkdir(new URL('.', REPORT), { recursive: true })
  await writeFile(REPORT, report)
  await writeFile(FIGURE, plot(points()))
}

/** @returns what one process found, or undefined where it was not done in time */
async function measure({ model, users, file, rows }) {
  const task = { file, rows, batches: BATCHES, seconds: SECONDS, memory: MEMORY }
  return run('scale/measure-model.mjs', task).catch((error) => {
    if (!error.killed) throw error
    console.error(`${model} for ${users} users: not done in ${TIMEOUT_MS / 1000} s`)
  })
}

async function run(script, task) {
  const path = fileURLToPath(new URL(script, import.meta.url))
  const args = ['--expose-gc', path, JSON.stringify(task)]
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: TIMEOUT_MS })
  return JSON.parse(stdout)
}

/** Of several processes that asked the same model: times are the smallest, memory the median. */
function joined(runs) {
  if (runs.length === 0 || runs.includes(undefined)) return undefined
  const all = (key) => runs.map((found) => found[key])
  return {
    bytes: runs[0].bytes,
    check: Math.min(...all('check')),
    open: Math.min(...all('open')),
    rss: median(all('rss')),
    peak: median(all('peak')),
    runs: BATCHES.map((batch, index) => {
      const same = runs.map((found) => found.runs[index])
      const asked = same.filter(({ micros }) => micros)
      const used = median(asked.map(({ used }) => used))
      if (asked.length === 0) return { batch, needed: median(same.map(({ needed }) => needed)) }
      const smallest = (name) => Math.min(...asked.map(({ micros }) => micros[name]))
      return { batch, used, micros: { label: smallest('label'), scores: smallest('scores') } }
    }),
  }
}

/** The smallest of the rounds, number by number. */
function smallest(values) {
  const [first] = values
  if (typeof first === 'number') return Math.min(...values)
  if (typeof first !== 'object') return first
  const entries = Object.entries(first).map(([key]) => [key, smallest(values.map((value) => value[key]))])
  return Array.isArray(first) ? entries.map(([, value]) => value) : Object.fromEntries(entries)
}

function points() {
  return results
    .filter(({ found }) => found)
    .flatMap(({ model, users, how, found }) =>
      PLOTTED.map((batch) => ({
        model,
        users,
        batch,
        micros: rowMicros(found, batch),
        built: how.startsWith('built'),
      })),
    )
    .filter(({ micros }) => micros !== undefined)
}

async function describe() {
  const command = ['node bench/scale.mjs', ...process.argv.slice(2).map(quoted)].join(' ')
  const runtime = new URL('../node_modules/onnxruntime-node/package.json', import.meta.url)
  const { version } = JSON.parse(await readFile(runtime, 'utf8'))
  const seconds = results.reduce((sum, entry) => sum + entry.seconds, 0)
  const { requests: bodies, candidates } = smallest(requests)
  const keys = keysGrowth(bodies)
  return `# Scale

How cost grows with the users, the keys and the rows of a batch. Models of made-up typings, eight of each user, by the
trainer's own exporters, in onnxruntime-node as the service opens it: one thread. Times of models are CPU time.
Each model is measured in ${rounds} processes of its own: times are the smallest, memory is the median. What is measured,
and how: [README](../README.md).

![CPU time of one feature row against the users of the model](scale.svg)

## Growth with the users

From one number of users to the next, and in brackets the power of the users that it is: 1 is linear. Bold is worse.

${growthTable(results)}

- \`svm\` has a machine for every pair of users: work, file and memory are of their square.
- \`rf\` has as many trees whatever the users, with a leaf for nearly each typing: they grow in size with the users and
  in depth with the logarithm.
- \`xgb\` has a tree for every user in every round, and up to some hundred users each grows too.
- What no longer fits into a core's cache costs more than in proportion.

## Limits

${limits(results, MEMORY).join('\n')}

## Files and loading

*Check* is reading the file, its SHA-256 and the walk through it; *open* makes the session, the second one of its
process; *memory* is what that adds to the process, and *at most* what it adds on the way.

${filesTable(results)}

${remarks(results).join('\n')}

## A row by the size of its batch

CPU µs of a row where the label is asked, as for a plain request. *MB a row* is what the largest batch added to the
memory of the process, by its rows. *GB* is what a batch would take; it was not asked.

${rowsTable(results, BATCHES, 'label')}

With the scores, as for \`?top=5\`:

${rowsTable(results, BATCHES, 'scores')}

And to find the best five among the scores:

${candidatesTable(candidates)}

## Keys of the text

The models know eight numbers whatever the text: keys cost only before them. *All* is a request to \`rf\` as shipped with
everything but the socket. From ${KEYS[0]} to ${KEYS.at(-1)}, ${keys.growth} of JSON, schema and features. A body of at most
64 KiB holds some ${keys.most} keys with times like these.

${keysTable(bodies)}

## Where

- ${machine()}
- Node ${process.version}, ONNX Runtime ${version}
- Making the models took ${Math.round(seconds)} s

\`\`\`sh
npm run build
${command}
\`\`\`
`
}

function whole(text, option, least) {
  const value = Number(text)
  if (!(Number.isInteger(value) && value >= least)) throw new Error(`${option} ${text}: not a whole number`)
  return value
}

function quoted(argument) {
  return /^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument}'`
}
