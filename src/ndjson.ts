import { coded } from './errors.js'

const LINE_FEED = 0x0a
const CARRIAGE_RETURN = 0x0d
const SPACE = 0x20

/** One line, without its end; undefined in the place of one that is too long to be kept. */
export type Line = Buffer | undefined

export interface LineLimits {
  /** How many bytes a line may have. */
  longest: number
  /** How long the rest of a line that has begun may be waited for, ms. */
  withinMs: number
}

/**
 * The lines of a stream of bytes but those that are blank, all that a chunk ends together. The stream is read no faster
 * than the lines are taken.
 * @throws KSR_REQUEST_TIMEOUT where a line comes too slowly
 */
export async function* linesOf(
  chunks: AsyncIterable<Buffer>,
  { longest, withinMs }: LineLimits,
): AsyncGenerator<Line[]> {
  let begun: Buffer[] = []
  let length = 0
  let waited = 0
  let asked = performance.now()

  function end(last: Buffer): Line {
    length += last.length
    const line = length > longest ? undefined : Buffer.concat([...begun, last])
    begun = []
    length = 0
    return line?.at(-1) === CARRIAGE_RETURN ? line.subarray(0, -1) : line
  }

  for await (const chunk of chunks) {
    waited += performance.now() - asked
    // Whoever sends a byte now and then would never be idle.
    if (length > 0 && waited > withinMs) throw coded('KSR_REQUEST_TIMEOUT')
    const lines: Line[] = []
    let from = 0
    for (let at = chunk.indexOf(LINE_FEED); at !== -1; at = chunk.indexOf(LINE_FEED, from)) {
      lines.push(end(chunk.subarray(from, at)))
      from = at + 1
    }
    if (length === 0) waited = 0
    length += chunk.length - from
    // Of one that is too long no more is kept than that.
    if (length > longest) begun = []
    else begun.push(chunk.subarray(from))
    yield lines.filter(isNotBlank)
    // Whoever takes them may take their time.
    asked = performance.now()
  }
  yield [end(Buffer.alloc(0))].filter(isNotBlank)
}

function isNotBlank(line: Line): boolean {
  return line === undefined || line.some((byte) => byte > SPACE)
}
