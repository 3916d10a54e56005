// Sends requests at a rate that a server can't bear, and measures what becomes of them.
import { connect } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'

const HEAD_END = '\r\n\r\n'
const LENGTH = /\r\ncontent-length: (\d+)/i
/** Answers that are still to come after the last request. */
const WAIT_MS = 5000

/**
 * Constant rate, as `steady` of load.mjs, but an answer of 503 is counted as a refusal, and a connection that breaks is
 * replaced. A latency counts from when its request was due, also while it waited for one of the connections.
 * @param load `port`, `requests` (the bytes of each, sent in turn) and `check(body, index)`, which throws at a wrong answer
 * @returns `due`, `answered`, `refused`, `broken` (connections), `unanswered`, `latencies` and `refusalLatencies` in ms, and
 * `lateMs`, by how much the generator itself was late at worst
 */
export async function flood(load, { connections, rate, seconds }) {
  const free = []
  const waiting = new Queue()
  const found = { due: 0, answered: 0, refused: 0, broken: 0, latencies: [], refusalLatencies: [], lateMs: 0 }
  let open = 0
  let fault

  const caller = (client) => ({
    answer(status, body, index, due) {
      open--
      const latency = performance.now() - due
      if (status === '200') {
        load.check(body, index)
        found.answered++
        found.latencies.push(latency)
      } else if (status === '503') {
        found.refused++
        found.refusalLatencies.push(latency)
      } else throw new Error(`answered ${status}: ${body}`)
      const next = waiting.shift()
      if (next === undefined) free.push(client)
      else send(client, next)
    },
    fail(error) {
      fault ??= error
    },
    broken(asked) {
      found.broken++
      if (asked) open--
      else free.splice(free.indexOf(client), 1)
      add().catch((error) => {
        fault ??= error
      })
    },
  })

  async function add() {
    const client = new Client(load)
    await client.connect(caller(client))
    free.push(client)
  }

  function send(client, due) {
    open++
    client.send(found.due++ % load.requests.length, due)
  }

  await Promise.all(Array.from({ length: connections }, add))
  const start = performance.now()
  const end = start + seconds * 1000
  for (let count = 0, due = start; due < end && fault === undefined; ) {
    const now = performance.now()
    if (due <= now) found.lateMs = Math.max(found.lateMs, now - due)
    for (; due <= now && due < end; due = start + (++count * 1000) / rate) {
      // The one that has rested longest: the service hangs up on those that rest too long.
      const client = free.shift()
      if (client === undefined) waiting.push(due)
      else send(client, due)
    }
    await turn()
  }
  const until = performance.now() + WAIT_MS
  while ((open > 0 || waiting.length > 0) && performance.now() < until && fault === undefined) await turn()
  for (const client of free) client.close()
  if (fault) throw fault
  return { ...found, unanswered: open + waiting.length }
}

/** One connection, with one request on its way at a time; a promise for each would be dear. */
class Client {
  #load
  #socket
  #index = -1
  #due = 0
  #received = ''

  constructor(load) {
    this.#load = load
  }

  async connect(caller) {
    const socket = connect({ port: this.#load.port, host: '127.0.0.1', noDelay: true })
    this.#socket = socket
    socket.setEncoding('latin1')
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
    socket.on('data', (chunk) => {
      try {
        this.#receive(chunk, caller)
      } catch (error) {
        caller.fail(error)
      }
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      if (socket === this.#socket) caller.broken(this.#index >= 0)
    })
  }

  send(index, due) {
    this.#index = index
    this.#due = due
    this.#socket.write(this.#load.requests[index])
  }

  close() {
    const socket = this.#socket
    this.#socket = undefined
    socket.destroy()
  }

  #receive(chunk, caller) {
    const received = this.#received === '' ? chunk : this.#received + chunk
    this.#received = received
    const head = received.indexOf(HEAD_END)
    if (head < 0) return
    const body = head + HEAD_END.length
    if (received.length < body + Number(LENGTH.exec(received)?.[1])) return
    const index = this.#index
    this.#received = ''
    this.#index = -1
    caller.answer(received.slice(9, 12), received.slice(body), index, this.#due)
  }
}

/** First in, first out, for many. */
class Queue {
  #items = []
  #first = 0

  get length() {
    return this.#items.length - this.#first
  }

  push(item) {
    this.#items.push(item)
  }

  shift() {
    if (this.length === 0) return undefined
    const item = this.#items[this.#first++]
    if (this.#first > 10_000) {
      this.#items.splice(0, this.#first)
      this.#first = 0
    }
    return item
  }
}
