import { createWriteStream, readFileSync } from 'node:fs'
import { rename, rm, stat } from 'node:fs/promises'
import { constants } from 'node:os'
import type { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { parseArgs } from 'node:util'
import { csvAnswers, jsonAnswers, Tally } from './answers.js'
import { createClient } from './index.js'
import { predictions, Refusal } from './predictions.js'
import { Progress } from './progress.js'
import { readTypings } from './typings.js'

const NAME = 'keystroke-recognition'
/** The most that the service takes in a request. */
const MOST_SAMPLES = 10_000
const USAGE = `Usage: ${NAME} predict FILE.csv [options]

Asks the service who typed each row of a file, and writes the answers.
The columns of the file are press-0, release-0, press-1, … in milliseconds, or HT.Mean, HT.STD, …, RPT.STD.
Where there is a column user, it stands beside each answer, and how many are right is said at the end.

  --model NAME      the model to ask (best)
  --url URL         where the service is (http://localhost:3000)
  --top N           answer the N best users, too
  --fpir RATE       decide at this rate of strangers taken for somebody
  --out FILE        where to write the answers, once they are complete (standard output)
  --format FORMAT   csv or ndjson (csv)
  --batch N         the most rows in a request (100)
  --patience S      how many seconds to wait in all for a request that the service has no time for (120)
  --api-key KEY     for a service that asks for one; better in KEYSTROKE_API_KEY
  --token TOKEN     for a service that asks for one; better in KEYSTROKE_TOKEN
  --help, --version
`

/** The command is not as documented. */
class UsageError extends Error {}

/** What the command is run in. */
export interface Surroundings {
  env: NodeJS.ProcessEnv
  stdout: Writable
  stderr: Writable & { isTTY?: boolean }
  /** Ends it; its reason is the name of the signal that does. */
  signal: AbortSignal
}

/** Does what the arguments say. Answers the code to exit with. */
export async function command(args: string[], surroundings: Surroundings): Promise<number> {
  try {
    await run(args, surroundings)
    return 0
  } catch (error) {
    return failed(error as NodeJS.ErrnoException, surroundings)
  }
}

async function run(args: string[], { env, stdout, stderr, signal }: Surroundings): Promise<void> {
  const { values, positionals } = parse(args)
  if (values.help) return void stdout.write(USAGE)
  if (values.version) return void stdout.write(`${version()}\n`)
  const [command, path = '', ...others] = positionals
  if (command !== 'predict' || path === '' || others.length > 0)
    throw new UsageError('it is: predict FILE.csv')
  const { model, format, out } = values
  if (!/^(csv|ndjson)$/.test(format)) throw new UsageError('--format is csv or ndjson')
  const baseUrl = address(values.url)
  const top = whole('--top', values.top ?? '0')
  const query = { ...(top > 0 && { top }), ...(values.fpir && { fpir: rate('--fpir', values.fpir) }) }
  const batch = Math.min(MOST_SAMPLES, Math.max(1, whole('--batch', values.batch)))
  const patience = whole('--patience', values.patience)
  const apiKey = secret('key', values['api-key'] ?? env.KEYSTROKE_API_KEY)
  const token = secret('token', values.token ?? env.KEYSTROKE_TOKEN)

  const typings = await readTypings(path)
  const { column, hasUsers } = typings
  const progress = new Progress(stderr, (await stat(path)).size)
  const tally = new Tally((count) => progress.update(typings.bytes, count))
  const client = createClient({ baseUrl, apiKey, token, fetch: reach })
  const answers = tally.count(predictions(typings, { client, model, query, batch, patience, signal, column }))
  try {
    await write(
      format === 'csv' ? csvAnswers(answers, { hasUsers, top }) : jsonAnswers(answers),
      out ?? stdout,
    )
  } finally {
    progress.end()
  }
  stderr.write(`${tally.told(hasUsers)}\n`)
}

function parse(args: string[]) {
  return parseArgs({
    args,
    allowPositionals: true,
    options: {
      model: { type: 'string', default: 'best' },
      url: { type: 'string', default: 'http://localhost:3000' },
      top: { type: 'string' },
      fpir: { type: 'string' },
      out: { type: 'string' },
      format: { type: 'string', default: 'csv' },
      batch: { type: 'string', default: '100' },
      patience: { type: 'string', default: '120' },
      'api-key': { type: 'string' },
      token: { type: 'string' },
      help: { type: 'boolean' },
      version: { type: 'boolean' },
    },
  })
}

function version(): string {
  return JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8')).version
}

function address(text: string): string {
  const { protocol = '', username = '', password = '' } = URL.canParse(text) ? new URL(text) : {}
  if (!/^https?:$/.test(protocol) || username + password !== '')
    throw new UsageError('--url is one of http or https, without a user')
  return text
}

function whole(option: string, text: string): number {
  if (!/^\d{1,5}$/.test(text)) throw new UsageError(`${option} is a whole number`)
  return Number(text)
}

function rate(option: string, text: string): number {
  if (!(Number(text) > 0 && Number(text) < 1)) throw new UsageError(`${option} is a rate, such as 0.05`)
  return Number(text)
}

/** Checked before it gets where an error would tell it. */
function secret(what: string, text: string | undefined): string | undefined {
  if (text !== undefined && !/^[\x21-\x7e]+$/.test(text)) throw new UsageError(`the ${what} is not one`)
  return text
}

/** Asks over the network, and says where nobody is to be reached there. */
async function reach(request: Request): Promise<Response> {
  try {
    return await fetch(request)
  } catch (error) {
    const { code, message } = (error as { cause: NodeJS.ErrnoException }).cause
    throw new Refusal(`${new URL(request.url).origin} can't be reached: ${code ?? message}`)
  }
}

/** Writes to a stream, or to a file that is there once all of it is. */
async function write(lines: AsyncIterable<string>, out: Writable | string): Promise<void> {
  if (typeof out !== 'string') return pipeline(lines, out, { end: false })
  const partial = `${out}.${process.pid}.part`
  try {
    await pipeline(lines, createWriteStream(partial))
    await rename(partial, out)
  } finally {
    await rm(partial, { force: true })
  }
}

/** Says what went wrong. Answers the code to exit with. */
function failed(error: NodeJS.ErrnoException, { stderr, signal }: Surroundings): number {
  if (signal.aborted) return 128 + constants.signals[signal.reason as NodeJS.Signals]
  // Who reads the answers has had enough of them, as head has.
  if (error.code === 'EPIPE') return 0
  const misused = error instanceof UsageError || error.code?.startsWith('ERR_PARSE_ARGS')
  stderr.write(`${NAME}: ${error.message}\n${misused ? `${NAME} --help says how it is called.\n` : ''}`)
  return misused ? 2 : 1
}
