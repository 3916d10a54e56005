import { Readable } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import { linesOf } from '../src/ndjson.js'

const LIMITS = { longest: 20, withinMs: 60_000 }

async function textsOf(chunks: Buffer[], limits = LIMITS) {
  const texts: (string | undefined)[] = []
  for await (const lines of linesOf(Readable.from(chunks), limits)) {
    texts.push(...lines.map((line) => line?.toString()))
  }
  return texts
}

const bytes = (text: string) => Buffer.from(text)

t.test('lines are the same wherever the chunks are cut', async (t) => {
  const line = fc.stringMatching(/^[a-zäöü€ ]{0,10}$/)
  const text = fc.array(fc.tuple(line, fc.constantFrom('\n', '\r\n')), { maxLength: 8 })
  await fc.assert(
    fc.asyncProperty(text, line, fc.array(fc.nat(40), { maxLength: 6 }), async (ended, last, cuts) => {
      const whole = bytes(ended.flat().join('') + last)
      const ends = [...cuts.map((cut) => Math.min(cut, whole.length)).sort((a, b) => a - b), whole.length]
      const chunks = ends.map((end, i) => whole.subarray(ends[i - 1] ?? 0, end))
      const wanted = [...ended.map(([line]) => line), last].filter((line) => line.trim() !== '')
      const found = await textsOf(chunks, { ...LIMITS, longest: 40 })
      if (JSON.stringify(found) !== JSON.stringify(wanted)) throw new Error(JSON.stringify({ found, wanted }))
    }),
  )
  t.same(await textsOf([]), [])
})

t.test('a line that is too long is told of in its place, and none after it', async (t) => {
  const long = 'x'.repeat(21)
  t.same(await textsOf([bytes(`a\n${long}\nb\n`)]), ['a', undefined, 'b'])
  t.same(await textsOf([bytes(`a\n${long}`), bytes(long), bytes('\nb')]), ['a', undefined, 'b'])
  t.same(await textsOf([bytes('x'.repeat(20)), bytes('\n')]), ['x'.repeat(20)])
  t.same(await textsOf([bytes(long)]), [undefined])
})

t.test('lines come when their chunk has come, and no more is read until they are taken', async (t) => {
  let read = 0
  async function* chunks() {
    for (const text of ['a\nb\nc', 'd\n', '\n', 'e\n']) {
      read++
      yield bytes(text)
    }
  }
  const lines = linesOf(chunks(), LIMITS)
  t.same((await lines.next()).value, [bytes('a'), bytes('b')])
  await wait(10)
  t.equal(read, 1)
  t.same((await lines.next()).value, [bytes('cd')])
  t.same((await lines.next()).value, [])
  t.same((await lines.next()).value, [bytes('e')])
})

t.test('a line has to come in time, however often a byte of it comes', async (t) => {
  async function* trickle(text: string) {
    for (const byte of bytes(text)) {
      yield Buffer.of(byte)
      await wait(25)
    }
  }
  const late = async () => {
    for await (const _ of linesOf(trickle('abcdefgh\n'), { ...LIMITS, withinMs: 50 }));
  }
  await t.rejects(late(), { code: 'KSR_REQUEST_TIMEOUT' })
  let lines = 0
  for await (const some of linesOf(trickle('a\nb\nc\nd\n'), { ...LIMITS, withinMs: 5000 }))
    lines += some.length
  t.equal(lines, 4)
  for await (const some of linesOf(Readable.from([bytes('a\nb'), bytes('\n')]), {
    ...LIMITS,
    withinMs: 50,
  })) {
    lines += some.length
    await wait(100)
  }
  t.equal(lines, 6, 'and is not late where nobody wanted more')
})
