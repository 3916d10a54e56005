import { pino } from 'pino'

/** Where log lines go. */
export interface LineSink {
  write(line: string): void
}

/** What a pipe takes in one piece: of several processes that share one, the lines stay whole. POSIX's PIPE_BUF. */
const PIECE_BYTES = 4096

/**
 * Hands on the lines of one turn of the event loop together: under load a system call for each would cost a request
 * more than making its line does. Nothing is later than the turn's end, nor than the end of the process.
 */
export function byTurn(sink: LineSink): LineSink {
  let lines = ''
  let bytes = 0
  const flush = () => {
    if (lines === '') return
    const written = lines
    lines = ''
    bytes = 0
    sink.write(written)
  }
  process.on('exit', flush)
  return {
    write(line) {
      const added = Buffer.byteLength(line)
      if (bytes + added > PIECE_BYTES) flush()
      if (lines === '') setImmediate(flush)
      lines += line
      bytes += added
    },
  }
}

let opened: LineSink | undefined

/** The standard output, one for all apps of the process. */
export function standardOutput(): LineSink {
  opened ??= byTurn(pino.destination({ dest: 1, sync: true }))
  return opened
}
