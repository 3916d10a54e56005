import { createReadStream } from 'node:fs'
import { CsvError, readCsv } from './csv.js'
import type { Sample } from './index.js'

/** One typing of a file. */
export interface PlacedTyping {
  sample: Sample
  /** Who is said to have typed it. */
  user: string | undefined
  /** Which typing of the file it is, counted from 1. */
  number: number
  /** Where it stands, in words. */
  place: string
}

/** The typings of a file. */
export interface Typings extends AsyncIterable<PlacedTyping>, Omit<Layout, 'read'> {
  /** How much of the file has been read. */
  readonly bytes: number
}

/** How the columns of a file make typings. */
interface Layout {
  /** Whether a column says who typed. */
  hasUsers: boolean
  /** The column that a place in a sample was read from, told by a JSON Pointer; undefined for what has none. */
  column(pointer: string): string | undefined
  read(cells: readonly string[], place: string): Pick<PlacedTyping, 'sample' | 'user'>
}

/** Few, so that what has been read is near to what has been asked for. */
const CHUNK = 16 * 1024

/**
 * The typings of a CSV file. Its columns are `press-0, release-0, press-1, …` in milliseconds, as the trainer reads them,
 * or the eight numbers of a summary, `HT.Mean, HT.STD, …`. A column `user` says who typed; others are passed over.
 * @throws CsvError naming line and column: for the header at once, for a row when it is reached
 */
export async function readTypings(path: string): Promise<Typings> {
  const file = createReadStream(path, { highWaterMark: CHUNK })
  const records = readCsv(file, path)
  const { value: header } = await records.next()
  if (!header) throw new CsvError(`${path}: the file is empty`)
  const { read, ...layout } = layoutOf(header.cells, `${path}, line ${header.line}`)
  return {
    ...layout,
    get bytes() {
      return file.bytesRead
    },
    async *[Symbol.asyncIterator]() {
      let number = 0
      for await (const { line, cells } of records) {
        number++
        const place = `${path}, line ${line} (row ${number})`
        yield { number, place, ...read(cells, place) }
      }
      if (number === 0) throw new CsvError(`${path}: there is a header and no typing`)
    },
  }
}

const TIMING = /^(?:press|release)-(0|[1-9]\d{0,5})$/
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/

function layoutOf(header: readonly string[], place: string): Layout {
  const twice = header.find((name, i) => header.indexOf(name) !== i)
  if (twice !== undefined) throw new CsvError(`${place}: there are two columns ${twice}`)
  const keys = new Set(header.map((name) => TIMING.exec(name)?.[1]).filter((key) => key !== undefined)).size
  const { columns, sample, column } = keys > 0 ? keystrokes(keys) : SUMMARY
  const missing = columns.find((name) => !header.includes(name))
  if (missing !== undefined) throw new CsvError(`${place}: there is no column ${missing}`)
  const user = header.indexOf('user')
  const indices = columns.map((name) => header.indexOf(name))
  return {
    hasUsers: user >= 0,
    column,
    read(cells, place) {
      if (cells.length !== header.length)
        throw new CsvError(`${place}: ${cells.length} cells, the header has ${header.length}`)
      const numbers = indices.map((index) => {
        const cell = cells[index] as string
        const number = NUMBER.test(cell) ? Number(cell) : Number.NaN
        // What stands there is not told: it may be a timing.
        if (!Number.isFinite(number)) throw new CsvError(`${place}, column ${header[index]}: not a number`)
        return number
      })
      return { sample: sample(numbers), user: cells[user] }
    },
  }
}

interface Columns extends Pick<Layout, 'column'> {
  columns: readonly string[]
  sample(numbers: readonly number[]): Sample
}

function keystrokes(keys: number): Columns {
  const indices = Array.from({ length: keys }, (_, key) => key)
  return {
    columns: indices.flatMap((key) => [`press-${key}`, `release-${key}`]),
    sample: (times) => ({
      keystrokes: indices.map((key) => ({
        press: times[2 * key] as number,
        release: times[2 * key + 1] as number,
      })),
    }),
    column(pointer) {
      const [, key, event] = /^\/keystrokes\/(\d+)\/(press|release)$/.exec(pointer) ?? []
      return event && `${event}-${key}`
    },
  }
}

const SUMMARY: Columns = {
  columns: ['HT', 'PPT', 'RRT', 'RPT'].flatMap((kind) => [`${kind}.Mean`, `${kind}.STD`]),
  sample(numbers) {
    const at = (i: number) => ({ Mean: numbers[i] as number, STD: numbers[i + 1] as number })
    return { HT: at(0), PPT: at(2), RRT: at(4), RPT: at(6) }
  },
  column: (pointer) => /^\/(HT|PPT|RRT|RPT)\/(Mean|STD)$/.exec(pointer)?.slice(1).join('.'),
}
