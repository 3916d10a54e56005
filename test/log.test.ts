import { spawnSync } from 'node:child_process'
import t from 'tap'
import { byTurn } from '../src/log.js'

const LOG = JSON.stringify(new URL('../src/log.ts', import.meta.url))

t.test('the lines of one turn are written together, in order', async (t) => {
  const written: string[] = []
  const sink = byTurn({ write: (lines) => written.push(lines) })
  const turn = () => new Promise((resolve) => setImmediate(resolve))
  sink.write('a\n')
  await Promise.resolve()
  sink.write('b\n')
  t.same(written, [])
  await turn()
  t.same(written, ['a\nb\n'])
  await turn()
  t.same(written, ['a\nb\n'], 'nothing is written where there is nothing')
  sink.write('c\n')
  await turn()
  t.same(written, ['a\nb\n', 'c\n'])
})

t.test(
  'no piece is larger than a pipe takes whole, so that lines of several processes do not mix',
  async (t) => {
    const written: string[] = []
    const sink = byTurn({ write: (lines) => written.push(lines) })
    const line = `${'ü'.repeat(500)}\n`
    for (let i = 0; i < 9; i++) sink.write(line)
    await new Promise((resolve) => setImmediate(resolve))
    t.same(written, [line.repeat(4), line.repeat(4), line])
  },
)

t.test('a process that ends at once has written all of them', async (t) => {
  for (const end of ['process.exit(0)', 'throw new Error("a fault")']) {
    const script = `
      const { standardOutput } = await import(${LOG})
      for (let i = 0; i < 3; i++) standardOutput().write(i + '\\n')
      ${end}
    `
    const { stdout } = spawnSync(
      process.execPath,
      [...process.execArgv, '--input-type=module', '--eval', script],
      { encoding: 'utf8', timeout: 60_000 },
    )
    t.equal(stdout, '0\n1\n2\n', end)
  }
})
