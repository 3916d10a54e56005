import cluster, { type Worker } from 'node:cluster'

/** What stops the service; a terminal sends them to its workers, too. */
export const STOP_SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const

/** What a worker is to do, as it is told once it is up and when that changes. */
type Order = 'serve' | 'close'

/**
 * Serves with several processes on one port, each run as this one was; resolves when all have ended. One that dies is
 * replaced. One that can't even start is not: the others are told to close.
 * @returns the exit code
 */
export function runWorkers(count: number): Promise<number> {
  const running = new Set<Worker>()
  let order: Order = 'serve'
  let exitCode = 0

  function closeAll(): void {
    const again = order === 'close'
    order = 'close'
    for (const worker of running) {
      // Whoever asks twice does not want to wait.
      if (again) worker.process.kill('SIGKILL')
      else tell(worker, order)
    }
  }

  return new Promise((resolve) => {
    function fork(): void {
      const worker = cluster.fork()
      let serving = false
      running.add(worker)
      worker.once('listening', () => {
        serving = true
        // What it was told before it could hear is lost.
        tell(worker, order)
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
        if (order === 'serve' && serving) {
          console.error(`A worker ended (${reason}); another takes its place.`)
          fork()
          return
        }
        if (reason !== 0) exitCode = 1
        if (order === 'serve') closeAll()
        if (running.size === 0) resolve(exitCode)
      })
    }
    for (const signal of STOP_SIGNALS) process.on(signal, closeAll)
    for (let i = 0; i < count; i++) fork()
  })
}

/** One that has just died can't be told, and needn't be. */
function tell(worker: Worker, order: Order): void {
  worker.send(order, () => {})
}

/** Calls back once, when the process that runs the workers wants this one to close, which leaves signals to it. */
export function onWorkerClose(close: () => void): void {
  for (const signal of STOP_SIGNALS) process.on(signal, () => {})
  const hear = (order: Order) => {
    if (order !== 'close') return
    process.off('message', hear)
    close()
  }
  process.on('message', hear)
}
