import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { InferenceSession, type Tensor } from 'onnxruntime-node'
import t from 'tap'
import { BATCH_CHANNEL, Batch } from '../../src/inference/batch.js'
import { FLOAT, INT64, integers, model, node, number, value } from '../fixtures/onnx.js'

// As the service does: the runtime reports to its makers unless told not to before it starts.
process.env.ORT_DISABLE_TELEMETRY = '1'

const ROWS = 32

interface Test {
  teardown(undo: () => unknown): void
}

async function open(t: Test, classes = 3) {
  const session = await InferenceSession.create(chooser(), { logSeverityLevel: 4 })
  t.teardown(() => session.release())
  const runs: unknown[] = []
  const note = (batch: unknown) => runs.push(batch)
  subscribe(BATCH_CHANNEL, note)
  t.teardown(() => unsubscribe(BATCH_CHANNEL, note))
  const read = ({ label }: Record<string, Tensor>, place: number) => Number(label?.data[place])
  const options = { model: 'chooser', classes, input: 'input', outputs: ['label', 'scores'], read }
  return { batch: new Batch(session, options), runs }
}

const choose = (index: number) => Float32Array.of(index, 0.5)
/** The index that the chooser must answer to the row with a number. */
const indexOf = (number: number) => (number * 7) % 3

t.test('the rows of one turn share a run, and each gets its own answer', async (t) => {
  const { batch, runs } = await open(t)
  const numbers = Array.from({ length: 12 }, (_, i) => i)
  const answers = await Promise.all(numbers.map((i) => batch.run(choose(indexOf(i)))))
  t.same(
    answers,
    numbers.map((i) => 10 * (indexOf(i) + 1)),
  )
  t.same(runs, [{ model: 'chooser', rows: 12 }])
})

t.test('who comes in the same turn, but later than the first, is not left behind', async (t) => {
  const { batch, runs } = await open(t)
  const first = batch.run(choose(0))
  await Promise.resolve()
  process.nextTick(() => batch.run(choose(1)))
  await first
  t.same(runs, [{ model: 'chooser', rows: 2 }])
})

t.test('a row that is alone waits for nobody', async (t) => {
  const { batch, runs } = await open(t)
  let turns = 0
  const turn = () => {
    turns++
    next = setImmediate(turn)
  }
  let next = setImmediate(turn)
  for (let i = 1; i <= 3; i++) {
    await batch.run(choose(1))
    t.equal(turns, i)
  }
  clearImmediate(next)
  t.same(
    runs,
    Array.from({ length: 3 }, () => ({ model: 'chooser', rows: 1 })),
  )
})

t.test('more rows than a batch may have are run one batch after another, in order', async (t) => {
  const { batch, runs } = await open(t)
  const order: number[] = []
  const numbers = Array.from({ length: 2 * ROWS + 5 }, (_, i) => i)
  const answers = await Promise.all(
    numbers.map(async (i) => {
      const answer = await batch.run(choose(indexOf(i)))
      order.push(i)
      return answer
    }),
  )
  t.same(
    answers,
    numbers.map((i) => 10 * (indexOf(i) + 1)),
  )
  t.same(order, numbers)
  t.same(
    runs,
    [ROWS, ROWS, 5].map((rows) => ({ model: 'chooser', rows })),
  )
})

t.test('batches are smaller the more users a model tells apart, for its memory', async (t) => {
  for (const [classes, size] of [
    [110, ROWS],
    [256, 8],
    [1000, 1],
  ] as const) {
    const { batch, runs } = await open(t, classes)
    await Promise.all(Array.from({ length: ROWS }, () => batch.run(choose(0))))
    t.same(
      runs,
      Array.from({ length: ROWS / size }, () => ({ model: 'chooser', rows: size })),
    )
  }
})

t.test('a row that the runtime refuses fails alone', async (t) => {
  const { batch, runs } = await open(t)
  const settled = await Promise.allSettled([0, 99, 2, -99, 1].map((index) => batch.run(choose(index))))
  t.same(
    settled.map((one) =>
      one.status === 'fulfilled' ? one.value : /out of data bounds/.test(one.reason.message),
    ),
    [10, true, 30, true, 20],
  )
  t.same(
    runs,
    [1, 1, 1].map((rows) => ({ model: 'chooser', rows })),
  )
  t.equal(await batch.run(choose(2)), 30, 'and the next are answered as ever')
})

t.test('only the outputs asked for are answered', async (t) => {
  const session = await InferenceSession.create(chooser())
  t.teardown(() => session.release())
  const options = { model: 'chooser', classes: 3, input: 'input', outputs: ['label'], read: Object.keys }
  t.same(await new Batch(session, options).run(choose(0)), ['label'])
})

/** A model that answers 10, 20 or 30 as the row's first number is 0, 1 or 2, and refuses any other. */
function chooser(): Uint8Array {
  return model({
    nodes: [
      node('Gather', ['input', 'zero'], 'first', number('axis', 1)),
      node('Cast', ['first'], 'index', number('to', INT64)),
      node('Gather', ['classes', 'index'], 'label'),
      node('Identity', ['input'], 'scores'),
    ],
    constants: [integers('zero', [], [0]), integers('classes', [3], [10, 20, 30])],
    inputs: [value('input', FLOAT, 'batch', 2)],
    outputs: [value('label', INT64, 'batch'), value('scores', FLOAT, 'batch', 2)],
  })
}
