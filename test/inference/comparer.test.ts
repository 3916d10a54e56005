import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { BATCH_CHANNEL } from '../../src/inference/batch.js'
import { openComparer } from '../../src/inference/comparer.js'
import { Gallery, Weighing } from '../../src/templates/gallery.js'
import type { Template } from '../../src/templates/template.js'
import { evidenceOf } from '../fixtures/comparer.js'
import { MODELS } from '../fixtures/models.js'
import { FLOAT, model, node, value } from '../fixtures/onnx.js'
import { randomFrom, times } from '../fixtures/people.js'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

const FILE = 'gallery.onnx'
const bytes = readFileSync(join(MODELS, FILE))
const FEATURES = 30
const weighing = new Weighing(
  times(FEATURES, (feature) => 0.1 * (1 + (feature % 7))),
  2,
)
const numbers = (seed: number, least: number, most: number) => {
  const random = randomFrom(seed)
  return times(FEATURES, () => least + (most - least) * random())
}
const rowOf = (seed: number) => Float64Array.from(numbers(seed, -3, 3))
const templateOf = (seed: number): Template => ({
  centre: Float32Array.from(numbers(seed + 1000, -3, 3)),
  spread: Float32Array.from(numbers(seed + 2000, 0.05, 1)),
})
const near = (one: number | undefined, other: number) => Math.abs((one as number) - other) < 1e-3

t.test('the graph compares as the formula does, whatever is packed', async (t) => {
  const { compare, release } = await openComparer(FILE, bytes)
  t.teardown(release)
  for (const columns of [1, 7, 300]) {
    const packed = weighing.packed(columns)
    for (let column = 0; column < columns; column++) weighing.put(packed, column, templateOf(column))
    const rows = times(40, (i) => weighing.row(rowOf(i)))
    const found = await Promise.all(rows.map(compare(() => packed)))
    for (const [i, row] of rows.entries()) {
      const expected = evidenceOf(row, packed)
      if (!expected.every((one, column) => near(found[i]?.[column], one))) t.fail(`row ${i} of ${columns}`)
    }
    t.pass(`${columns} columns`)
  }
})

t.test('many users are compared with a few rows at a time, so that memory stays small', async (t) => {
  const { compare, release } = await openComparer(FILE, bytes)
  t.teardown(release)
  const runs: number[] = []
  const note = (batch: unknown) => runs.push((batch as { rows: number }).rows)
  subscribe(BATCH_CHANNEL, note)
  t.teardown(() => unsubscribe(BATCH_CHANNEL, note))
  const columns = Math.ceil(2 ** 22 / weighing.groups / 5)
  const packed = weighing.packed(columns)
  const ask = compare(() => packed)
  await Promise.all(times(10, (i) => ask(weighing.row(rowOf(i)))))
  t.same(runs, [4, 4, 2])
})

t.test('a gallery answers with the graph as it does with the formula, while users come and go', async (t) => {
  const { compare, release } = await openComparer(FILE, bytes)
  t.teardown(release)
  const gallery = new Gallery(
    weighing,
    times(5, (i) => templateOf(-i)),
    compare,
  )
  const random = randomFrom(3)
  const expected = new Map<string, Template>()
  const asked: Promise<void>[] = []
  for (let step = 0; step < 300; step++) {
    const user = `${Math.floor(60 * random())}`
    if (random() < 0.3) {
      gallery.delete(user)
      expected.delete(user)
    } else {
      // The same each time: which of two a run was asked with is no matter then.
      gallery.set(user, templateOf(Number(user)))
      expected.set(user, templateOf(Number(user)))
    }
    const row = rowOf(step)
    const answer = gallery.evidence([row], 1).then(({ users }) => {
      for (const [place, evidence] of users.entries()) {
        const user = gallery.users[place] as string
        if (!near(evidence, weighing.evidence(row, templateOf(Number(user))))) t.fail(`step ${step}: ${user}`)
      }
    })
    asked.push(answer)
    if (step % 5 === 0) await new Promise(setImmediate)
  }
  await Promise.all(asked)
  t.same(gallery.users.toSorted(), [...expected.keys()].sort())
})

t.test('scores that are no numbers are no answer, and say no value', async (t) => {
  const { compare, release } = await openComparer(FILE, bytes)
  t.teardown(release)
  const packed = weighing.packed(1)
  packed.constants[0] = Number.NaN
  await t.rejects(compare(() => packed)(weighing.row(rowOf(1))), {
    message: 'enrolment: its scores are not all numbers',
  })
  const short = compare(() => weighing.packed(1))(Float32Array.of(123.456))
  await t.rejects(short, { message: /^enrolment: ONNX Runtime fails/ })
  t.notMatch(String(await short.catch((error) => error)), '123')
})

t.test('it is freed once nobody waits, nor has just been answered', async (t) => {
  const { compare, release } = await openComparer(FILE, bytes)
  const packed = weighing.packed(200)
  const ask = compare(() => packed)
  const twice = async () => {
    await ask(weighing.row(rowOf(1)))
    for (let i = 0; i < 10; i++) await Promise.resolve()
    return ask(weighing.row(rowOf(2)))
  }
  const asked = twice()
  await release()
  t.equal((await asked).length, 200)
  await t.rejects(ask(weighing.row(rowOf(1))), 'and then it answers no more')
})

t.test('nothing that was answered is kept', async (t) => {
  const { compare, release } = await openComparer(FILE, bytes)
  t.teardown(release)
  const packed = weighing.packed(10)
  const ask = compare(() => packed)
  const answers: WeakRef<Float32Array>[] = []
  for (let i = 0; i < 20; i++) answers.push(new WeakRef(await ask(weighing.row(rowOf(i)))))
  await new Promise(setImmediate)
  collect()
  const kept = answers.filter((answer) => answer.deref() !== undefined).length
  t.ok(kept <= 1, `${kept} of ${answers.length}`)
})

t.test('a file that is no model, or that reaches outside itself, is not opened', async (t) => {
  for (const [content, reason] of [
    [Uint8Array.of(1, 2, 3), /^gallery\.onnx: it is not an ONNX model/],
    [Uint8Array.of(), /^gallery\.onnx: /],
    [
      model({
        nodes: [node('NoSuchOperator', ['rows'], 'scores')],
        constants: [],
        inputs: [value('rows', FLOAT, 'batch', 2)],
        outputs: [value('scores', FLOAT, 'batch', 2)],
      }),
      /^gallery\.onnx: ONNX Runtime can not open it/,
    ],
  ] as const) {
    await t.rejects(openComparer(FILE, content), { code: 'KSR_MODEL_FILE', message: reason })
  }
})
