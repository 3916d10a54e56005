// An execution environment under measurement: a process that holds the Lambda handler, on the servers' core.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { pinned } from './server.mjs'

const SCRIPT = fileURLToPath(new URL('invocations.mjs', import.meta.url))
const SERVER_CORE = '0'
const running = new Set()

/**
 * @param handler the file of the handler
 * @returns `start`, what it took until the handler was there; `invoke(order)`, what the invocations took, and `memory`
 * after them; `stop()`, which resolves with the bytes that it has logged
 */
export async function startEnvironment(handler, env) {
  const words = [process.execPath, SCRIPT, handler]
  const [program, ...args] = pinned ? ['taskset', '-c', SERVER_CORE, ...words] : words
  const began = performance.now()
  const child = spawn(program, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  })
  running.add(child)
  const ended = once(child, 'close').then(([code]) => {
    running.delete(child)
    return code
  })
  let bytes = 0
  child.stdout.on('data', (chunk) => {
    bytes += chunk.length
  })
  const told = async () => {
    const failed = ended.then((code) => Promise.reject(new Error(`the handler's process ended with ${code}`)))
    failed.catch(() => {})
    const [message] = await Promise.race([once(child, 'message'), failed])
    return message
  }
  const ready = await told()
  return {
    start: { ...ready, wallMs: performance.now() - began },
    async invoke(order) {
      const answer = told()
      child.send(order)
      const { found, ...memory } = await answer
      return { found, memory }
    },
    async stop() {
      child.kill()
      await ended
      return bytes
    },
  }
}

/** Leaves none behind. */
export function stopEnvironments() {
  for (const child of running) child.kill()
}
