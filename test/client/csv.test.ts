import t from 'tap'
import { readCsv, writeCsv } from '../../src/client/csv.js'

/** The records of a text, of which these many bytes come at a time. */
async function read(content: string | Buffer, size = 1 << 16) {
  const bytes = Buffer.from(content)
  async function* chunks() {
    for (let i = 0; i < bytes.length; i += size) yield bytes.subarray(i, i + size)
  }
  const records = []
  for await (const record of readCsv(chunks(), 'a.csv')) records.push(record)
  return records
}

t.test('cells are what stands between commas, or in quotes', async (t) => {
  const text = '\ufeffa,b,c\r\n1,,"x, ""y""\nz"\r\n\r\n"","ü",\n" 2"," ",last'
  const records = [
    { line: 1, cells: ['a', 'b', 'c'] },
    { line: 2, cells: ['1', '', 'x, "y"\nz'] },
    { line: 5, cells: ['', 'ü', ''] },
    { line: 6, cells: [' 2', ' ', 'last'] },
  ]
  for (const size of [1, 2, 3, 7, 1 << 16]) t.same(await read(text, size), records, `${size} bytes at a time`)
  t.same(await read(''), [])
  t.same(await read('\n\r\n'), [])
})

t.test('what is no CSV is refused with the line', async (t) => {
  await t.rejects(read('a,b\n1,"2\n3,4\n'), { message: 'a.csv, line 2: a quote is not closed' })
  await t.rejects(read('a,b\n1,2"3"\n'), { message: 'a.csv, line 2: a quote out of place' })
  await t.rejects(read('a,b\n1,"2"3\n'), { message: 'a.csv, line 2: a quote out of place' })
  const latin = Buffer.from('a,b\nzo\xeb,1\n', 'latin1')
  await t.rejects(read(latin), { message: 'a.csv, after line 0: not UTF-8' })
  await t.rejects(read(latin.subarray(0, 7), 4), { message: 'a.csv, after line 1: not UTF-8' })
})

t.test('a file without an end of line, or of a quote, is not read to its end', async (t) => {
  const lines = `${'a""'.repeat(300)}\n`.repeat(70)
  for (const content of ['a'.repeat(1 << 16), `"${lines}`]) {
    let chunks = 0
    async function* bytes() {
      yield Buffer.from(content)
      for (; chunks < 100; chunks++) yield Buffer.from(content.slice(1))
    }
    await t.rejects(readCsv(bytes(), 'a.csv').next(), { message: 'a.csv, line 1: too long' })
    t.ok(chunks < 20, `${chunks} chunks`)
  }
})

t.test('what is written is read again as it was', async (t) => {
  const cells = ['plain', 'a,b', 'say "x"', 'two\nlines', '', 84, 0.5]
  t.same(await read(writeCsv([...cells, undefined])), [{ line: 1, cells: [...cells.map(String), ''] }])
})
