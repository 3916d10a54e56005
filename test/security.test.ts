import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readManifest } from '../src/inference/manifest.js'
import { modelFolder } from '../src/inference/model-source.js'
import { MODELS } from './fixtures/models.js'
import { links, titles } from './fixtures/references.js'

const ROOT = join(import.meta.dirname, '..')
const FOLDER = 'docs/security'
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')
/** In these a link to a test has its title. */
const WITH_PROOFS = [
  'SECURITY.md',
  'docs/biometric-data.md',
  ...readdirSync(join(ROOT, FOLDER)).map((name) => `${FOLDER}/${name}`),
]
const TEST = /^test\/.*\.test\.ts$|^training\/tests\/.*\.py$/

const proofs = (document: string, paper: string) =>
  links(document, paper).filter(({ path }) => TEST.test(path))

for (const paper of WITH_PROOFS) {
  t.test(`${paper} names tests that there are`, async (t) => {
    for (const { text, path } of proofs(read(paper), paper)) t.ok(titles(path).has(text), `${path}: ${text}`)
  })

  t.test(`nothing in ${paper} is pending`, async (t) => {
    t.same(read(paper).match(/PENDING.{0,80}/g) ?? [], [])
  })
}

const CHECKLIST = `${FOLDER}/asvs.md`
const TOP_10 = `${FOLDER}/owasp-top-10.md`
const asvs = read(CHECKLIST)
const LEVELS: Record<string, string[]> = JSON.parse(read('test/fixtures/asvs-5.json'))
const IDS = Object.values(LEVELS)
  .flat()
  .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
const VERDICTS = ['Written', 'Operator', 'Not here', 'Open']

/** Every row of the checklist: the requirements that it is about, their levels, and what it says of them. */
const rows = [...asvs.matchAll(/^\| ([\d.]+)(?:–([\d.]+))? \| ([\d–]+) \| [^|]+ \| (.*) \|$/gm)].map(
  ([, first = '', last = first, level = '', here = '']) => ({
    ids: IDS.slice(IDS.indexOf(first), IDS.indexOf(last) + 1),
    ends: [first, last],
    level,
    here,
    verdict: VERDICTS.find((word) => here.startsWith(`**${word}**`)) ?? 'proved',
  }),
)

t.test('every requirement of ASVS levels 1 and 2 has exactly one row, with its level', async (t) => {
  t.same([LEVELS[1]?.length, LEVELS[2]?.length], [70, 183], 'as many as ASVS 5.0.0 has')
  t.same(
    rows.flatMap(({ ids }) => ids),
    IDS,
  )
  for (const { ids, ends, level } of rows) {
    t.ok(
      ends.every((id) => IDS.includes(id)),
      ends.join('–'),
    )
    const levels = ['1', '2'].filter((level) => ids.some((id) => LEVELS[level]?.includes(id)))
    t.equal(level, levels.join('–'), ends.join('–'))
  }
})

t.test('what is said to be proved has a proof, what is said to be written a document', async (t) => {
  for (const { ends, here, verdict } of rows) {
    if (verdict === 'proved') t.ok(proofs(here, CHECKLIST).length > 0, ends.join('–'))
    if (verdict === 'Written') t.ok(links(here, CHECKLIST).length > 0, ends.join('–'))
  }
  for (const verdict of ['proved', ...VERDICTS]) {
    const named = verdict === 'proved' ? verdict : `**${verdict}**`
    const count = rows.filter((row) => row.verdict === verdict).reduce((sum, { ids }) => sum + ids.length, 0)
    t.ok(asvs.includes(`| ${named} | ${count} |`), `${verdict}: ${count}`)
  }
})

t.test('every risk of both Top 10 has exactly one row, with a proof or a reason', async (t) => {
  const risks = [...read(TOP_10).matchAll(/^\| \*\*(\w+)\*\* [^|]+ \| ([^|]+) \|/gm)]
  const ten = Array.from({ length: 10 }, (_, i) => String(i + 1))
  t.same(
    risks.map(([, id]) => id),
    [...ten.map((n) => `API${n}`), ...ten.map((n) => `ML${n.padStart(2, '0')}`)],
  )
  for (const [, id = '', here = ''] of risks) {
    t.ok(proofs(here, TOP_10).length > 0 || here.startsWith('**Not here**'), id)
  }
})

t.test('the error rates in the threat model are the measured ones', async (t) => {
  const { models } = await readManifest(modelFolder(MODELS))
  const evaluation = (wanted: string) => models.find(({ name }) => name === wanted)?.evaluation
  const best = evaluation('best')
  const one = <Found extends { attempts: number }>(found: Found[] | undefined) =>
    found?.find(({ attempts }) => attempts === 1)
  const known = one(best?.strangers?.attempts)?.points.find(({ fpir }) => fpir === 0.05)?.identified as number
  const refused = one(best?.verification?.attempts)?.points.find(({ fmr }) => fmr === 0.01)?.fnmr as number
  const model = read(`${FOLDER}/threat-model.md`).replace(/\s+/g, ' ')
  t.match(model, `5 % of strangers are called *known* and ${Math.round(100 * (1 - known))} % of known users`)
  t.match(model, `1 % of false claims match, and ${(100 * refused).toFixed(1)} % of true ones do not`)
  const leaks = ['best', 'trees'].map((name) => evaluation(name)?.membershipAuc?.toFixed(2))
  t.match(read(TOP_10), `[${leaks.join(' to ')}]`)
})

t.test('the sources start no program, run no text as code and make no pattern of input', async (t) => {
  const sources = readdirSync(join(ROOT, 'src'), { recursive: true }).map((name) => `src/${name}`)
  for (const path of sources.filter((path) => path.endsWith('.ts'))) {
    const source = read(path)
    t.notMatch(source, /['"](node:)?(child_process|vm)['"]/, path)
    t.notMatch(source, /\beval\(|\bFunction\(/, path)
    // Of lists of its own.
    if (path !== 'src/config.ts') t.notMatch(source, /\bRegExp\(/, path)
  }
})
