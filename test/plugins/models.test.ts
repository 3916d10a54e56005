import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { InferenceSession } from 'onnxruntime-node'
import t, { type Test } from 'tap'
import { build, postTo, SUMMARY } from '../fixtures/build.js'
import { copyModels, editManifest, MODELS, putModels, readGolden, TYPISTS } from '../fixtures/models.js'

const shipped = readGolden()
const typists = readGolden(TYPISTS)

interface Line {
  level: number
  msg: string
  err?: { message: string }
  versions?: Record<string, string>
}

/** A service whose models can be exchanged; its log; and what it answers. */
function exchangeable(t: Test) {
  const dir = copyModels(t)
  const log: Line[] = []
  const logTo = { write: (line: string) => log.push(JSON.parse(line)) }
  const app = build(t, { MODEL_DIR: dir, LOG_LEVEL: 'info' }, { logTo })
  const predict = postTo(app)
  const said = () => log.splice(0).filter(({ msg }) => !/request/.test(msg))
  return {
    app,
    dir,
    said,
    predict: async (body: object = SUMMARY) => (await predict('/predict/rf', body)).json(),
  }
}

t.test('a reload serves other models, their cards and their text, and says which', async (t) => {
  const { app, dir, said, predict } = exchangeable(t)
  const before = await predict()
  t.match(before, { user: 84 })
  const { keystrokes } = typists.keystrokes[0] as (typeof typists.keystrokes)[0]
  t.match(await predict({ keystrokes }), { code: 'KSR_KEYSTROKE_COUNT' })
  said()

  putModels(dir, TYPISTS)
  await app.reload()
  const { version } = app.models.card('rf')
  t.match(said(), [
    { level: 30, msg: 'other models are served', versions: { rf: version } },
    { msg: 'reloaded' },
  ])
  t.not(version, before.version)
  const after = await predict({ keystrokes })
  t.ok(typists.models.rf?.labels.includes(after.user))
  t.same(app.models.keys, 5)
  t.match((await app.inject('/models/rf')).json(), { keys: 5, users: 3, version })
  t.match((await app.inject('/models')).json().models, [{ version: app.models.cards[0]?.version }])
  t.match((await app.inject('/health')).json(), { status: 'ok', models: { rf: 'ready' } })
})

t.test(
  'a set that is not right is refused with its file and the reason, and the old one serves on',
  async (t) => {
    const { app, dir, said, predict } = exchangeable(t)
    const answer = await predict()
    said()
    for (const [spoil, reason] of [
      [() => writeFileSync(join(dir, 'manifest.json'), '{'), /manifest\.json: it is not JSON/],
      [() => rmSync(join(dir, 'xgb.onnx')), /xgb\.onnx: it can not be read/],
      [() => writeFileSync(join(dir, 'rf.onnx'), 'altered'), /rf\.onnx: it has 7 bytes/],
      [
        () => editManifest(dir, ({ models }) => Object.assign(models[0]?.check ?? {}, { score: -1 })),
        /svm\.onnx: it does not answer the check row/,
      ],
    ] as [() => void, RegExp][]) {
      putModels(dir, MODELS)
      editManifest(dir, ({ models }) => Object.assign(models[1] ?? {}, { version: 'another' }))
      spoil()
      await app.reload()
      t.match(said(), [{ level: 50, msg: /refused/, err: { message: reason } }])
      t.same(await predict(), answer)
    }
    t.match((await app.inject('/health')).json(), { status: 'ok' })
    putModels(dir, MODELS)
    await app.reload()
    t.match(said(), [{ msg: 'reloaded: nothing has changed' }])
  },
)

t.test('where the manifest is the one that is served, nothing is opened', async (t) => {
  const { app, said } = exchangeable(t)
  await app.ready()
  said()
  const { create } = InferenceSession
  t.teardown(() => Object.assign(InferenceSession, { create }))
  Object.assign(InferenceSession, { create: () => t.fail('a session was opened') })
  await app.reload()
  t.match(said(), [{ level: 30, msg: 'reloaded: nothing has changed' }])
})

t.test(
  'what is asked while models are exchanged is answered, by one set or the other as a whole',
  async (t) => {
    const { app, dir, predict } = exchangeable(t)
    const first = await predict()
    let asking = true
    const answers: { user: unknown; version: string }[] = []
    async function ask() {
      while (asking) answers.push(await predict())
    }
    const asked = Promise.all(Array.from({ length: 8 }, ask))
    for (const from of [TYPISTS, MODELS, TYPISTS]) {
      putModels(dir, from)
      await app.reload()
    }
    asking = false
    await asked
    const last = await predict()
    t.not(last.version, first.version)
    t.type(last.user, 'string')
    for (const answer of answers) t.same(answer, answer.version === first.version ? first : last)
    t.ok(answers.some(({ version }) => version === first.version))
    t.ok(answers.some(({ version }) => version === last.version))
  },
)

t.test('the models that were served are freed when all that they were asked is answered', async (t) => {
  const { app, dir } = exchangeable(t)
  await app.ready()
  const rf = app.models.get('rf')
  if (rf.features !== 'summary') throw new Error('rf is a model of summaries')
  putModels(dir, TYPISTS)
  const reloaded = app.reload()
  const row = Float32Array.from(shipped.rows[0] as number[])
  const answers: Promise<{ user: unknown }>[] = []
  let freed = false
  // Whoever has the model in hand when it is exchanged has asked it in the same turn.
  for (; app.models.get('rf') === rf; await new Promise(setImmediate)) {
    for (let i = 0; i < 50; i++) answers.push(rf.classify(row))
  }
  reloaded.then(() => {
    freed = true
  })
  for (const { user } of await Promise.all(answers)) t.equal(user, shipped.models.rf?.labels[0])
  await reloaded
  t.ok(freed)
  await t.rejects(rf.classify(row), { message: 'rf: ONNX Runtime fails' })
})
