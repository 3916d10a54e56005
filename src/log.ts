import { pino } from 'pino'

/** Where log lines go. */
export interface LineSink {
  write(line: string): void
}

/**
 * Hands on the lines of one turn of the event loop together: under load a system call for each would cost a request
 * more than making its line does. Nothing is later than the turn's end, nor than the end of the process.
 */
export function byTurn(sink: LineSink): LineSink {
  let lines = ''
  const flush = () => {
    if (lines === '') return
    const written = lines
    lines = ''
    sink.write(written)
  }
  process.on('exit', flush)
  return {
    write(line) {
      if (lines === '') setImmediate(flush)
      lines += line
    },
  }
}

let opened: LineSink | undefined

/** The standard output, one for all apps of the process. */
export function standardOutput(): LineSink {
  opened ??= byTurn(pino.destination({ dest: 1, sync: true }))
  return opened
}
