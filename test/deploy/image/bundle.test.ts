import { execFile, execFileSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { arch, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { gunzipSync } from 'node:zlib'
import t from 'tap'
import {
  ArchiveBody,
  EnrolBody,
  EnrolledClaimBody,
  TypingsBatchBody,
  TypingsBody,
} from '../../../src/schemas/enrolment.js'
import { exampleTensors } from '../../../src/schemas/sample.js'
import { startBucket } from '../../fixtures/bucket.js'
import { build, SUMMARY } from '../../fixtures/build.js'
import { startCollector } from '../../fixtures/collector.js'
import { NOT_COVERED as env } from '../../fixtures/commands.js'
import { withoutChance } from '../../fixtures/document.js'
import { MODELS, readGolden } from '../../fixtures/models.js'
import { pathsOn } from '../../fixtures/page.js'

const TYPING = { keystrokes: readGolden().keystrokes[0]?.keystrokes }
const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

const folder = mkdtempSync(join(tmpdir(), 'bundle-'))
t.teardown(() => rmSync(folder, { recursive: true }))
const metafiles = `${folder}.json`
t.teardown(() => rmSync(metafiles))
const bundle = ['run', '--silent', 'bundle', '--', folder, arch(), metafiles]
execFileSync('npm', bundle, { cwd: ROOT, env, stdio: 'inherit' })
cpSync(MODELS, join(folder, 'models'), { recursive: true })

const typeOf = (url: string) => (url.includes('/stream') ? 'application/x-ndjson' : 'application/json')

/** What the bundled handler answers to these requests, and which packages beside the runtime it had to load for that. */
async function answers(
  requests: { method?: string; url: string; payload?: string }[],
  settings: NodeJS.ProcessEnv = {},
  flags: string[] = [],
) {
  const script = `
    const { handler } = await import(${JSON.stringify(join(folder, 'dist/lambda.js'))})
    const { cold } = (await import(${JSON.stringify(join(folder, 'dist/load.cjs'))})).default
    const answers = []
    const typeOf = ${typeOf}
    for (const { method = 'GET', url, payload } of ${JSON.stringify(requests)}) {
      const [path, query = ''] = url.split('?')
      const headers = payload === undefined ? {} : { 'content-type': typeOf(url) }
      const event = { httpMethod: method, path, headers, body: payload, requestContext: {},
        queryStringParameters: Object.fromEntries(new URLSearchParams(query)) }
      answers.push(await handler(event, { awsRequestId: 'id' }))
    }
    const loaded = Object.keys((await import('node:module')).Module._cache).filter((path) => /node_modules\\/@|tracing/.test(path))
    console.log(JSON.stringify({ cold, loaded, answers }))
  `
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [...flags, '--input-type=module', '--eval', script],
    { env: { ...env, LOG_LEVEL: 'silent', DATA_DIR: join(folder, 'data'), ...settings }, maxBuffer: 1e8 },
  )
  return JSON.parse(stdout)
}

t.test('the bundle answers as the service does, byte for byte, and compiles no schema', async (t) => {
  const app = build(t, {}, { requestId: () => 'id' })
  const requests = [
    ...['svm', 'rf', 'xgb', 'summary'].flatMap((model) => [
      { method: 'POST', url: `/predict/${model}?top=5`, payload: JSON.stringify(SUMMARY) },
      { method: 'POST', url: '/predict', payload: JSON.stringify({ Model: model, ...SUMMARY }) },
      { url: `/models/${model}` },
    ]),
    ...['trees', 'templates', 'best'].flatMap((model) => [
      { method: 'POST', url: `/predict/${model}?top=5&fpir=0.1`, payload: JSON.stringify(TYPING) },
      { method: 'POST', url: `/predict/${model}`, payload: JSON.stringify({ attempts: [TYPING, TYPING] }) },
      { method: 'POST', url: `/verify/${model}?fmr=0.05`, payload: JSON.stringify({ user: 84, ...TYPING }) },
      { url: `/models/${model}` },
    ]),
    { method: 'POST', url: '/verify/best', payload: JSON.stringify({ user: true, ...TYPING }) },
    { method: 'POST', url: '/predict/best/batch', payload: JSON.stringify({ samples: [TYPING, TYPING] }) },
    { method: 'POST', url: '/predict/best/batch', payload: '{"samples":[{"keystrokes":[{"press":0}]}]}' },
    {
      method: 'POST',
      url: '/predict/best/stream?top=2',
      payload: [TYPING, { keystrokes: [{ press: 0 }] }, SUMMARY]
        .map((one) => `${JSON.stringify(one)}\n`)
        .join(''),
    },
    ...Object.entries(exampleTensors).map(([name, { value }]) => ({
      method: 'POST',
      url: `/v2/models/${name === 'summary' ? 'rf' : 'best'}/infer`,
      payload: JSON.stringify(value),
    })),
    { url: '/v2/models/svm' },
    { method: 'POST', url: '/predict/rf', payload: '{"HT":{"Mean":"1","STD":2}}' },
    { method: 'POST', url: '/predict/rf', payload: '{"keystrokes":[{"press":0}]}' },
    { method: 'POST', url: '/predict/rf?top=6', payload: JSON.stringify(SUMMARY) },
    { method: 'POST', url: '/predict/rf', payload: '{"keystrokes":[]}' },
    { url: '/' },
    { url: '/models' },
    { url: '/nowhere' },
    { url: '/docs/json' },
    { url: '/docs' },
    ...pathsOn((await app.inject('/docs')).body, '/docs').map((url) => ({ url })),
    { url: '/demo' },
    ...pathsOn((await app.inject('/demo')).body, '/demo').map((url) => ({ url })),
    { url: '/demo/recorder.js' },
  ]
  const bundled = await answers(requests)
  for (const [i, request] of requests.entries()) {
    const headers = { 'content-type': typeOf(request.url) }
    const direct = await app.inject({ method: 'GET', ...request, headers } as object)
    const { statusCode, body, isBase64Encoded } = bundled.answers[i]
    t.equal(statusCode, direct.statusCode, request.url)
    t.ok(body === direct.rawPayload.toString(isBase64Encoded ? 'base64' : 'utf8'), request.url)
  }
  const page = bundled.loaded.filter((path: string) => /\/@fastify\/swagger(-ui)?\//.test(path))
  t.same(bundled.loaded, page, 'nothing but the page, which was asked for')
})

t.test(
  'it enrols, recognises and forgets as the service does, and compiles no schema for that',
  async (t) => {
    const { attempts, keystrokes } = EnrolBody['x-examples']
    const post = (url: string, body: object) => ({ method: 'POST', url, payload: JSON.stringify(body) })
    const claim = EnrolledClaimBody['x-examples'].keystrokes.value
    const requests = [
      { method: 'PUT', url: '/texts/motto', payload: '{"keys":13}' },
      { method: 'PUT', url: '/texts/motto', payload: '{"keys":129}' },
      { url: '/texts' },
      { url: '/texts/motto' },
      { url: '/texts?limit=0' },
      post('/texts/motto/users/anna/samples', attempts.value),
      post('/texts/motto/users/anna/samples', attempts.value),
      post('/texts/motto/users/a%20b/samples', keystrokes.value),
      { url: '/texts/motto/users' },
      { url: '/texts/motto/users/anna' },
      post('/texts/motto/identify?top=2', TypingsBody['x-examples'].keystrokes.value),
      post('/texts/motto/identify/batch', TypingsBatchBody['x-examples'].keystrokes.value),
      post('/texts/motto/verify?fmr=0.05', claim),
      post('/texts/motto/verify', { ...claim, user: 84 }),
      post('/texts/motto/templates', ArchiveBody['x-examples'].empty.value),
      { url: '/texts/motto/templates?limit=1001' },
      { method: 'DELETE', url: '/texts/motto/users/anna/samples/none' },
      { method: 'DELETE', url: '/texts/motto/users/anna' },
      { method: 'DELETE', url: '/texts/motto' },
    ]
    const app = build(t, {}, { requestId: () => 'id' })
    const bundled = await answers(requests, { DATA_DIR: t.testdir() })
    for (const [i, request] of requests.entries()) {
      const headers = 'payload' in request ? { 'content-type': 'application/json' } : {}
      const direct = await app.inject({ method: 'GET', ...request, headers } as object)
      const { statusCode, body } = bundled.answers[i]
      t.equal(statusCode, direct.statusCode, request.url)
      t.equal(withoutChance(body), withoutChance(direct.body), request.url)
    }
    t.notMatch(bundled.loaded.join(), /ajv|json-stringify|swagger|aws-sdk/)
  },
)

t.test('a setting that changes a schema has it compiled', async (t) => {
  const request = { method: 'POST', url: '/predict/rf?top=6', payload: JSON.stringify(SUMMARY) }
  const { answers: given, loaded } = await answers([request], { MAX_CANDIDATES: '6' })
  t.equal(JSON.parse(given[0].body).candidates.length, 6)
  t.match(loaded, [/ajv-compiler/])
})

t.test('models are read from a bucket, and what reads them is loaded for that alone', async (t) => {
  const { settings } = await startBucket(t, MODELS)
  const request = { method: 'POST', url: '/predict/rf', payload: JSON.stringify(SUMMARY) }
  rmSync(join(folder, 'models'), { recursive: true })
  t.teardown(() => cpSync(MODELS, join(folder, 'models'), { recursive: true }))
  const { answers: given, loaded } = await answers([request], settings)
  t.match(JSON.parse(given[0].body), { user: 84, model: 'rf' })
  const files = ['index.js', 'all.js'].map((name) =>
    join(folder, 'node_modules/@aws-sdk/client-s3/dist', name),
  )
  t.same(loaded, files)
})

t.test('what the stores load is there, for one platform: what both of AWS need is there once', async (t) => {
  const sources = readFileSync(join(ROOT, 'src/stores/dynamodb.ts'), 'utf8')
  const [, names = ''] = /const \{([^}]+)\} =\s+await import\(/.exec(sources) ?? []
  t.match(names, 'DynamoDBClient')
  const script = `
    const { ${names} } = require('@aws-sdk/client-dynamodb')
    const Sqlite = require('libsql')
    const database = new Sqlite(':memory:')
    const sent = [${names}].filter((name) => typeof name === 'function').length
    console.log(JSON.stringify([sent, ...database.prepare('SELECT 7 * 6').raw().get()]))`
  const inside = { env, cwd: folder, encoding: 'utf8' } as const
  const printed = execFileSync(process.execPath, ['--eval', script], inside)
  t.same(JSON.parse(printed), [names.split(',').filter((name) => name.trim()).length, 42])
  t.same(readdirSync(join(folder, 'node_modules/@libsql')), [`linux-${arch()}-gnu`])
  t.ok(statSync(join(folder, 'node_modules/@aws-sdk/client-dynamodb/dist/index.js')).size < 100)
  t.ok(statSync(join(folder, 'node_modules/@aws-sdk/client-s3/dist/all.js')).size < 550_000)
})

t.test('of a library there is only what is called', async (t) => {
  const service = readFileSync(join(folder, 'dist/service.cjs'), 'utf8')
  t.match(service, 'ValueCheckUnknownTypeError')
  t.notMatch(service, 'ValueCastError', 'which TypeBox has beside it')
})

t.test('traces are sent where they are wanted, and what sends them is loaded for that alone', async (t) => {
  const { url, spans } = await startCollector(t)
  const request = { method: 'POST', url: '/predict/rf', payload: JSON.stringify(SUMMARY) }
  const { loaded } = await answers([request], { OTEL_EXPORTER_OTLP_ENDPOINT: url })
  t.match(spans(), [{ name: 'inference' }, { name: 'POST /predict/:model' }])
  t.same(loaded, [join(folder, 'dist/tracing.cjs')])
  t.ok(statSync(join(folder, 'dist/tracing.cjs')).size < 250_000)
})

t.test('code that V8 has compiled is kept for the next start, and only on demand', async (t) => {
  t.ok((await answers([{ url: '/' }])).cold)
  t.notOk(existsSync(join(folder, 'dist/service.cache')))
  execFileSync(process.execPath, [join(folder, 'dist/warm.mjs')], { env })
  t.notOk((await answers([{ url: '/' }])).cold)
  t.notOk((await answers([{ url: '/' }], {}, ['--expose-gc'])).cold, 'as Lambda starts Node')
})

t.test('code that is damaged, or was compiled of another source, is not run', async (t) => {
  for (const file of ['service.cache', 'service.cjs']) {
    const path = join(folder, 'dist', file)
    const whole = readFileSync(path)
    const damaged = Buffer.from(whole)
    // Of the same length, which is all that V8 compares; the source ends with white space.
    damaged[damaged.length - 1] = (damaged.at(-1) as number) === 10 ? 32 : 10
    writeFileSync(path, damaged)
    const { cold, answers: given } = await answers([{ url: '/' }])
    writeFileSync(path, whole)
    t.ok(cold, file)
    t.equal(given[0].statusCode, 200)
  }
  t.notOk((await answers([{ url: '/' }])).cold)
})

t.test('of the runtime there is one platform', async (t) => {
  const platforms = join(folder, 'node_modules/onnxruntime-node/bin/napi-v6')
  t.same(readdirSync(platforms), ['linux'])
  t.same(readdirSync(join(platforms, 'linux')), [arch()])
})

t.test(
  'no package is in it of which the bill of materials does not know, nor the other way round',
  async (t) => {
    const paths = new Set<string>()
    for (const { outputs } of read(metafiles)) {
      for (const { inputs } of Object.values<{ inputs: Record<string, { bytesInOutput: number }> }>(
        outputs,
      )) {
        for (const [path, { bytesInOutput }] of Object.entries(inputs)) {
          const [inside] = path.split('/node_modules/').slice(-1)
          const name = /^(?:node_modules\/)?((?:@[^/]+\/)?[^/]+)/.exec(inside as string)?.[1]
          if (bytesInOutput > 0 && path.includes('node_modules/')) paths.add(name as string)
        }
      }
    }
    t.ok(paths.size > 50)
    const known = read(join(folder, 'sbom.cdx.json')).components.filter(
      ({ type }: { type: string }) => type === 'library',
    )
    // What is inside another package, or copied as it is, so that the bundler does not see it.
    paths.add('swagger-ui-dist')
    paths.add(`@libsql/linux-${arch()}-gnu`)
    const names = known.map(({ group, name }: Record<string, string>) => (group ? `${group}/${name}` : name))
    t.same([...new Set(names)].sort(), [...paths].sort())
  },
)

const otherMachine = arch() !== 'x64' && 'it names the binaries of x64'
t.test('the bill of materials in docs/ is that of what is bundled now', { skip: otherMachine }, async (t) => {
  t.same(read(join(ROOT, 'docs/sbom.cdx.json')), read(join(folder, 'sbom.cdx.json')), 'npm run sbom')
})

t.test('the terms of every package are beside its code', async (t) => {
  const terms = readFileSync(join(folder, 'THIRD-PARTY-LICENCES.txt'), 'utf8')
  for (const { group, name, version, type } of read(join(folder, 'sbom.cdx.json')).components) {
    if (type === 'library') t.ok(terms.includes(`\n${group ? `${group}/` : ''}${name} ${version} (`), name)
  }
  // A line of each text that is asked for, each once.
  for (const line of [
    'Permission is hereby granted, free of charge, to any person obtaining a copy\n',
    'TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION\n',
    'Copyright (c) Microsoft Corporation\n',
    'Copyright 2020-2021 SmartBear Software Inc.\n',
    'Copyright (c) 2023 Pekka Enberg\n',
    'Permission to use, copy, modify, and/or distribute this software for any',
  ])
    t.ok(terms.includes(line), line)
  const others = gunzipSync(readFileSync(join(folder, 'onnxruntime-third-party.txt.gz'))).toString()
  for (const name of ['protocolbuffers/protobuf', 'Eigen', 'abseil-cpp']) t.ok(others.includes(name), name)
})

/** What a file of JSON says. */
function read(path: string) {
  return JSON.parse(readFileSync(path, 'utf8'))
}

t.test('no path of the machine that made it is in it', async (t) => {
  const texts = [
    'dist/server.js',
    'dist/lambda.js',
    'dist/service.cjs',
    'dist/tracing.cjs',
    'sbom.cdx.json',
    'THIRD-PARTY-LICENCES.txt',
  ]
  for (const name of texts) t.notOk(readFileSync(join(folder, name), 'utf8').includes(ROOT), name)
})
