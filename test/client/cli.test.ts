import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { EventEmitter, once } from 'node:events'
import { createWriteStream, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { command } from '../../src/client/command.js'
import { build, postTo, SUMMARY } from '../fixtures/build.js'
import { run } from '../fixtures/commands.js'
import { TYPISTS } from '../fixtures/models.js'
import { output } from '../fixtures/server.js'

const CLI = fileURLToPath(new URL('../../src/client/cli.ts', import.meta.url))
const typists = fileURLToPath(new URL('../fixtures/typists/keystrokes.csv', import.meta.url))
const [header = '', ...rows] = readFileSync(typists, 'utf8').trim().split('\n')
const SUMMARY_HEADER = 'HT.Mean,HT.STD,PPT.Mean,PPT.STD,RRT.Mean,RRT.STD,RPT.Mean,RPT.STD'
const SUMMARY_ROW = Object.values(SUMMARY)
  .flatMap(({ Mean, STD }) => [Mean, STD])
  .join(',')

/** The command as a process, run as these tests are run. */
function start(...args: string[]) {
  const child = spawn(process.execPath, [...process.execArgv, CLI, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = once(child, 'close')
  return { child, code: async () => (await ended)[0] as number, stderr: output(child.stderr) }
}

/** The command in this process. */
async function cli(args: string[], env: NodeJS.ProcessEnv = {}) {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  const written = Promise.all([output(stdout), output(stderr)])
  const code = await command(args, { env, stdout, stderr, signal: new AbortController().signal })
  stdout.end()
  stderr.end()
  const [out, err] = await written
  return { code, stdout: out, stderr: err }
}

/** A service with the typists' models: where it is, and what it answers to one typing. */
async function service(t: Test, settings: NodeJS.ProcessEnv = {}) {
  const app = build(t, { MODEL_DIR: TYPISTS, ...settings })
  const url = await app.listen({ port: 0 })
  const ask = async (path: string, row: string) => (await postTo(app)(path, sampleOf(row))).json()
  return { url, ask }
}

function sampleOf(row: string) {
  const [, ...times] = row.split(',').map(Number)
  const keystrokes = []
  for (let i = 0; i < times.length; i += 2) keystrokes.push({ press: times[i], release: times[i + 1] })
  return { keystrokes }
}

/** Answers requests as it is told to. */
async function front(t: Test, answer: RequestListener) {
  const server = createServer(answer)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A file of the test's own. */
function file(t: Test, content: string, name = 'typings.csv') {
  const path = join(t.testdir(), name)
  writeFileSync(path, content)
  return path
}

const cells = (text: string) =>
  text
    .trim()
    .split('\n')
    .map((line) => line.split(','))

t.test('every row of a file is answered as the service answers it alone', async (t) => {
  const { url, ask } = await service(t)
  const { code, stdout, stderr } = await cli([
    'predict',
    typists,
    '--model',
    'trees',
    '--url',
    url,
    '--top',
    '2',
  ])
  t.equal(code, 0)
  const [head = [], ...lines] = cells(stdout)
  t.same(head.slice(0, 8), [
    'row',
    'expected',
    'user',
    'decision',
    'confidence',
    'quality',
    'model',
    'version',
  ])
  t.same(head.slice(8), ['candidate-1', 'score-1', 'candidate-2', 'score-2'])
  t.equal(lines.length, rows.length)
  let right = 0
  let unknown = 0
  for (const [i, row] of rows.entries()) {
    const { user, decision, confidence, quality, model, version, candidates } = await ask(
      '/predict/trees?top=2',
      row,
    )
    const expected = row.split(',')[0]
    const told = [user, decision, confidence, quality.join(' '), model, version]
    for (const candidate of candidates) told.push(candidate.user, candidate.score ?? '')
    t.same(lines[i], [i + 1, expected, ...told].map(String))
    if (user === expected) right++
    if (decision === 'unknown') unknown++
  }
  const share = ((100 * right) / rows.length).toFixed(1)
  const by = `by trees ${lines[0]?.[7]}`
  t.equal(stderr, `${rows.length} typings, ${right} right (${share} %), ${unknown} unknown, ${by}\n`)
})

t.test('the answers can be lines of JSON, in a file, and of other batches', async (t) => {
  const { url, ask } = await service(t)
  const [first = '', second = '', third = ''] = rows
  const path = file(t, [header, first, second, third].join('\n'))
  const out = join(t.testdirName, 'answers.ndjson')
  const options = ['--url', url, '--format', 'ndjson', '--out', out, '--batch', '2', '--fpir', '0.1']
  const { code, stdout } = await cli(['predict', path, ...options])
  t.same([code, stdout], [0, ''])
  const lines = readFileSync(out, 'utf8').trim().split('\n')
  for (const [i, row] of [first, second, third].entries()) {
    const answer = await ask('/predict/best?fpir=0.1', row)
    t.same(JSON.parse(lines[i] as string), { row: i + 1, expected: 'ann', ...answer })
    t.equal(answer.operatingPoint.fpir, 0.1)
  }
  t.same(readdirSync(t.testdirName), ['answers.ndjson', 'typings.csv'])
})

t.test('a file of summaries is asked for too, and says of nobody whether that is right', async (t) => {
  const url = await build(t).listen({ port: 0 })
  const path = file(t, `id,${SUMMARY_HEADER}\r\n"a, b",${SUMMARY_ROW}\r\n`)
  const { code, stdout, stderr } = await cli(['predict', path, '--model', 'rf', '--url', url, '--top', '1'])
  const [head = [], line = []] = cells(stdout)
  t.same([code, head.includes('expected')], [0, false])
  t.same(line.slice(0, 5), ['1', '84', '', '', ''])
  t.same(line.slice(7), ['84', ''])
  t.match(stderr, /^1 typings, by rf \w+\n$/)
})

t.test('what the service has against a typing is told by row and column', async (t) => {
  const { url } = await service(t)
  const backwards = (rows[1] as string).replace(/(,\d+),\d+(,\d+,\d+)$/, '$1,1$2')
  const ask = (content: string, ...options: string[]) =>
    cli(['predict', file(t, content), '--url', url, ...options])
  for (const batch of ['1', '2', '100']) {
    const { code, stdout, stderr } = await ask(
      [header, rows[0], '', backwards, rows[2]].join('\n'),
      '--batch',
      batch,
    )
    t.match(
      stderr,
      /typings\.csv, line 4 \(row 2\), column release-3: .+ Keystroke 3 .*released before it is pressed/,
    )
    t.same([code, cells(stdout).length], [1, batch === '1' ? 2 : 1], 'what was answered before is written')
  }
  const negative = await ask(`${SUMMARY_HEADER}\n-${SUMMARY_ROW}\n`, '--model', 'rf')
  t.match(negative.stderr, /typings\.csv, line 2 \(row 1\), column HT\.Mean: must be >= 0\./)
  const summary = await ask(`${SUMMARY_HEADER}\n${SUMMARY_ROW}\n`)
  t.match(summary.stderr, /typings\.csv, line 2 \(row 1\): .+This model needs the raw keystrokes/)
  const fewer = await ask('press-0,release-0\n1,2\n')
  t.match(fewer.stderr, /\(row 1\): .+The text has 5 keys; 1 keystrokes were sent/)
  const many = await ask([header, rows[0]].join('\n'), '--top', '50', '--batch', '0')
  t.match(many.stderr, '/top must be <= 5. The request does not have the documented form.')
  const nobody = await ask([header, rows[0]].join('\n'), '--model', 'nobody')
  t.same(
    [nobody.code, nobody.stderr],
    [1, 'keystroke-recognition: There is no model "nobody". GET /models lists those there are.\n'],
  )
})

t.test('what is wrong with a file is told before anybody is asked', async (t) => {
  const path = file(t, '')
  const faults: [string, string][] = [
    ['', ': the file is empty'],
    ['press-0,release-0,press-0\n', ', line 1: there are two columns press-0'],
    ['user,press-0,release-0,press-2\n', ', line 1: there is no column press-1'],
    ['user\n', ', line 1: there is no column HT.Mean'],
    ['press-0,release-0\n\n', ': there is a header and no typing'],
    ['press-0,release-0\n1\n', ', line 2 (row 1): 1 cells, the header has 2'],
    ['press-0,release-0\n1,0x17\n', ', line 2 (row 1), column release-0: not a number'],
    ['press-0,release-0\n\n1,1e999\n', ', line 3 (row 1), column release-0: not a number'],
    ['press-0,release-0\n1,"2\n', ', line 2: a quote is not closed'],
  ]
  for (const [content, fault] of faults) {
    writeFileSync(path, content)
    const { code, stderr } = await cli(['predict', path])
    t.same([code, stderr], [1, `keystroke-recognition: ${path}${fault}\n`])
  }
  const missing = await cli(['predict', join(t.testdirName, 'none.csv')])
  t.equal(missing.code, 1)
  t.match(missing.stderr, /^keystroke-recognition: ENOENT: .*none\.csv/)
})

t.test('a command that is none ends with 2, and tells no key', async (t) => {
  const faults: [string[], RegExp][] = [
    [[], /it is: predict FILE\.csv/],
    [['predict'], /it is: predict FILE\.csv/],
    [['train', typists], /it is: predict FILE\.csv/],
    [['predict', typists, typists], /it is: predict FILE\.csv/],
    [['predict', typists, '--loud'], /--loud/],
    [['predict', typists, '--format', 'xml'], /--format is csv or ndjson/],
    [['predict', typists, '--url', 'localhost:3000'], /--url is one of http or https, without a user/],
    [['predict', typists, '--url', 'nowhere'], /--url is one of http or https, without a user/],
    [
      ['predict', typists, '--url', 'http://me:secret@localhost'],
      /--url is one of http or https, without a user/,
    ],
    [['predict', typists, '--top', 'all'], /--top is a whole number/],
    [['predict', typists, '--fpir', '5%'], /--fpir is a rate, such as 0\.05/],
    [['predict', typists, '--fpir', '1'], /--fpir is a rate, such as 0\.05/],
    [['predict', typists, '--token', 'secret\n'], /the token is not one/],
  ]
  const ended = await Promise.all(faults.map(([args]) => cli(args)))
  for (const [i, { code, stdout, stderr }] of ended.entries()) {
    t.same([code, stdout], [2, ''])
    t.match(stderr, faults[i]?.[1])
    t.match(stderr, /\nkeystroke-recognition --help says how it is called\.\n$/)
    t.notMatch(stderr, 'secret')
  }
})

t.test('it says how it is called, and which version it is', async (t) => {
  const help = await cli(['--help'])
  t.match(help.stdout, /^Usage: keystroke-recognition predict FILE\.csv/)
  const source = readFileSync(new URL('../../src/client/command.ts', import.meta.url), 'utf8')
  const options = [...source.matchAll(/^ {6}'?([a-z-]+)'?: \{ type/gm)].map(([, name]) => `--${name} `)
  t.equal(options.length, 12)
  for (const option of options) t.ok(`${help.stdout.replace(/[,\n]/g, ' ')}`.includes(option), option)
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  t.same(await cli(['--version']), { code: 0, stdout: `${version}\n`, stderr: '' })
})

t.test('a batch that is too large for the service is halved until it is not', async (t) => {
  const { url } = await service(t, { BATCH_BODY_LIMIT: '1024' })
  const all = [...rows, ...rows, ...rows]
  const { code, stdout } = await cli(['predict', file(t, [header, ...all].join('\n')), '--url', url])
  t.equal(code, 0)
  t.same(
    cells(stdout).map(([row]) => row),
    ['row', ...all.map((_, i) => `${i + 1}`)],
  )
  const wide = Array.from({ length: 60 }, (_, i) => [`press-${i}`, `release-${i}`]).flat()
  const one = await cli(['predict', file(t, `${wide}\n${wide.map(() => '1')}\n`), '--url', url])
  t.equal(one.code, 1)
  t.match(one.stderr, /The body is larger than the 1024 bytes that are read/)
})

t.test('a service that has no time is asked again, as long as patience lasts', async (t) => {
  const { url } = await service(t)
  const busy: [number, Record<string, string>][] = [
    [503, { 'retry-after': '1' }],
    [429, { 'retry-after': 'Thu, 01 Jan 1970 00:00:00 GMT' }],
  ]
  let waiting = [...busy]
  const gateway = await front(t, async (request, response) => {
    const [status, headers] = waiting.shift() ?? []
    if (status !== undefined) return response.writeHead(status, headers).end()
    const answer = await fetch(`${url}${request.url}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: Buffer.concat(await request.toArray()),
    })
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(await answer.text())
  })
  const patient = await cli(['predict', typists, '--url', gateway, '--patience', '3'])
  t.same([patient.code, cells(patient.stdout).length], [0, rows.length + 1])
  waiting = [...busy]
  const impatient = await cli(['predict', typists, '--url', gateway, '--patience', '2'])
  t.same([impatient.code, waiting], [1, []])
  t.match(impatient.stderr, 'The answer, 429 Too Many Requests, is none that is documented.')

  const limited = await service(t, { RATE_LIMIT: '1' })
  const { code, stderr } = await cli([
    'predict',
    typists,
    '--url',
    limited.url,
    '--batch',
    '1',
    '--patience',
    '0',
  ])
  t.same([code, stderr], [1, 'keystroke-recognition: There were more than 1 requests in a minute.\n'])
})

t.test('a guarded service is told the key or the token', async (t) => {
  const { url } = await service(t, { API_KEYS: `me:${createHash('sha256').update('secret').digest('hex')}` })
  const ask = (args: string[], env?: NodeJS.ProcessEnv) =>
    cli(['predict', typists, '--url', url, ...args], env)
  t.equal((await ask([], { KEYSTROKE_API_KEY: 'secret' })).code, 0)
  t.equal((await ask(['--api-key', 'secret'], { KEYSTROKE_API_KEY: 'wrong' })).code, 0)
  t.match((await ask([])).stderr, 'The request needs an API key')
  let authorization: string | undefined
  const gateway = await front(t, ({ headers }, response) => {
    authorization = headers.authorization
    response.writeHead(401).end('<html>')
  })
  const { stderr } = await cli(['predict', typists, '--url', gateway], { KEYSTROKE_TOKEN: 'a.b.c' })
  t.equal(stderr, 'keystroke-recognition: The answer, 401 Unauthorized, is none that is documented.\n')
  t.equal(authorization, 'Bearer a.b.c')
})

t.test('where the service is not, that is said', async (t) => {
  const ask = async (url: string) => {
    const { code, stderr } = await cli(['predict', typists, '--url', url])
    t.equal(code, 1)
    return stderr
  }
  const other = await front(t, (_, response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"predictions":[]}')
  })
  t.match(await ask(other), 'The answer, 200 OK, is none that is documented.')
  t.match(await ask('http://localhost:1'), "http://localhost:1 can't be reached: bad port")
  const hung = await front(t, (request) => request.socket.destroy())
  t.match(await ask(hung), `${hung} can't be reached: UND_ERR_SOCKET`)
})

t.test('rows are answered as they come, before the file ends', async (t) => {
  const { url } = await service(t)
  const path = join(t.testdir(), 'pipe')
  await run('mkfifo', [path])
  const { child, code } = start('predict', path, '--url', url, '--batch', '1')
  const pipe = createWriteStream(path)
  pipe.write(`${header}\n${rows[0]}\n`)
  t.match(await output(child.stdout, /\n1,ann,.*\n/), /\n1,ann,/)
  pipe.end(`${rows[1]}\n`)
  t.match(await output(child.stdout), /^2,ann,.*\n$/)
  t.equal(await code(), 0)
})

t.test('who has read enough of the answers ends it without a word', async (t) => {
  const { url } = await service(t)
  const many = Array.from({ length: 3000 }, (_, i) => rows[i % rows.length])
  const { child, code, stderr } = start('predict', file(t, [header, ...many].join('\n')), '--url', url)
  await output(child.stdout, /\n/)
  child.stdout.destroy()
  t.same([await code(), await stderr], [0, ''])
})

t.test('a signal ends it, and leaves neither half of the answers nor another file changed', async (t) => {
  for (const [signal, expected] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    const asked = new EventEmitter()
    const url = await front(t, () => asked.emit('request'))
    const out = file(t, 'as before', 'answers.csv')
    const { child, code, stderr } = start('predict', typists, '--url', url, '--out', out)
    await once(asked, 'request')
    child.kill(signal)
    t.same([await code(), await stderr], [expected, ''])
    t.equal(readFileSync(out, 'utf8'), 'as before')
    t.same(readdirSync(t.testdirName), ['answers.csv'])
  }
  const nowhere = join(t.testdirName, 'none', 'answers.csv')
  const { code, stderr } = await cli(['predict', typists, '--url', (await service(t)).url, '--out', nowhere])
  t.same([code, existsSync(nowhere)], [1, false])
  t.match(stderr, 'ENOENT')
})

t.test('on a terminal a bar says how far it is, and goes', async (t) => {
  const { url } = await service(t)
  const args = [process.execPath, ...process.execArgv, CLI, 'predict', typists, '--url', url, '--batch', '1']
  const out = join(t.testdir(), 'answers.csv')
  // What script writes is what the terminal shows.
  const shown = await run('script', [
    '-qec',
    [...args, '--out', out].map((arg) => `'${arg}'`).join(' '),
    '/dev/null',
  ])
  t.match(shown, /\r█{30} 100 %, 1 typings/)
  t.match(shown.split('\r\u001b[K')[1], /^\d+ typings, \d+ right/)
  t.equal(cells(readFileSync(out, 'utf8')).length, rows.length + 1)
})
