import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { build, postTo } from '../fixtures/build.js'
import { ROOT, run } from '../fixtures/commands.js'
import { MODELS, readGolden } from '../fixtures/models.js'

const ROWS = 1000
const golden = readGolden(MODELS)

/** As many as that, over and over. */
const repeated = <One>(some: One[]) => Array.from({ length: ROWS }, (_, i) => some[i % some.length] as One)

t.test(
  'the clients of Triton and of KServe get what /predict answers: one row, 1,000, bytes, JSON',
  async (t) => {
    const app = build(t)
    const url = await app.listen({ port: 0 })
    const post = postTo(app)
    const version = (await app.inject('/models/rf')).json().version

    const rows = repeated(golden.rows)
    const typings = repeated(golden.keystrokes.map(({ keystrokes }) => keystrokes))
    const samples = {
      rf: rows.map((row) => {
        // As a client of tensors narrows it before it is sent.
        const [a, b, c, d, e, f, g, h] = row.map(Math.fround)
        return {
          HT: { Mean: a, STD: b },
          PPT: { Mean: c, STD: d },
          RRT: { Mean: e, STD: f },
          RPT: { Mean: g, STD: h },
        }
      }),
      best: typings.map((keystrokes) => ({ keystrokes })),
    }
    const wanted: number[][] = []
    for (const [model, of] of Object.entries(samples)) {
      const users: number[] = []
      for (const sample of of) users.push((await post(`/predict/${model}`, sample)).json().user)
      t.ok(new Set(users).size > 5, model)
      for (const count of [1, ROWS]) wanted.push(users.slice(0, count), users.slice(0, count))
    }

    const file = join(t.testdir(), 'rows.json')
    const pairs = typings.map((typing) => typing.map(({ press, release }) => [press, release]))
    writeFileSync(file, JSON.stringify({ rf: rows, best: pairs }))
    const script = join(ROOT, 'test/clients/inference-protocol.py')
    const { triton, kserve } = JSON.parse(await run('python', [script, url, file]))

    const [state, ...labels] = triton
    t.match(state, { live: true, ready: true, server: { name: 'keystroke-recognition' } })
    t.match(state.model, { name: 'rf', versions: [version], outputs: [{ name: 'label' }] })
    t.same(labels.slice(0, -1), wanted)
    t.match(labels.at(-1), ['404', /^There is no model "nobody"/])

    const [kserveState, ...kserveLabels] = kserve
    t.same(kserveState, { live: true, ready: true })
    t.same(kserveLabels.slice(0, -1), wanted)
    t.match(kserveLabels.at(-1), /\/inputs must NOT have fewer than 1 items.*400 Bad Request/)
  },
)
