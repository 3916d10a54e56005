// Sends requests over keep-alive HTTP/1.1 connections and measures the answers: as fast as they come, or at a rate.
import { connect } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'

const HEAD_END = '\r\n\r\n'
const LENGTH = /\r\ncontent-length: (\d+)/i
const CLOSES = /\r\nconnection: close\r\n/i

/**
 * Closed loop: every connection sends its next request when it has the answer to its last.
 * @param load `port`, `requests` (the bytes of each, sent in turn), `check(body, index)`, which throws at a wrong answer, and
 * `statuses`, what each is answered with where that is not always 200
 * @returns answers per second, the latencies in ms, and how many requests there were, those of the warm-up too
 */
export async function saturate(load, { connections, warmUp, seconds }) {
  const clients = await open(load, connections)
  const before = await drive(clients, warmUp)
  const measured = await drive(clients, seconds)
  for (const client of clients) client.close()
  return { ...measured, requests: before.latencies.length + measured.latencies.length }
}

async function drive(clients, seconds) {
  const start = performance.now()
  const end = start + seconds * 1000
  const latencies = []
  await Promise.all(
    clients.map(async (client) => {
      for (let sent = performance.now(); sent < end; ) {
        await client.ask()
        const answered = performance.now()
        latencies.push(answered - sent)
        sent = answered
      }
    }),
  )
  return { rate: (latencies.length / (performance.now() - start)) * 1000, latencies }
}

/**
 * Constant rate: requests are due at even intervals, whatever becomes of those before. One that finds no connection
 * free waits for it, and its latency counts from when it was due: no coordinated omission.
 */
export async function steady(load, { connections, rate, warmUp, seconds }) {
  const free = await open(load, connections)
  const waiting = []
  const latencies = []
  const start = performance.now()
  const counted = start + warmUp * 1000
  const end = counted + seconds * 1000
  const answers = new Set()

  async function ask(client, due) {
    await client.ask()
    if (due >= counted) latencies.push(performance.now() - due)
    const next = waiting.shift()
    if (next === undefined) free.push(client)
    else await ask(client, next)
  }
  for (let count = 0, due = start; due < end; due = start + (++count * 1000) / rate) {
    // Turns of the event loop, for timers are too coarse.
    while (performance.now() < due) await turn()
    // The one that has rested longest: the service hangs up on those that rest too long.
    const client = free.shift()
    if (client === undefined) waiting.push(due)
    else {
      const answer = ask(client, due).finally(() => answers.delete(answer))
      answers.add(answer)
    }
  }
  await Promise.all(answers)
  for (const client of free) client.close()
  return { rate: latencies.length / seconds, latencies }
}

/** @returns the bytes of a POST of JSON */
export function post(path, body, headers = {}) {
  const json = JSON.stringify(body)
  const lines = Object.entries({
    host: 'localhost',
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(json),
    ...headers,
  }).map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.from(`POST ${path} HTTP/1.1\r\n${lines.join('')}\r\n${json}`)
}

/** @returns the bytes of a request without a body */
export function ask(path, method = 'GET') {
  return Buffer.from(`${method} ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`)
}

function open({ port, requests, check, statuses }, connections) {
  // Each starts elsewhere in the requests, so that those that arrive together differ.
  return Promise.all(
    Array.from({ length: connections }, async (_, index) => {
      const first = Math.floor((index * requests.length) / connections)
      const client = new Client(port, requests, check, statuses, first)
      await client.connect()
      return client
    }),
  )
}

/** One connection, with one request on its way at a time. */
class Client {
  #port
  #requests
  #check
  #statuses
  #index
  #socket
  #pending
  #received = ''

  constructor(port, requests, check, statuses, first) {
    this.#port = port
    this.#requests = requests
    this.#check = check
    this.#statuses = statuses
    this.#index = first
  }

  async connect() {
    const socket = connect({ port: this.#port, host: '127.0.0.1', noDelay: true })
    socket.setEncoding('latin1')
    socket.on('data', (chunk) => this.#receive(chunk))
    socket.on('error', (error) => this.#fail(error))
    socket.on('close', () => socket === this.#socket && this.#fail(new Error('the server hung up')))
    this.#socket = socket
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  }

  /** Sends the next request, and resolves with its answer. */
  async ask() {
    if (this.#socket === undefined) await this.connect()
    await new Promise((resolve, reject) => {
      this.#pending = { resolve, reject }
      this.#socket.write(this.#requests[this.#index])
    })
  }

  close() {
    const socket = this.#socket
    this.#socket = undefined
    socket?.destroy()
  }

  #receive(chunk) {
    const received = this.#received === '' ? chunk : this.#received + chunk
    this.#received = received
    const head = received.indexOf(HEAD_END)
    if (head < 0) return
    const body = head + HEAD_END.length
    const length = LENGTH.exec(received)
    if (length === null) return this.#fail(new Error('an answer without a length'))
    if (received.length < body + Number(length[1])) return
    this.#received = ''
    try {
      const status = received.slice(9, 12)
      if (status !== String(this.#statuses?.[this.#index] ?? 200))
        throw new Error(`answered ${status}: ${received.slice(body)}`)
      this.#check(received.slice(body), this.#index)
    } catch (error) {
      return this.#fail(error)
    }
    // Some servers answer once a connection.
    if (CLOSES.test(received)) this.close()
    this.#index = (this.#index + 1) % this.#requests.length
    const { resolve } = this.#pending
    this.#pending = undefined
    resolve()
  }

  #fail(error) {
    this.close()
    this.#pending?.reject(error)
  }
}
