import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { InferenceSession, type Tensor } from 'onnxruntime-node'
import t from 'tap'
import { BATCH_CHANNEL, Batch } from '../../src/inference/batch.js'
import { withoutTime } from '../fixtures/batches.js'
import { BOOL, FLOAT, INT64, integers, model, node, number, value } from '../fixtures/onnx.js'

// As the service does: the runtime reports to its makers unless told not to before it starts.
process.env.ORT_DISABLE_TELEMETRY = '1'

const ROWS = 32
const NO_ANSWER = 40

interface Test {
  teardown(undo: () => unknown): void
}

async function open(t: Test, { classes = 3, bytes = chooser() } = {}) {
  const session = await InferenceSession.create(bytes, { logSeverityLevel: 4 })
  t.teardown(() => session.release().catch(() => {}))
  const runs: unknown[] = []
  const note = (batch: unknown) => runs.push(withoutTime(batch))
  subscribe(BATCH_CHANNEL, note)
  t.teardown(() => unsubscribe(BATCH_CHANNEL, note))
  const read = ({ label }: Record<string, Tensor>, place: number) => {
    const found = Number(label?.data[place])
    if (found === NO_ANSWER) throw new Error('that is no answer')
    return found
  }
  const condition = { failing: false }
  const options = { model: 'chooser', classes, input: 'input', outputs: ['label', 'scores'], read, condition }
  return { batch: new Batch(session, options), runs, condition, session }
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
    const { batch, runs } = await open(t, { classes })
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
      // What the runtime says of the value that it refuses stays here: it may be a timing.
      one.status === 'fulfilled' ? one.value : one.reason.message,
    ),
    [10, 'chooser: ONNX Runtime fails at Gather', 30, 'chooser: ONNX Runtime fails at Gather', 20],
  )
  t.same(
    runs,
    [1, 1, 1].map((rows) => ({ model: 'chooser', rows })),
  )
  t.equal(await batch.run(choose(2)), 30, 'and the next are answered as ever')
})

t.test('a row whose answer can not be read fails alone, and no other is run again', async (t) => {
  const { batch, runs } = await open(t)
  const all = [0, 3, 2, 3, 1].map((index) => batch.run(choose(index)))
  const next = batch.run(choose(2))
  const settled = await Promise.allSettled(all)
  t.same(
    settled.map((one) => (one.status === 'fulfilled' ? one.value : one.reason.message)),
    [10, 'chooser: that is no answer', 30, 'chooser: that is no answer', 20],
  )
  t.equal(await next, 30)
  t.same(runs, [{ model: 'chooser', rows: 6 }])
})

t.test('where there are fewer answers than rows, each row gets its own or fails', async (t) => {
  const { batch, runs } = await open(t, { bytes: sieve() })
  const settled = await Promise.allSettled([10, 0, 20, 30].map((number) => batch.run(choose(number))))
  t.same(
    settled.map((one) => (one.status === 'fulfilled' ? one.value : one.reason.message)),
    [10, 'chooser: it does not answer label for each of the rows', 20, 30],
  )
  t.same(
    runs,
    [1, 1, 1].map((rows) => ({ model: 'chooser', rows })),
  )
})

t.test('it is failing from a row that failed until one that did not', async (t) => {
  const { batch, condition } = await open(t)
  await batch.run(choose(0))
  t.equal(condition.failing, false)
  for (const wrong of [99, 3]) {
    await t.rejects(batch.run(choose(wrong)))
    t.equal(condition.failing, true)
    await batch.run(choose(0), true)
    t.equal(condition.failing, true, 'what only tests it says nothing of how it does')
    await batch.run(choose(0))
    t.equal(condition.failing, false)
    await t.rejects(batch.run(choose(wrong), true))
    t.equal(condition.failing, false)
  }
})

t.test(
  'it is idle when all that it was given is settled, and at once where it was given nothing',
  async (t) => {
    const { batch } = await open(t)
    await batch.idle()
    let settled = 0
    const note = () => settled++
    for (let i = 0; i < 2 * ROWS + 5; i++) batch.run(choose(i === 7 ? 99 : 0)).then(note, note)
    await batch.idle()
    t.equal(settled, 2 * ROWS + 5)
  },
)

t.test('once its session is freed, it fails rather than to hang', async (t) => {
  const { batch, session } = await open(t)
  await session.release()
  await t.rejects(batch.run(choose(0)), { message: 'chooser: ONNX Runtime fails' })
})

t.test('only the outputs asked for are answered', async (t) => {
  const session = await InferenceSession.create(chooser())
  t.teardown(() => session.release())
  const shape = { model: 'chooser', classes: 3, input: 'input', condition: { failing: false } }
  const batch = new Batch(session, { ...shape, outputs: ['label'], read: Object.keys })
  t.same(await batch.run(choose(0)), ['label'])
})

/** A model that answers 10, 20, 30 or 40 as the row's first number is 0, 1, 2 or 3, and refuses any other. */
function chooser(): Uint8Array {
  return model({
    nodes: [
      node('Gather', ['input', 'zero'], 'first', number('axis', 1)),
      node('Cast', ['first'], 'index', number('to', INT64)),
      node('Gather', ['classes', 'index'], 'label'),
      node('Identity', ['input'], 'scores'),
    ],
    constants: [integers('zero', [], [0]), integers('classes', [4], [10, 20, 30, NO_ANSWER])],
    inputs: [value('input', FLOAT, 'batch', 2)],
    outputs: [value('label', INT64, 'batch'), value('scores', FLOAT, 'batch', 2)],
  })
}

/** A model that answers the row's first number, and nothing at all where that is 0. */
function sieve(): Uint8Array {
  return model({
    nodes: [
      node('Gather', ['input', 'zero'], 'first', number('axis', 1)),
      node('Cast', ['first'], 'kept', number('to', BOOL)),
      node('Cast', ['first'], 'number', number('to', INT64)),
      node('Compress', ['number', 'kept'], 'label'),
      node('Identity', ['input'], 'scores'),
    ],
    constants: [integers('zero', [], [0])],
    inputs: [value('input', FLOAT, 'batch', 2)],
    outputs: [value('label', INT64, 'some'), value('scores', FLOAT, 'batch', 2)],
  })
}
