import t from 'tap'
import { EmfLog } from '../../src/telemetry/emf.js'
import { checkEmf, type EmfLine } from '../fixtures/emf.js'

function logged() {
  const lines: string[] = []
  const emf = new EmfLog('recognition', (line) => lines.push(line))
  return {
    emf,
    /** The lines that were written since the last time. */
    flushed(): EmfLine[] {
      emf.flush()
      return lines.splice(0).map((line) => {
        if (!line.endsWith('}\n')) throw new Error('a line has no end')
        return checkEmf(JSON.parse(line))
      })
    },
  }
}

t.test('an invocation is one line: its request, its run, and how the process was', async (t) => {
  const { emf, flushed } = logged()
  emf.ran({ model: 'rf', rows: 2, ms: 0.3 })
  emf.completed('POST', '/predict/:model', 200, 1.5)
  const [line, ...more] = flushed()
  t.same(more, [])
  t.match(line, {
    function: 'recognition',
    route: '/predict/:model',
    status: '200',
    model: 'rf',
    Latency: 1.5,
    BatchRows: 2,
    InferenceTime: 0.3,
    ColdStart: 1,
  })
  t.ok((line?.MemoryUsed as number) > 1e7)
  t.same(
    line?._aws.CloudWatchMetrics.map(({ Dimensions, Metrics }) => [Dimensions, Metrics]),
    [
      [
        [['function', 'model']],
        [
          { Name: 'BatchRows', Unit: 'Count' },
          { Name: 'InferenceTime', Unit: 'Milliseconds' },
        ],
      ],
      [[['function', 'route', 'status']], [{ Name: 'Latency', Unit: 'Milliseconds' }]],
      [
        [['function']],
        [
          { Name: 'ColdStart', Unit: 'Count' },
          { Name: 'MemoryUsed', Unit: 'Bytes' },
        ],
      ],
    ],
  )
})

t.test(
  'only the first invocation of a process starts cold, and none has what the one before it had',
  async (t) => {
    const { emf, flushed } = logged()
    emf.completed('GET', '/', 200, 1)
    t.match(flushed(), [{ ColdStart: 1, route: '/' }])
    emf.completed('GET', undefined, 404, 1)
    const [line] = flushed()
    t.match(line, { ColdStart: 0, route: 'unknown', status: '404' })
    t.notOk('model' in (line as EmfLine))
  },
)

t.test('a line has one value of a name: another model has another line', async (t) => {
  const { emf, flushed } = logged()
  emf.ran({ model: 'templates', rows: 1, ms: 0.1 })
  emf.ran({ model: 'trees', rows: 1, ms: 0.2 })
  emf.completed('POST', '/predict/:model', 200, 1.5)
  const [line, other, ...more] = flushed()
  t.same(more, [])
  t.match(line, { model: 'templates', InferenceTime: 0.1, Latency: 1.5, ColdStart: 1 })
  t.match(other, { model: 'trees', InferenceTime: 0.2 })
  t.notOk('Latency' in (other as EmfLine))
})

t.test('a refusal is counted by its reason; nobody can go away', async (t) => {
  const { emf, flushed } = logged()
  emf.refused('unauthorized')
  emf.aborted()
  const [line] = flushed()
  t.match(line, { reason: 'unauthorized', Refused: 1 })
  t.same(line?._aws.CloudWatchMetrics[0]?.Dimensions, [['function', 'reason']])
})
