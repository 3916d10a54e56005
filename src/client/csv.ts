/** One record of a CSV file, and the line that it begins in, counted from 1. */
export interface CsvRecord {
  line: number
  cells: string[]
}

/** What is wrong with a file, and where. */
export class CsvError extends Error {}

/** The most characters of a record: a file that is no CSV is not read to its end in search of one. */
const LONGEST = 1 << 20

/**
 * The records of a CSV file in UTF-8, as RFC 4180 has them. Blank lines and a byte order mark are passed over. No more
 * of the file is held than what a record takes.
 * @param name what the file is called in errors
 * @throws CsvError naming the line
 */
export async function* readCsv(
  bytes: AsyncIterable<Uint8Array>,
  name: string,
): AsyncGenerator<CsvRecord, undefined> {
  let line = 0
  let begin = 0
  let text = ''
  let open = false
  for await (const next of lines(bytes, name)) {
    line++
    if (open) text += `\n${next}`
    else [begin, text] = [line, next]
    if (text.length > LONGEST) throw new CsvError(`${name}, line ${begin}: too long`)
    // After an odd number of quotes one is open, and the record goes on in the next line.
    if (next.split('"').length % 2 === 0) open = !open
    if (!open && text !== '') yield { line: begin, cells: cellsOf(text, `${name}, line ${begin}`) }
  }
  if (open) throw new CsvError(`${name}, line ${begin}: a quote is not closed`)
}

async function* lines(bytes: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let count = 0
  let rest = ''
  for await (const chunk of bytes) yield* split(decode(chunk))
  yield* split(`${decode()}\n`)

  function decode(chunk?: Uint8Array): string {
    try {
      return decoder.decode(chunk, { stream: chunk !== undefined })
    } catch {
      throw new CsvError(`${name}, after line ${count}: not UTF-8`)
    }
  }

  function split(text: string): string[] {
    const whole = (rest + text).split('\n')
    rest = whole.pop() as string
    if (rest.length > LONGEST) throw new CsvError(`${name}, line ${count + whole.length + 1}: too long`)
    count += whole.length
    return whole.map((line) => line.replace(/\r$/, ''))
  }
}

const CELL = /(?:"((?:[^"]|"")*)"|([^",]*))(?:,|$)/y

function cellsOf(text: string, place: string): string[] {
  if (!text.includes('"')) return text.split(',')
  const cells: string[] = []
  CELL.lastIndex = 0
  // With a comma behind it, so that the last cell ends as the others do, also where it is empty.
  const closed = `${text},`
  while (CELL.lastIndex < closed.length) {
    const [, quoted, plain] = CELL.exec(closed) ?? []
    if (quoted === undefined && plain === undefined) throw new CsvError(`${place}: a quote out of place`)
    cells.push(quoted?.replaceAll('""', '"') ?? (plain as string))
  }
  return cells
}

/** A line of CSV. */
export function writeCsv(cells: readonly (string | number | boolean | undefined)[]): string {
  const written = cells.map((cell = '') =>
    /[",\r\n]/.test(String(cell)) ? `"${String(cell).replaceAll('"', '""')}"` : cell,
  )
  return `${written.join(',')}\n`
}
