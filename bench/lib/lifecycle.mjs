// The service as a process whose log is read, to be told to reload, to stop and to start again.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { pinned, rssOf, SERVER_CORE } from './server.mjs'

const SERVER = fileURLToPath(new URL('../../dist/server.js', import.meta.url))
const LISTENING = 'Server listening'
const running = new Set()

/**
 * Starts the service and waits until all its processes listen.
 * @returns `reload(said)`, which resolves with how many ms it took until a line of the log began so; `stop()`, which
 * resolves with the exit code and how many ms it took; `rss()`, bytes
 */
export async function startService(settings) {
  const words = [process.execPath, SERVER]
  const [program, ...args] = pinned ? ['taskset', '-c', SERVER_CORE, ...words] : words
  // What the images set: it is the C library that reads it.
  const env = { ...process.env, MALLOC_TRIM_THRESHOLD_: '131072', LOG_LEVEL: 'info', ...settings }
  const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'inherit'] })
  running.add(child)
  const ended = once(child, 'exit').then(([code]) => {
    running.delete(child)
    for (const { reject } of waiting.splice(0)) reject(new Error(`the service ended with ${code}`))
    return code
  })
  const waiting = []
  createInterface({ input: child.stdout }).on('line', (line) => {
    // Of each request there is a line, too.
    if (waiting.length === 0 || !line.includes(waiting[0].said)) return
    waiting.shift().resolve()
  })
  const logged = (said) => new Promise((resolve, reject) => waiting.push({ said, resolve, reject }))
  await Promise.all(Array.from({ length: Number(settings.WORKERS ?? 1) }, () => logged(LISTENING)))
  const timed = async (signal, done) => {
    const began = performance.now()
    child.kill(signal)
    const result = await done
    return { ms: performance.now() - began, result }
  }
  return {
    reload: async (said) => (await timed('SIGHUP', logged(`"msg":"${said}`))).ms,
    async stop() {
      const { ms, result } = await timed('SIGTERM', ended)
      return { ms, code: result }
    },
    rss: () => rssOf(child.pid),
  }
}

/** Leaves none behind. */
export function killServices() {
  for (const child of running) child.kill('SIGKILL')
}
