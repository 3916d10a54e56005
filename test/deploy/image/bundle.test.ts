import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { arch, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { build, SUMMARY } from '../../fixtures/build.js'
import { MODELS, readGolden } from '../../fixtures/models.js'

const TYPING = { keystrokes: readGolden().keystrokes[0]?.keystrokes }
const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
// What runs here is the bundle, on its own: no part of the coverage of src.
const { NODE_OPTIONS: _options, NODE_V8_COVERAGE: _coverage, ...env } = process.env

const folder = mkdtempSync(join(tmpdir(), 'bundle-'))
t.teardown(() => rmSync(folder, { recursive: true }))
execFileSync('npm', ['run', '--silent', 'bundle', '--', folder], { cwd: ROOT, env, stdio: 'inherit' })
cpSync(MODELS, join(folder, 'models'), { recursive: true })

/** What the bundled handler answers to these requests, and which compilers it had to load for that. */
function answers(
  requests: { method?: string; url: string; payload?: string }[],
  settings = {},
  flags: string[] = [],
) {
  const script = `
    const { handler } = await import(${JSON.stringify(join(folder, 'dist/lambda.js'))})
    const { cold } = (await import(${JSON.stringify(join(folder, 'dist/load.cjs'))})).default
    const answers = []
    for (const { method = 'GET', url, payload } of ${JSON.stringify(requests)}) {
      const [path, query = ''] = url.split('?')
      const headers = { 'content-type': 'application/json' }
      const event = { httpMethod: method, path, headers, body: payload, requestContext: {},
        queryStringParameters: Object.fromEntries(new URLSearchParams(query)) }
      answers.push(await handler(event, { awsRequestId: 'id' }))
    }
    const loaded = Object.keys((await import('node:module')).Module._cache).filter((path) => path.includes('-compiler'))
    console.log(JSON.stringify({ cold, loaded, answers }))
  `
  const { stdout, stderr } = spawnSync(
    process.execPath,
    [...flags, '--input-type=module', '--eval', script],
    {
      env: { ...env, LOG_LEVEL: 'silent', ...settings },
      encoding: 'utf8',
      maxBuffer: 1e8,
    },
  )
  return stdout === '' ? t.fail(stderr) : JSON.parse(stdout)
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
    { method: 'POST', url: '/predict/rf', payload: '{"HT":{"Mean":"1","STD":2}}' },
    { method: 'POST', url: '/predict/rf', payload: '{"keystrokes":[{"press":0}]}' },
    { method: 'POST', url: '/predict/rf?top=6', payload: JSON.stringify(SUMMARY) },
    { method: 'POST', url: '/predict/rf', payload: '{"keystrokes":[]}' },
    { url: '/' },
    { url: '/models' },
    { url: '/nowhere' },
    { url: '/docs/json' },
    { url: '/docs/static/swagger-ui.css' },
  ]
  const bundled = answers(requests)
  for (const [i, request] of requests.entries()) {
    const headers = { 'content-type': 'application/json' }
    const direct = await app.inject({ method: 'GET', ...request, headers } as object)
    t.equal(bundled.answers[i].statusCode, direct.statusCode, request.url)
    t.ok(bundled.answers[i].body === direct.body, request.url)
  }
  t.same(bundled.loaded, [])
})

t.test('a setting that changes a schema has it compiled', async (t) => {
  const request = { method: 'POST', url: '/predict/rf?top=6', payload: JSON.stringify(SUMMARY) }
  const { answers: given, loaded } = answers([request], { MAX_CANDIDATES: '6' })
  t.equal(JSON.parse(given[0].body).candidates.length, 6)
  t.match(loaded, [/ajv-compiler/])
})

t.test('code that V8 has compiled is kept for the next start, and only on demand', async (t) => {
  t.ok(answers([{ url: '/' }]).cold)
  t.notOk(existsSync(join(folder, 'dist/service.cache')))
  execFileSync(process.execPath, [join(folder, 'dist/warm.mjs')], { env })
  t.notOk(answers([{ url: '/' }]).cold)
  t.notOk(answers([{ url: '/' }], {}, ['--expose-gc']).cold, 'as Lambda starts Node')
})

t.test('code that is damaged, or was compiled of another source, is not run', async (t) => {
  for (const file of ['service.cache', 'service.cjs']) {
    const path = join(folder, 'dist', file)
    const whole = readFileSync(path)
    const damaged = Buffer.from(whole)
    // Of the same length, which is all that V8 compares; the source ends with white space.
    damaged[damaged.length - 1] = (damaged.at(-1) as number) === 10 ? 32 : 10
    writeFileSync(path, damaged)
    const { cold, answers: given } = answers([{ url: '/' }])
    writeFileSync(path, whole)
    t.ok(cold, file)
    t.equal(given[0].statusCode, 200)
  }
  t.notOk(answers([{ url: '/' }]).cold)
})

t.test('of the runtime there is one platform', async (t) => {
  const platforms = join(folder, 'node_modules/onnxruntime-node/bin/napi-v6')
  t.same(readdirSync(platforms), ['linux'])
  t.same(readdirSync(join(platforms, 'linux')), [arch()])
})

t.test('no path of the machine that made it is in it', async (t) => {
  for (const name of ['server.js', 'lambda.js', 'service.cjs']) {
    t.notOk(readFileSync(join(folder, 'dist', name), 'utf8').includes(ROOT), name)
  }
})
