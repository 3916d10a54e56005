import cluster, { type Worker } from 'node:cluster'
import { isatty } from 'node:tty'

/** What a terminal sends to all that runs in it when it is closed, and a supervisor to have files read again. */
const HANG_UP = ['SIGHUP'] as const

/** Whether a person runs the service by hand, and so a closed terminal stops it. */
const inTerminal = isatty(0)

/** What stops the service, and what has it reload; a terminal sends them to its workers, too. */
export const STOP_SIGNALS = [
  'SIGTERM',
  'SIGINT',
  'SIGQUIT',
  'SIGUSR2',
  ...(inTerminal ? HANG_UP : []),
] as const
export const RELOAD_SIGNALS = inTerminal ? [] : HANG_UP

/** What a worker is to do, as it is told once it is up and when that changes; or at once. */
type Order = 'serve' | 'close' | 'reload'

/** A worker that ends before it has served so long is likely to end again: the next one waits, from time to time longer. */
const SETTLED_MS = 10_000
const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 10_000

/** What a worker asks all of them: which question of its is it, who it is, and how many they are. */
interface Question {
  question: number
  by: number
  of: number
}
/** What one of them answers. */
interface Answer extends Question {
  from: number
  answer: unknown
}

/** A worker that is well answers in a turn of its event loop. */
const ANSWER_WITHIN_MS = 2000

/**
 * Serves with several processes on one port, each run as this one was; resolves when all have ended. One that dies is
 * replaced, also by one that can't start for now, as long as others serve. Before all were up once, or where nobody
 * serves, one that can't start ends the whole.
 * @returns the exit code
 */
export function runWorkers(count: number): Promise<number> {
  const running = new Set<Worker>()
  const serving = new Set<Worker>()
  const pauses = new Set<NodeJS.Timeout>()
  let order: Order = 'serve'
  let allWereUp = false
  let soonEnded = 0
  let reloads = 0
  let exitCode = 0

  return new Promise((resolve) => {
    function fork(): void {
      const worker = cluster.fork()
      let settledAt = Number.POSITIVE_INFINITY
      const before = reloads
      running.add(worker)
      worker.once('listening', () => {
        serving.add(worker)
        settledAt = performance.now() + SETTLED_MS
        if (serving.size === count) allWereUp = true
        // What it was told before it could hear is lost.
        tell(worker, order)
        if (reloads > before) tell(worker, 'reload')
      })
      worker.on('message', (message: Question | Answer) => {
        if ('answer' in message) return cluster.workers?.[message.by]?.send(message, () => {})
        const asked = [...new Set(serving).add(worker)]
        for (const one of asked) one.send({ ...message, by: worker.id, of: asked.length }, () => {})
      })
      const ended = new Promise<string | number>((resolve) => {
        worker.once('exit', (code, signal) => resolve(signal ?? code))
        // Where it can't be made at all there is no exit.
        worker.once('error', (error) => {
          console.error(`A worker can not be started: ${error.message}`)
          resolve(error.message)
        })
      })
      ended.then((reason) => {
        running.delete(worker)
        const served = serving.delete(worker)
        if (order === 'serve' && (served || (allWereUp && serving.size > 0))) {
          soonEnded = performance.now() < settledAt ? soonEnded + 1 : 0
          replace(reason)
          return
        }
        if (reason !== 0) exitCode = 1
        if (order === 'serve') closeAll()
        else endIfNoneIsLeft()
      })
    }

    function replace(reason: string | number): void {
      const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** soonEnded)
      console.error(`A worker ended (${reason}); another takes its place in ${pause} ms.`)
      const timer = setTimeout(() => {
        pauses.delete(timer)
        fork()
      }, pause)
      pauses.add(timer)
    }

    function closeAll(): void {
      const again = order === 'close'
      order = 'close'
      for (const pause of pauses) clearTimeout(pause)
      for (const worker of running) {
        // Whoever asks twice does not want to wait.
        if (again) worker.process.kill('SIGKILL')
        else tell(worker, order)
      }
      endIfNoneIsLeft()
    }

    function reloadAll(): void {
      reloads++
      for (const worker of serving) tell(worker, 'reload')
    }

    function endIfNoneIsLeft(): void {
      if (running.size === 0) resolve(exitCode)
    }

    for (const signal of STOP_SIGNALS) process.on(signal, closeAll)
    for (const signal of RELOAD_SIGNALS) process.on(signal, reloadAll)
    for (let i = 0; i < count; i++) fork()
  })
}

/** One that has just died can't be told, and needn't be. */
function tell(worker: Worker, order: Order): void {
  worker.send(order, () => {})
}

/**
 * Hears, in a worker, what the process that runs the workers wants, and leaves signals to it.
 * @param close called once
 */
export function hearOrders({ close, reload }: { close(): void; reload(): void }): void {
  for (const signal of [...STOP_SIGNALS, ...RELOAD_SIGNALS]) process.on(signal, () => {})
  const hear = (order: Order) => {
    if (order === 'reload') reload()
    if (order !== 'close') return
    process.off('message', hear)
    close()
  }
  process.on('message', hear)
}

/** How a worker learns what all of them have to say, itself included: each says what `answer` was given. */
export function workerPeers() {
  const { id } = cluster.worker as Worker
  const send = (message: object) => process.send?.(message)
  const heard = new Map<number, (answer: Answer) => void>()
  let question = 0
  process.on('message', (message: Order | Question | Answer) => {
    if (typeof message === 'object' && 'answer' in message) heard.get(message.question)?.(message)
  })
  return {
    answer(tell: () => unknown): void {
      process.on('message', (message: Order | Question | Answer) => {
        if (typeof message === 'object' && !('answer' in message))
          send({ ...message, from: id, answer: tell() })
      })
    },
    /** @throws where one of them does not answer in time */
    ask(): Promise<Map<number, unknown>> {
      const asked = question++
      const answers = new Map<number, unknown>()
      return new Promise<Map<number, unknown>>((resolve, reject) => {
        const late = () => reject(new Error(`Only ${answers.size} of the workers answered`))
        setTimeout(late, ANSWER_WITHIN_MS).unref()
        heard.set(asked, ({ from, of, answer }) => {
          answers.set(from, answer)
          if (answers.size === of) resolve(answers)
        })
        send({ question: asked })
      }).finally(() => heard.delete(asked))
    },
  }
}
