// A server under measurement: a process of its own, on a core of its own where the machine has two.
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

export const SERVER_CORE = '0'
const CLIENT_CORE = '1'
export const BOTH_CORES = '0,1'
const START_WITHIN_MS = 60_000
const TICK_MS = 10

const running = new Set()

/** Whether processes can be bound to cores here. */
export const pinned = canPin()

/** Leaves the servers' core to the servers. */
export function moveToClientCore() {
  if (pinned) execFileSync('taskset', ['-apc', CLIENT_CORE, String(process.pid)], { stdio: 'ignore' })
}

/**
 * Starts a server, and waits until it accepts connections.
 * @param command `(port) => ({ file, args, env })`
 * @param cores which cores it may use
 * @returns `port`, `cpu()` (ms of CPU that it and its children have had), `rss()`, `files()` and `threads()` (bytes, open file
 * descriptors and threads of all of them), `ask(question)` (for `service`) and `stop()`
 */
export async function startServer(command, cores = SERVER_CORE) {
  const port = await freePort()
  const { file, args, env } = command(port)
  const [program, ...words] = pinned ? ['taskset', '-c', cores, file, ...args] : [file, ...args]
  const child = spawn(program, words, {
    env: { ...process.env, ...env },
    // Its log goes nowhere, which costs it as much as going somewhere.
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  running.add(child)
  const ended = new Promise((resolve) => child.once('exit', resolve))
  ended.then(() => running.delete(child))
  await accepting(port, child)
  return {
    port,
    cpu: () => sum(child.pid, cpuOf),
    rss: () => sum(child.pid, rssOf),
    files: () => sum(child.pid, (pid) => readdirSync(`/proc/${pid}/fd`).length),
    threads: () => sum(child.pid, (pid) => readdirSync(`/proc/${pid}/task`).length),
    ask(question) {
      child.send(question)
      return new Promise((resolve) => child.once('message', resolve))
    },
    async stop() {
      child.kill()
      await ended
    },
  }
}

/** Leaves no server behind. */
export function stopAll() {
  for (const child of running) child.kill()
}

/** A Node server of this folder's. */
export function node(name, env = {}) {
  const file = new URL(`../servers/${name}.mjs`, import.meta.url).pathname
  return (port) => ({ file: process.execPath, args: [file], env: { ...env, PORT: String(port) } })
}

/** The service as `npm start` starts it. */
export function service(env = {}) {
  const file = new URL('../../dist/server.js', import.meta.url).pathname
  return (port) => ({ file: process.execPath, args: [file], env: { ...env, PORT: String(port) } })
}

/** Runs a script of `servers/` to its end, on the servers' core. @returns the messages it sent */
export async function runScript(name, ...args) {
  const { file, args: script } = node(name)(0)
  const words = [...script, ...args]
  const [program, ...rest] = pinned ? ['taskset', '-c', SERVER_CORE, file, ...words] : [file, ...words]
  const child = spawn(program, rest, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  running.add(child)
  const messages = []
  child.on('message', (message) => messages.push(message))
  const code = await new Promise((resolve) => child.once('exit', resolve))
  running.delete(child)
  if (code !== 0) throw new Error(`${name} ended with ${code}`)
  return messages
}

export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  return port
}

async function accepting(port, child) {
  const until = performance.now() + START_WITHIN_MS
  while (performance.now() < until) {
    if (child.exitCode !== null || child.signalCode !== null) break
    const open = await new Promise((resolve) => {
      const socket = connect({ port, host: '127.0.0.1' })
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
      socket.once('connect', () => socket.destroy())
    })
    if (open) return
    await sleep(5)
  }
  throw new Error(`${child.spawnargs.join(' ')}: accepts no connection`)
}

function canPin() {
  try {
    execFileSync('taskset', ['-c', `${SERVER_CORE},${CLIENT_CORE}`, 'true'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** The figure of a process and its descendants. */
function sum(pid, figure) {
  return figure(pid) + childrenOf(pid).reduce((total, child) => total + sum(child, figure), 0)
}

function childrenOf(pid) {
  return readdirSync(`/proc/${pid}/task`).flatMap((task) => {
    try {
      return readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean)
    } catch {
      return [] // a thread that has just ended
    }
  })
}

/** Of all its threads, those that have ended too. */
function cpuOf(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // What stands before is a name, which may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS
}

export function rssOf(pid) {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024
}
