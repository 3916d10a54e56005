import cluster, { type Worker } from 'node:cluster'

const CLOSE = 'close'

/**
 * Serves with several processes on one port, each run as this one was; resolves when all have ended. One that dies is
 * replaced. One that can't even start is not: the others are told to close.
 * @returns the exit code
 */
export function runWorkers(count: number): Promise<number> {
  const running = new Set<Worker>()
  let closing = false
  let exitCode = 0

  function closeAll(): void {
    closing = true
    for (const worker of running) tell(worker)
  }

  return new Promise((resolve) => {
    function fork(): void {
      const worker = cluster.fork()
      let serving = false
      running.add(worker)
      worker.once('listening', () => {
        serving = true
        // It may have been told before it could hear.
        if (closing) tell(worker)
      })
      worker.once('exit', (code, signal) => {
        running.delete(worker)
        if (!closing && serving) {
          console.error(`A worker ended (${signal ?? code}); another takes its place.`)
          return fork()
        }
        if (code !== 0) exitCode = 1
        if (!closing) closeAll()
        if (running.size === 0) resolve(exitCode)
      })
    }
    for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, closeAll)
    for (let i = 0; i < count; i++) fork()
  })
}

/** One that has just died can't be told, and needn't be. */
function tell(worker: Worker): void {
  worker.send(CLOSE, () => {})
}

/** Calls back when the process that runs the workers wants this one to close. */
export function onWorkerClose(close: () => void): void {
  process.on('message', (message) => {
    if (message === CLOSE) close()
  })
}
