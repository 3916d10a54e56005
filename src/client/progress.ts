import type { Writable } from 'node:stream'

type Terminal = Writable & { isTTY?: boolean }

const WIDTH = 30
const EVERY_MS = 100

/** A bar on a terminal that grows with what is read of a file; elsewhere nothing. */
export class Progress {
  readonly #out: Terminal
  readonly #size: number
  #drawn = 0

  /** @param size the bytes of the file */
  constructor(out: Terminal, size: number) {
    this.#out = out
    this.#size = size
  }

  /** @param bytes how much of the file has been read */
  update(bytes: number, typings: number): void {
    const now = Date.now()
    if (!this.#out.isTTY || now - this.#drawn < EVERY_MS) return
    this.#drawn = now
    // A pipe has no size.
    const share = Math.min(1, bytes / this.#size)
    const bar = '█'.repeat(Math.floor(share * WIDTH)).padEnd(WIDTH, '░')
    this.#out.write(`\r${bar} ${Math.floor(100 * share)} %, ${typings} typings`)
  }

  /** Takes the bar away. */
  end(): void {
    if (this.#drawn > 0) this.#out.write('\r\u001b[K')
  }
}
