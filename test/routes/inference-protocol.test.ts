import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { build, postTo, SUMMARY } from '../fixtures/build.js'
import { faultyModels } from '../fixtures/faulty.js'
import { MODELS, readGolden, TYPISTS } from '../fixtures/models.js'

const TYPINGS = readGolden(MODELS).keystrokes.map(({ keystrokes }) => keystrokes)
const KEYS = 13
const ROWS = [
  [48.43, 23.34, 120.43, 37.41, 124.43, 45.34, 132.56, 47.12],
  [96.02, 17.5, 220.43, 37.41, 224.43, 45.34, 32.56, 47.12],
]
const summaryOf = ([a, b, c, d, e, f, g, h]: number[]) => ({
  HT: { Mean: a, STD: b },
  PPT: { Mean: c, STD: d },
  RRT: { Mean: e, STD: f },
  RPT: { Mean: g, STD: h },
})
const timesOf = (typings: typeof TYPINGS) =>
  typings.flatMap((typing) => typing.flatMap(({ press, release }) => [press, release]))
const float32 = (numbers: number[]) => Buffer.from(Float32Array.from(numbers).buffer)
const float64 = (numbers: number[]) => Buffer.from(Float64Array.from(numbers).buffer)

const summaries = (rows = ROWS) => ({ name: 'input', datatype: 'FP32', shape: [rows.length, 8], data: rows })
const typings = (some = TYPINGS.slice(0, 3)) => ({
  ...{ name: 'input', datatype: 'FP64', shape: [some.length, KEYS, 2], data: timesOf(some) },
})

const app = build(t)
const post = postTo(app)
const infer = (model: string, body: object) => post(`/v2/models/${model}/infer`, body)

/** JSON with binary data after it, as Triton's client sends it: without a word on what it is. */
function inferBinary(model: string, body: object, bytes: Buffer, headers = {}) {
  const json = Buffer.from(JSON.stringify(body))
  return app.inject({
    method: 'POST',
    url: `/v2/models/${model}/infer`,
    headers: { 'inference-header-content-length': String(json.length), ...headers },
    payload: Buffer.concat([json, bytes]),
  })
}

t.test('it says what it is, and how it does', async (t) => {
  const { version } = (await app.inject('/health')).json()
  for (const [url, answer] of [
    ['/v2', { name: 'keystroke-recognition', version, extensions: ['binary_tensor_data'] }],
    ['/v2/health/live', { live: true }],
    ['/v2/health/ready', { ready: true }],
    ['/v2/models/rf/ready', { name: 'rf', ready: true }],
  ] as const) {
    t.same((await app.inject(url)).json(), answer, url)
  }
})

t.test('a service that is closing, or has a model that fails, is not ready', async (t) => {
  const app = build(t, { MODEL_DIR: faultyModels(t) })
  const url = await app.listen({ port: 0 })
  t.equal((await fetch(`${url}/v2/health/ready`)).status, 200)
  const closed = app.close()
  while (!app.isDraining()) await turn()
  const answer = await fetch(`${url}/v2/health/ready`)
  t.equal(answer.status, 503)
  t.same(await answer.json(), { ready: false })
  await closed
})

t.test('a model tells its tensors, under its version, too', async (t) => {
  const { version } = (await app.inject('/models/svm')).json()
  const users = app.models.users
  const svm = await app.inject('/v2/models/svm')
  t.same(svm.json(), {
    name: 'svm',
    versions: [version],
    platform: 'onnxruntime_onnx',
    inputs: [{ name: 'input', datatype: 'FP32', shape: [-1, 8] }],
    outputs: [
      { name: 'label', datatype: 'INT64', shape: [-1] },
      { name: 'scores', datatype: 'FP32', shape: [-1, 110], parameters: { labels: users } },
    ],
  })
  t.equal((await app.inject(`/v2/models/svm/versions/${version}`)).body, svm.body)
  t.same((await app.inject(`/v2/models/svm/versions/${version}/ready`)).json().ready, true)
  t.match((await app.inject('/v2/models/best')).json(), {
    inputs: [{ name: 'input', datatype: 'FP64', shape: [-1, KEYS, 2] }],
    // Its scores would tell whom it was trained on.
    outputs: [
      { name: 'label', datatype: 'INT64' },
      { name: 'known', datatype: 'BOOL', shape: [-1] },
      { name: 'confidence', datatype: 'FP32', shape: [-1] },
    ],
  })
  const silent = build(t, { MAX_CANDIDATES: '0' })
  t.equal((await silent.inject('/v2/models/svm')).json().outputs.length, 1)
})

t.test('rows are answered as /predict answers them, however they are sent', async (t) => {
  const asked = await Promise.all(ROWS.map((row) => post('/predict/rf', summaryOf(row))))
  const alone = asked.map((answer) => answer.json())
  const labels = alone.map(({ user }) => user)
  const [{ version }] = alone
  const wanted = {
    model_name: 'rf',
    model_version: version,
    outputs: [{ name: 'label', datatype: 'INT64', shape: [2], data: labels }],
  }
  t.same((await infer('rf', { inputs: [summaries()] })).json(), wanted)
  const flat = { ...summaries(), data: ROWS.flat() }
  const more = { id: 'a-1', parameters: null, outputs: [{ name: 'label', parameters: null }] }
  t.same((await infer('rf', { inputs: [flat], ...more })).json(), { ...wanted, id: 'a-1' })
  t.same((await infer(`rf/versions/${version}`, { inputs: [flat], outputs: [] })).json(), wanted)

  const { data, ...tensor } = summaries()
  const input = { ...tensor, parameters: { binary_data_size: 64 } }
  t.same((await inferBinary('rf', { inputs: [input] }, float32(data.flat()))).json(), wanted)
  const both = await inferBinary(
    'rf',
    { inputs: [input], parameters: { binary_data_output: true } },
    float32(data.flat()),
    { 'content-type': 'application/octet-stream' },
  )
  t.equal(both.headers['content-type'], 'application/octet-stream')
  const length = Number(both.headers['inference-header-content-length'])
  const [output] = wanted.outputs
  const { data: _, ...rest } = output as { data: unknown }
  t.same(JSON.parse(both.rawPayload.subarray(0, length).toString()), {
    ...wanted,
    outputs: [{ ...rest, parameters: { binary_data_size: 16 } }],
  })
  t.same(
    [0, 8].map((at) => Number(both.rawPayload.readBigInt64LE(length + at))),
    labels,
  )
})

t.test('raw keystrokes are answered with what is decided of them', async (t) => {
  const some = TYPINGS.slice(0, 3)
  const asked = await Promise.all(some.map((keystrokes) => post('/predict/best?fpir=0.1', { keystrokes })))
  const alone = asked.map((answer) => answer.json())
  const parameters = { fpir: 0.1 }
  const { outputs } = (await infer('best', { inputs: [typings()], parameters })).json()
  t.same(outputs, [
    { name: 'label', datatype: 'INT64', shape: [3], data: alone.map(({ user }) => user) },
    {
      ...{ name: 'known', datatype: 'BOOL', shape: [3] },
      data: alone.map(({ decision }) => decision === 'known'),
    },
    { name: 'confidence', datatype: 'FP32', shape: [3], data: alone.map(({ confidence }) => confidence) },
  ])
  const { data, ...tensor } = typings()
  const bytes = float64(data)
  const answer = await inferBinary(
    'best',
    {
      parameters: { fpir: 0.1, binary_data_output: true },
      inputs: [{ ...tensor, parameters: { binary_data_size: bytes.length, content_type: 'np' } }],
      outputs: [
        { name: 'confidence' },
        { name: 'label', parameters: { binary_data: false } },
        { name: 'known' },
      ],
    },
    bytes,
  )
  const length = Number(answer.headers['inference-header-content-length'])
  const names = JSON.parse(answer.rawPayload.subarray(0, length).toString()).outputs
  t.match(names, [
    { name: 'confidence', parameters: { binary_data_size: 12 } },
    { name: 'label', data: alone.map(({ user }) => user) },
    { name: 'known', parameters: { binary_data_size: 3 } },
  ])
  t.same(
    [0, 4, 8].map((at) => answer.rawPayload.readFloatLE(length + at)),
    alone.map(({ confidence }) => Math.fround(confidence)),
  )
  t.same(
    [...answer.rawPayload.subarray(length + 12)],
    alone.map(({ decision }) => Number(decision === 'known')),
  )
})

t.test('scores are those of the candidates, in the order of the labels', async (t) => {
  const many = build(t, { MAX_CANDIDATES: '110' })
  const { candidates } = (await postTo(many)('/predict/svm?top=110', SUMMARY)).json()
  const { outputs } = (
    await infer('svm', { inputs: [summaries()], outputs: [{ name: 'scores' }, { name: 'label' }] })
  ).json()
  const [scores, label] = outputs
  t.same(scores.shape, [2, 110])
  const of = new Map(candidates.map(({ user, score }: { user: number; score: number }) => [user, score]))
  t.same(
    scores.data.slice(0, 110),
    app.models.users.map((user) => of.get(user as number)),
  )
  t.equal(label.data[0], 84)
})

t.test('users whose ids are text are texts here, too', async (t) => {
  const typists = build(t, { MODEL_DIR: TYPISTS })
  const { keystrokes } = readGolden(TYPISTS).keystrokes[0] as { keystrokes: (typeof TYPINGS)[0] }
  const { user } = (await postTo(typists)('/predict/rf', { keystrokes })).json()
  t.type(user, 'string')
  const { inputs, outputs } = (await typists.inject('/v2/models/best')).json()
  t.match(outputs[0], { name: 'label', datatype: 'BYTES' })
  const { shape } = inputs[0]
  const body = {
    inputs: [
      { ...{ name: 'input', datatype: 'FP64', shape: [1, ...shape.slice(1)] }, data: timesOf([keystrokes]) },
    ],
    outputs: [{ name: 'label' }],
  }
  const best = (await postTo(typists)('/predict/best', { keystrokes })).json().user
  t.same((await postTo(typists)('/v2/models/best/infer', body)).json().outputs[0].data, [best])
  const binary = await postTo(typists)('/v2/models/best/infer', {
    ...body,
    parameters: { binary_data_output: true },
  })
  const at = Number(binary.headers['inference-header-content-length'])
  t.equal(binary.rawPayload.readUInt32LE(at), Buffer.byteLength(best))
  t.equal(binary.rawPayload.subarray(at + 4).toString(), best)
})

t.test('what is no input of the model is refused, with the place where it is not', async (t) => {
  const input = summaries()
  const negative = (at: number) => ROWS.map((row, i) => (i === 1 ? row.with(at, -1) : row))
  const press = typings(TYPINGS.slice(0, 2))
  const swapped = press.data.with(3, -5)
  for (const [model, body, status, error] of [
    ['nobody', { inputs: [input] }, 404, /^There is no model "nobody"/],
    ['rf/versions/7', { inputs: [input] }, 404, /^There is no model "rf, version 7"/],
    ['rf', {}, 400, /\/inputs is required/],
    ['rf', { inputs: [] }, 400, /\/inputs must NOT have fewer than 1 items/],
    ['rf', { inputs: [input], parameters: { fpri: 0.1 } }, 400, /\/parameters\/fpri is not/],
    ['rf', { inputs: [input], model_name: 'svm' }, 422, /\/model_name must be "rf"/],
    ['rf', { inputs: [input], model_name: 'rf' }, 200, undefined],
    ['rf', { inputs: [input, input] }, 422, /\/inputs\/1 is one too many/],
    ['rf', { inputs: [{ ...input, name: 'x' }] }, 422, /\/inputs\/0\/name must be "input"/],
    ['rf', { inputs: [{ ...input, datatype: 'FP64' }] }, 422, /\/inputs\/0\/datatype must be "FP32"/],
    ['rf', { inputs: [{ ...input, shape: [2, 7] }] }, 422, /\/inputs\/0\/shape must be \[rows, 8\]/],
    ['rf', { inputs: [{ ...input, shape: [0, 8] }] }, 422, /of 1 to 10000 rows/],
    ['rf', { inputs: [{ ...input, shape: [10001, 8] }] }, 422, /of 1 to 10000 rows/],
    ['rf', { inputs: [{ ...input, shape: [] }] }, 422, /of 1 to 10000 rows/],
    ['rf', { inputs: [{ ...input, shape: [3, 8] }] }, 422, /\/inputs\/0\/data must have 24 numbers/],
    ['rf', { inputs: [{ ...input, data: undefined }] }, 422, /\/inputs\/0\/data must have 16 numbers/],
    ['rf', { inputs: [{ ...input, data: null }] }, 422, /\/inputs\/0\/data must have 16 numbers/],
    ['rf', { inputs: [{ ...input, data: [ROWS] }] }, 422, /\/inputs\/0\/data must have 16 numbers/],
    [
      'rf',
      { inputs: [{ ...input, data: ROWS.map((row) => row.map(String)) }] },
      400,
      /\/inputs\/0\/data\/0\/0 must be number/,
    ],
    [
      'rf',
      { inputs: [{ ...input, data: ROWS.map((row) => row.map((number) => [number])) }] },
      422,
      /data\/0 HT\.Mean must be/,
    ],
    [
      'rf',
      { inputs: [{ ...input, data: [ROWS[0], ROWS[0]?.with(2, 1e39)] }] },
      422,
      /data\/1 PPT\.Mean must be/,
    ],
    ['rf', { inputs: [{ ...input, data: negative(0) }] }, 422, /data\/1 HT\.Mean must be >= 0/],
    ['rf', { inputs: [{ ...input, data: negative(7) }] }, 422, /data\/1 RPT\.STD must be >= 0/],
    ['rf', { inputs: [{ ...input, data: negative(2) }] }, 200, undefined],
    [
      'rf',
      { inputs: [input], outputs: [{ name: 'scores' }] },
      422,
      /\/outputs\/0\/name must be one of label\./,
    ],
    [
      'rf',
      { inputs: [input], outputs: [{ name: 'label', parameters: { classification: 2 } }] },
      400,
      /classif/,
    ],
    ['rf', { inputs: [input], parameters: { fpir: 0.05 } }, 422, /has no operating point at this fpir/],
    ['best', { inputs: [input] }, 422, /datatype must be "FP64"/],
    [
      'best',
      { inputs: [{ ...press, data: press.data.with(30, 2 ** 53) }] },
      422,
      /data\/1 press must be a number/,
    ],
    [
      'best',
      { inputs: [{ ...press, data: swapped }] },
      422,
      /^Keystroke 1 is released before.*\(\/inputs\/0\/data\/0\)$/,
    ],
  ] as const) {
    const answer = await infer(model, body)
    t.equal(answer.statusCode, status, String(error))
    if (error === undefined) continue
    t.equal(answer.headers['content-type'], 'application/json')
    t.same(Object.keys(answer.json()), ['error'])
    t.match(answer.json().error, error)
  }
})

t.test('binary data has to be as long as it says, and hold numbers', async (t) => {
  const { data, ...tensor } = summaries()
  const bytes = float32(data.flat())
  const nan = Buffer.from(bytes)
  nan.writeFloatLE(Number.NaN, 4)
  const sized = (binary_data_size: number, more = {}) => ({
    inputs: [{ ...tensor, parameters: { binary_data_size }, ...more }],
  })
  for (const [body, payload, headers, error] of [
    [{ inputs: [tensor] }, bytes, {}, /binary_data_size is required/],
    [sized(60), bytes, {}, /binary_data_size must be 64, and as many bytes follow/],
    [sized(64), bytes.subarray(4), {}, /binary_data_size must be 64/],
    [sized(64), Buffer.concat([bytes, bytes]), {}, /binary_data_size must be 64/],
    [sized(64, { data }), bytes, {}, /data may not be there beside binary data/],
    [sized(64), nan, {}, /data\/0 HT\.STD must be a number/],
    [sized(64), bytes, { 'inference-header-content-length': '9999' }, /must be a whole number up to/],
    [sized(64), bytes, { 'inference-header-content-length': '0' }, /must be a whole number up to/],
    [sized(64), bytes, { 'inference-header-content-length': '1e' }, /must be a whole number up to/],
    [sized(64), bytes, { 'inference-header-content-length': '20' }, /not valid JSON/],
  ] as const) {
    const answer = await inferBinary('rf', body, payload, headers)
    t.equal(answer.statusCode, /whole|JSON/.test(String(error)) ? 400 : 422, String(error))
    t.match(answer.json().error, error)
  }
})

t.test('a body is JSON, or bytes, and nothing else; and has a limit', async (t) => {
  const small = build(t, { BATCH_BODY_LIMIT: '1024' })
  const ask = (headers: Record<string, string>, payload: string | Buffer) =>
    small.inject({ method: 'POST', url: '/v2/models/rf/infer', headers, payload })
  const good = JSON.stringify({ inputs: [summaries()] })
  for (const [headers, payload, status, error] of [
    [{ 'content-type': 'application/json; charset=utf-8' }, good, 200, undefined],
    [{ 'content-type': 'text/plain' }, good, 415, /as application\/json or application\/octet-stream/],
    [{ 'content-encoding': 'gzip' }, good, 415, /not compressed/],
    [{ 'content-type': 'application/json' }, Buffer.from('"\xff"', 'latin1'), 400, /not valid JSON/],
    [{ 'content-type': 'application/json' }, '{"__proto__":{}}', 400, /not valid JSON/],
    [{}, '', 400, /must be object|documented form/],
    [{}, good.padEnd(1025), 413, /1024 bytes/],
  ] as const) {
    const answer = await ask(headers, payload)
    t.equal(answer.statusCode, status, String(error))
    if (error) t.match(answer.json().error, error)
  }
})

t.test('what there is not is told of in the same form', async (t) => {
  const nothing = await app.inject('/v2/repository/index')
  t.equal(nothing.statusCode, 404)
  t.match(nothing.json(), { error: /^There is nothing at this path/ })
  const other = await app.inject({ method: 'DELETE', url: '/v2/health/live' })
  t.equal(other.statusCode, 405)
  t.equal(other.headers.allow, 'GET, HEAD')
  t.match(other.json(), { error: /^This path answers GET, HEAD only/ })
})

t.test('a failure tells the request id only', async (t) => {
  const faulty = build(t, { MODEL_DIR: faultyModels(t) })
  const headers = { 'x-request-id': 'the-one' }
  const payload = {
    inputs: [{ name: 'input', datatype: 'FP64', shape: [1, 2, 2], data: [0, 1e9, 2e9, 3e9] }],
  }
  const answer = await faulty.inject({ method: 'POST', url: '/v2/models/throwing/infer', headers, payload })
  t.equal(answer.statusCode, 500)
  t.same(answer.json(), {
    error: 'The request failed. The log has the cause under this request id. (the-one)',
  })
  t.same((await faulty.inject('/v2/models/throwing/ready')).json(), { name: 'throwing', ready: true })
})

t.test('a model that has failed is not ready', async (t) => {
  const faulty = build(t, { MODEL_DIR: faultyModels(t) })
  const keystrokes = [
    { press: 0, release: 90 },
    { press: 150, release: 240 },
  ]
  // It falls as a dice does, whether it answers.
  while ((await postTo(faulty)('/predict/moody', { keystrokes })).statusCode === 200);
  const answers = new Map<number, object>()
  for (let i = 0; i < 50; i++) {
    const answer = await faulty.inject('/v2/models/moody/ready')
    answers.set(answer.statusCode, answer.json())
  }
  t.same(answers.get(200), { name: 'moody', ready: true })
  t.same(answers.get(503), { name: 'moody', ready: false })
})

t.test('who may not ask is told so in the same form, and whether it is well all the same', async (t) => {
  const guarded = build(t, { API_KEYS: `app:${'0'.repeat(64)}`, PUBLIC_ROUTES: 'models' })
  for (const url of ['/v2/health/live', '/v2/health/ready']) {
    t.equal((await guarded.inject(url)).statusCode, 200)
  }
  for (const url of ['/v2', '/v2/models/svm', '/v2/models/svm/ready']) {
    const answer = await guarded.inject(url)
    t.equal(answer.statusCode, 401)
    t.match(answer.json(), { error: /^The request needs an API key/ })
  }
})
