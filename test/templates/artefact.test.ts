import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { type EnrolmentArtefact, floats, readArtefact } from '../../src/templates/artefact.js'
import { MODELS } from '../fixtures/models.js'

const bytes = readFileSync(join(MODELS, 'enrolment.json'))
/** What training says for people only. */
const UNREAD = ['/members', '/identification', '/general/measured']
const refuse = (reason: string) => new Error(reason)

/** What is said against the shipped file once it was changed. */
function reasonAgainst(change: (artefact: EnrolmentArtefact) => unknown): string {
  const artefact = JSON.parse(bytes.toString())
  change(artefact)
  try {
    readArtefact(Buffer.from(JSON.stringify(artefact)), refuse)
    return 'read'
  } catch (error) {
    return (error as Error).message
  }
}

t.test('what training wrote is read as it is', (t) => {
  t.same(readArtefact(bytes, refuse), JSON.parse(bytes.toString()))
  t.equal(
    reasonAgainst((artefact) => Object.assign(artefact, { more: 1 })),
    'read',
    'and may say more',
  )
  t.end()
})

t.test('what is no JSON, or of another format, is refused', (t) => {
  t.throws(() => readArtefact(Buffer.from('{'), refuse), { message: 'it is not JSON' })
  t.throws(() => readArtefact(Buffer.from([0xff, 0x00]), refuse), { message: 'it is not JSON' })
  t.throws(() => readArtefact(Buffer.from('null'), refuse), { message: /object/ })
  t.equal(
    reasonAgainst((artefact) => Object.assign(artefact, { format: 2 })),
    '/format: Expected 1',
  )
  t.end()
})

t.test('whatever is missing is named', (t) => {
  const artefact = JSON.parse(bytes.toString())
  for (const [place, parent] of [
    ['', artefact],
    ['/constants', artefact.constants],
    ['/shipped', artefact.shipped],
    ['/shipped/cohort', artefact.shipped.cohort],
    ['/general', artefact.general],
    ['/decision', artefact.decision],
    ['/decision/points/0', artefact.decision.points[0]],
    ['/decision/points/0/tail', artefact.decision.points[0].tail],
    ['/general/points/0', artefact.general.points[0]],
    ['/check', artefact.check],
  ]) {
    for (const name of Object.keys(parent)) {
      if (UNREAD.includes(`${place}/${name}`)) continue
      const kept = parent[name]
      delete parent[name]
      t.throws(
        () => readArtefact(Buffer.from(JSON.stringify(artefact)), refuse),
        { message: new RegExp(`^${place}/${name}: `) },
        `${place}/${name}`,
      )
      parent[name] = kept
    }
  }
  t.end()
})

t.test('numbers that can not be are refused, each with its place', (t) => {
  const spoilt: [string, (artefact: EnrolmentArtefact) => unknown][] = [
    ['/version', (a) => Object.assign(a, { version: '1' })],
    ['/keys', (a) => Object.assign(a, { keys: 1 })],
    ['/constants/degrees', (a) => Object.assign(a.constants, { degrees: 0 })],
    ['/constants/leastSpread', (a) => Object.assign(a.constants, { leastSpread: 0 })],
    ['/constants/steps', (a) => Object.assign(a.constants, { steps: 0.5 })],
    ['/constants/leastDeviation', (a) => Object.assign(a.constants, { leastDeviation: 0 })],
    ['/constants/priorEnrolled', (a) => Object.assign(a.constants, { priorEnrolled: 0 })],
    ['/shipped/median/3', (a) => Object.assign(a.shipped.median, { 3: null })],
    ['/shipped/cohort/users', (a) => Object.assign(a.shipped.cohort, { users: 1 })],
    ['/shipped/cohort/centres', (a) => Object.assign(a.shipped.cohort, { centres: '?' })],
    ['/general/growth', (a) => Object.assign(a.general, { growth: -1 })],
    ['/general/points', (a) => Object.assign(a.general, { points: [] })],
    ['/decision/temperature', (a) => Object.assign(a.decision, { temperature: 0 })],
    ['/decision/correlation', (a) => Object.assign(a.decision, { correlation: 2 })],
    ['/decision/points', (a) => Object.assign(a.decision, { points: [] })],
    [
      '/decision/points/0/verification',
      (a) => Object.assign(a.decision.points[0] ?? {}, { verification: [] }),
    ],
    ['/decision/points/0/tail/fmr', (a) => Object.assign(a.decision.points[0]?.tail ?? {}, { fmr: 1 })],
    ['/decision/points/0/genuine', (a) => Object.assign(a.decision.points[0] ?? {}, { genuine: [1] })],
    ['/decision/identification/fpir', (a) => Object.assign(a.decision.identification, { fpir: [] })],
    ['/check/rows', (a) => Object.assign(a.check, { rows: [] })],
  ]
  for (const [place, spoil] of spoilt) t.match(reasonAgainst(spoil), new RegExp(`^${place}: `), place)
  t.end()
})

t.test('populations and cohorts of other widths than the text has are refused', (t) => {
  for (const part of ['median', 'middle', 'deviation', 'slope', 'weights'] as const) {
    t.equal(
      reasonAgainst(({ shipped }) => shipped[part].pop()),
      `/shipped/${part}: it has 109 numbers, not 110`,
    )
    t.equal(
      reasonAgainst(({ general }) => general[part].push(1)),
      `/general/${part}: it has 12 numbers, not 11`,
    )
  }
  for (const part of ['centres', 'spreads'] as const) {
    const reason = reasonAgainst(({ shipped }) => {
      shipped.cohort[part] = shipped.cohort[part].slice(0, -8)
    })
    t.match(reason, new RegExp(`^/shipped/cohort/${part}: it has 1209\\d numbers, not 12100$`))
  }
  t.end()
})

t.test('typings to check with that are of another width are refused', (t) => {
  t.equal(
    reasonAgainst(({ check }) => check.row.pop()),
    '/check/row: it has 75 numbers, not 76',
  )
  t.equal(
    reasonAgainst(({ check }) => check.rows[2]?.push(1)),
    '/check/rows/2: it has 77 numbers, not 76',
  )
  t.end()
})

t.test('numbers are unpacked as little-endian float32', (t) => {
  const bytes = Buffer.alloc(12)
  for (const [i, value] of [1.5, -0.25, 1e-3].entries()) bytes.writeFloatLE(value, 4 * i)
  t.same([...floats(bytes.toString('base64'))], [1.5, -0.25, Math.fround(1e-3)])
  t.equal(floats('').length, 0)
  t.end()
})
