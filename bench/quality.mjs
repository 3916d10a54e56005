// Enrols people of a data set whom the models were not fitted on, over the API, and measures how they are recognised:
// bench/README.md
//
//   node bench/quality.mjs DATA [--splits 3] [--write]
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { buildApp } from '../dist/app.js'
import { loadConfig } from '../dist/config.js'
import { randomness } from './enrolment/typists.mjs'
import { machine } from './lib/machine.mjs'
import { count } from './lib/options.mjs'
import { table } from './lib/report.mjs'

const REPORT = new URL('results/quality.md', import.meta.url)
/** For the model card, which the trainer writes. */
const FIGURES = new URL('results/quality.json', import.meta.url)
const TRAIN = fileURLToPath(new URL('../training/train', import.meta.url))
const UNSEEN = 30
/** The service recognises nobody with fewer samples. */
const FEWEST = 3
const ATTEMPTS = [1, 2]
const FMR = [0.001, 0.01, 0.05]
const DEFAULT = 0.01
/** Of the scores that are answered. */
const STEP = 8

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { splits: { type: 'string', default: '3' }, write: { type: 'boolean', default: false } },
})
const [path] = positionals
if (path === undefined) throw new Error('the data set is missing')
const data = readFileSync(path)
const [header, ...lines] = data.toString().trimEnd().split(/\r?\n/)
const byUser = grouped(lines)
const splits = count(options, 'splits')

/** By samples and attempts: what every claim was answered. */
const asked = new Map()
for (let split = 1; split <= splits; split++) await measure(split)
const measured = figures()
const text = report(measured)
console.log(text)
if (options.write) {
  const sha256 = createHash('sha256').update(data).digest('hex')
  writeFileSync(REPORT, text)
  writeFileSync(FIGURES, `${JSON.stringify({ data: sha256, splits, unseen: UNSEEN, measured }, null, 2)}\n`)
}

async function measure(split) {
  const random = randomness(split)
  const users = [...byUser.keys()].map((user) => [random(), user]).sort(([a], [b]) => a - b)
  const unseen = users.slice(0, UNSEEN).map(([, user]) => user)
  const folder = mkdtempSync(join(tmpdir(), 'keystroke-recognition-quality-'))
  try {
    const known = users.slice(UNSEEN).flatMap(([, user]) => byUser.get(user))
    writeFileSync(join(folder, 'known.csv'), [header, ...known, ''].join('\n'))
    console.error(`split ${split} of ${splits}: fitting the population of ${users.length - UNSEEN}`)
    const models = join(folder, 'models')
    execFileSync(TRAIN, [join(folder, 'known.csv'), '--out', models, '--models', 'templates'], {
      stdio: 'ignore',
    })
    const settings = {
      LOG_LEVEL: 'silent',
      MODEL_DIR: models,
      DATA_DIR: join(folder, 'data'),
      VERIFY_FAILURES: '0',
    }
    const most = Math.min(...unseen.map((user) => byUser.get(user).length))
    for (let samples = FEWEST; samples < most; samples++) {
      const text = `/texts/with-${samples}`
      const probes = []
      await serving(settings, async (ask) => {
        await ask('PUT', text, { keys: typing(lines[0]).keystrokes.length })
        for (const user of unseen) {
          // Chosen anew for each number of samples: otherwise it would always be the last ones that are asked about.
          const typings = byUser
            .get(user)
            .map((line) => [random(), typing(line)])
            .sort(([a], [b]) => a - b)
          const [own, others] = [typings.slice(0, samples), typings.slice(samples)].map((some) =>
            some.map(([, one]) => one),
          )
          await ask('POST', `${text}/users/u${user}/samples`, { attempts: own })
          probes.push({ user: `u${user}`, typings: others })
        }
      })
      for (const attempts of ATTEMPTS) await claims({ settings, text, samples, attempts, probes })
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Has the service started for some questions. Each start forgets which typings it has heard: it refuses them the second time. */
async function serving(settings, questions) {
  const app = buildApp(loadConfig(settings))
  await questions(async (method, url, payload) => {
    const answer = await app.inject({ method, url, payload })
    if (answer.statusCode >= 300) throw new Error(`${url}: ${answer.body}`)
    return answer.json()
  })
  await app.close()
}

/** Has every typing, or every few of them, claim to be everybody, at each operating point; and asks whose it is. */
async function claims({ settings, text, samples, attempts, probes }) {
  const groups = probes.flatMap(({ user, typings }) =>
    Array.from({ length: Math.floor(typings.length / attempts) }, (_, group) => ({
      user,
      sample: { attempts: typings.slice(group * attempts, (group + 1) * attempts) },
    })),
  )
  if (groups.length === 0) return
  const key = `${samples},${attempts}`
  const found = asked.get(key) ?? { samples, attempts, points: [], first: 0, identified: 0 }
  asked.set(key, found)
  for (const [i, fmr] of FMR.entries()) {
    found.points[i] ??= { fmr, genuine: [], impostor: [] }
    const point = found.points[i]
    await serving(settings, async (ask) => {
      for (const { user, sample } of groups) {
        for (const { user: claimed } of probes) {
          const { match, score, threshold } = await ask('POST', `${text}/verify?fmr=${fmr}`, {
            user: claimed,
            ...sample,
          })
          ;(claimed === user ? point.genuine : point.impostor).push({
            match,
            step: Math.round((score - threshold) / STEP),
          })
        }
      }
    })
  }
  await serving(settings, async (ask) => {
    for (const { user, sample } of groups) {
      const { user: first } = await ask('POST', `${text}/identify`, sample)
      found.identified++
      if (first === user) found.first++
    }
  })
}

/**
 * The equal error rate. Scores are answered by steps from each threshold on: who reaches a step is known exactly, and between
 * two of the steps of all thresholds the logarithms of both rates lie about on a straight line.
 */
function equalErrorRate(points) {
  const reached = points.flatMap(({ genuine, impostor }) => {
    const steps = [...new Set([...genuine, ...impostor].map(({ step }) => step))]
    // Nobody at all is told as half a claim.
    const rate = (claims, is) => Math.log(Math.max(share(claims, is), 0.5 / claims.length))
    return steps.map((least) => ({
      fmr: rate(impostor, ({ step }) => step >= least),
      fnmr: rate(genuine, ({ step }) => step < least),
    }))
  })
  reached.sort((a, b) => b.fmr - a.fmr || a.fnmr - b.fnmr)
  const after = reached.findIndex(({ fmr, fnmr }) => fnmr >= fmr)
  const [before, now] = [reached[after - 1], reached[after]]
  const gap = before.fmr - before.fnmr
  const part = gap / (gap + now.fnmr - now.fmr)
  return Math.exp(before.fmr + part * (now.fmr - before.fmr))
}

function share(claims, is) {
  return claims.filter(is).length / claims.length
}

function figures() {
  return [...asked.values()].map(({ samples, attempts, points, first, identified }) => {
    const at = points.find(({ fmr }) => fmr === DEFAULT)
    return {
      samples,
      attempts,
      genuine: at.genuine.length,
      impostor: at.impostor.length,
      eer: rounded(equalErrorRate(points)),
      points: points.map(({ fmr, genuine, impostor }) => ({
        fmr,
        fnmr: rounded(share(genuine, ({ match }) => !match)),
        realisedFmr: rounded(share(impostor, ({ match }) => match)),
      })),
      rank1: rounded(first / identified),
    }
  })
}

function report(measured) {
  const rows = measured.map(({ samples, attempts, genuine, impostor, eer, points, rank1 }) => {
    const rates = points.flatMap(({ fnmr, realisedFmr }) => [percent(fnmr), percent(realisedFmr)])
    return [samples, attempts, genuine, impostor, percent(eer), ...rates, percent(rank1)]
  })
  const names = ['samples', 'attempts', 'true claims', 'false claims', 'EER']
  const rates = FMR.flatMap((fmr) => [`FNMR at ${100 * fmr} %`, `FMR found`])
  return `# Recognition of enrolled users, over the API

Made by \`npm run bench:quality\`, splits: ${splits}. ${machine()}

In each split the models were fitted on all users but ${UNSEEN}; these were enrolled with \`POST /texts/:text/users/:user/samples\`, and
their other typings sent to \`/verify\`, claiming to be each of the ${UNSEEN}, and to \`/identify\`. One threshold for all. What the
trainer measured of the same people and more splits is in [the model card](../../models/README.md).

${table([...names, ...rates, `rank-1 among ${UNSEEN}`], rows)}
`
}

function typing(line) {
  const times = line.split(',').slice(1).map(Number)
  return { keystrokes: times.flatMap((press, i) => (i % 2 === 0 ? [{ press, release: times[i + 1] }] : [])) }
}

function rounded(rate) {
  return Math.round(1e4 * rate) / 1e4
}

function percent(rate) {
  return `${(100 * rate).toFixed(2)} %`
}

function grouped(lines) {
  const groups = new Map()
  for (const line of lines) {
    const user = line.slice(0, line.indexOf(','))
    groups.set(user, [...(groups.get(user) ?? []), line])
  }
  return groups
}
