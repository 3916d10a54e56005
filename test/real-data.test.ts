import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import t from 'tap'
import { build } from './fixtures/build.js'
import { readGolden } from './fixtures/models.js'

const path = process.env.KEYSTROKE_DATA
const skip = path === undefined && 'KEYSTROKE_DATA does not name the data set that the models were trained on'
const { training } = readGolden()

t.test(
  'every row of the data set gets the label that Python gives, as keystrokes and, where that is enough, as summary',
  { skip },
  async (t) => {
    const file = readFileSync(path as string)
    t.equal(createHash('sha256').update(file).digest('hex'), training.sha256, 'it is that data set')
    const rows = file.toString('utf8').trimEnd().split('\n').slice(1).map(toKeystrokes)
    t.equal(rows.length, training.rows)
    const app = build(t)
    await app.ready()
    for (const [model, labels] of Object.entries(training.labels)) {
      const ask = async (body: object) =>
        (await app.inject({ method: 'POST', url: `/predict/${model}`, payload: body })).json().user
      t.same(await Promise.all(rows.map((keystrokes) => ask({ keystrokes }))), labels, `${model}, keystrokes`)
      if (app.models.card(model).accepts.includes('attempts')) continue
      t.same(
        await Promise.all(rows.map((keystrokes) => ask(summaryOf(keystrokes)))),
        labels,
        `${model}, summary`,
      )
    }
  },
)

type Row = { press: number; release: number }[]

function toKeystrokes(line: string): Row {
  const times = line.split(',').slice(1).map(Number)
  return times.flatMap((press, i) => (i % 2 === 0 ? [{ press, release: times[i + 1] as number }] : []))
}

/** The eight numbers as a client would compute them, not by the code under test. */
function summaryOf(keys: Row) {
  const next = keys.slice(1)
  const at = (i: number) => keys[i] as Row[number]
  const statistics = (times: number[]) => {
    const Mean = times.reduce((sum, time) => sum + time) / times.length
    return { Mean, STD: Math.sqrt(times.reduce((sum, time) => sum + (time - Mean) ** 2, 0) / times.length) }
  }
  return {
    HT: statistics(keys.map(({ press, release }) => release - press)),
    PPT: statistics(next.map(({ press }, i) => press - at(i).press)),
    RRT: statistics(next.map(({ release }, i) => release - at(i).release)),
    RPT: statistics(next.map(({ press }, i) => press - at(i).release)),
  }
}
