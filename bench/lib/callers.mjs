// Callers that go on whatever becomes of the server, and count what became of each request.
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

const HEAD_END = '\r\n\r\n'
const LENGTH = /\r\ncontent-length: (\d+)/i
const CLOSES = /\r\nconnection: close\r\n/i
const RETRY_MS = 5

/**
 * Has callers ask over keep-alive connections, each its next request after the answer to its last; on another connection
 * as soon as the server has announced that it closes one.
 * @param load `port`, `requests` (the bytes of each, sent in turn) and `check(body, index)`, which throws at a wrong answer
 * @param connections how many callers there are
 * @returns `counts`, which grow, and `stop()`, which resolves with them when the last request is answered or lost:
 * `answered`; `failed`, by status or a wrong body; `lost`, sent over a connection that was not announced to close, and
 * not answered; `refused`, no requests, but connections that were not to be had; `slowestMs`, the longest that an answer
 * took; `faults`, the first of each kind
 */
export function startCallers({ port, requests, check }, { connections }) {
  const counts = { answered: 0, failed: 0, lost: 0, refused: 0, slowestMs: 0, faults: [] }
  let calling = true

  async function call(first) {
    let index = first
    let connection
    while (calling) {
      if (connection === undefined || connection.isOver()) {
        connection = await open(port).catch(() => undefined)
        if (connection === undefined) {
          counts.refused++
          await sleep(RETRY_MS)
          continue
        }
      }
      const asked = performance.now()
      const answer = await connection.ask(requests[index])
      if (answer === undefined) note('lost', connection.fault())
      else {
        try {
          if (answer.status !== '200') throw new Error(`answered ${answer.status}: ${answer.body}`)
          check(answer.body, index)
          counts.answered++
          counts.slowestMs = Math.max(counts.slowestMs, performance.now() - asked)
        } catch (error) {
          note('failed', error.message)
        }
      }
      index = (index + 1) % requests.length
    }
    connection?.close()
  }

  function note(kind, fault) {
    if (counts[kind]++ === 0) counts.faults.push(`${kind}: ${fault}`)
  }

  const all = Array.from({ length: connections }, (_, i) =>
    call(Math.floor((i * requests.length) / connections)),
  )
  return {
    counts,
    async stop() {
      calling = false
      await Promise.all(all)
      return counts
    },
  }
}

/** One connection, with one request on its way at a time. */
async function open(port) {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  socket.setEncoding('latin1')
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  let received = ''
  let over = false
  let fault = 'the server hung up'
  let settle
  const end = () => {
    over = true
    settle?.(undefined)
  }
  socket.on('error', (error) => {
    fault = error.message
  })
  socket.on('end', end).on('close', end)
  socket.on('data', (chunk) => {
    received += chunk
    const head = received.indexOf(HEAD_END)
    const length = LENGTH.exec(received)
    if (head < 0 || received.length < head + HEAD_END.length + Number(length[1])) return
    const answer = { status: received.slice(9, 12), body: received.slice(head + HEAD_END.length) }
    if (CLOSES.test(received)) {
      over = true
      socket.end()
    }
    received = ''
    settle(answer)
  })
  return {
    isOver: () => over,
    fault: () => fault,
    ask: (request) =>
      new Promise((resolve) => {
        settle = resolve
        socket.write(request)
      }),
    close: () => socket.destroy(),
  }
}
