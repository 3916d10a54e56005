import { chmodSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readOrMakeKeys } from '../../src/enrolment/key-file.js'
import { Vault } from '../../src/enrolment/vault.js'

const digits = 'a1'.repeat(32)

t.test('where there is no file one is made that only its owner reads, and then read again', async (t) => {
  const folder = join(t.testdir(), 'new', 'data')
  const first = await readOrMakeKeys(folder)
  t.equal(first.made, true)
  t.match(first.keys, [/^[0-9a-f]{8}:[0-9a-f]{64}$/])
  t.equal(statSync(folder).mode & 0o777, 0o700)
  t.equal(statSync(join(folder, 'enrolment.key')).mode & 0o777, 0o600)
  t.same(await readOrMakeKeys(folder), { keys: first.keys, made: false })
  t.same(readdirSync(folder), ['enrolment.key'], 'nothing else is left')
  const sealed = Vault.of(first.keys).seal(Buffer.from('kept'), 'here')
  t.same(Buffer.from(Vault.of(first.keys).open(sealed, 'here')).toString(), 'kept')
})

t.test('of many that start at once one makes it, and all have its key', async (t) => {
  const folder = t.testdir()
  const all = await Promise.all(Array.from({ length: 20 }, () => readOrMakeKeys(folder)))
  t.equal(all.filter(({ made }) => made).length, 1)
  t.equal(new Set(all.map(({ keys }) => keys.join())).size, 1)
  t.same(readdirSync(folder), ['enrolment.key'])
})

t.test('a file that was written by hand may have several keys, and comments', async (t) => {
  const folder = t.testdir()
  const [current, old] = [`2025:${digits}`, `2024:${'b2'.repeat(32)}`]
  writeKeys(folder, `# rotated in May\n${current}\r\n\n${old}`)
  t.same(await readOrMakeKeys(folder), { keys: [current, old], made: false })
})

t.test('a file that others may read is refused', async (t) => {
  const folder = t.testdir()
  writeKeys(folder, `2025:${digits}\n`)
  for (const mode of [0o640, 0o604, 0o620, 0o601]) {
    chmodSync(join(folder, 'enrolment.key'), mode)
    await t.rejects(
      readOrMakeKeys(folder),
      { code: 'KSR_CONFIG', message: /enrolment\.key may be read by others/ },
      mode.toString(8),
    )
  }
})

t.test('a file of another form is refused with the line, and without what is in it', async (t) => {
  for (const [content, reason] of [
    ['', 'has no key'],
    ['# none\n', 'has no key'],
    [`2025:${digits}\n${digits}\n`, 'line 2 is no id with 64 hexadecimal digits'],
  ] as const) {
    const folder = t.testdir()
    writeKeys(folder, content)
    const error = await readOrMakeKeys(folder).then(String, (error) => error)
    t.match(error, { code: 'KSR_CONFIG', message: new RegExp(reason) })
    t.notMatch(error.stack, /a1a1/)
    t.equal(readFileSync(join(folder, 'enrolment.key'), 'utf8'), content, 'it stays as it was')
  }
})

t.test('what can not be read or made is refused with what is amiss, and leaves nothing behind', async (t) => {
  const folder = t.testdir({ file: '', folder: { 'enrolment.key': {} }, dangling: {} })
  chmodSync(join(folder, 'folder', 'enrolment.key'), 0o700)
  symlinkSync('nowhere', join(folder, 'dangling', 'enrolment.key'))
  for (const [path, codes] of [
    ['file', 'EEXIST|ENOTDIR'],
    ['folder', 'EISDIR'],
    ['dangling', 'ENOENT'],
    // A few letters short of the longest path of Linux: the draft's is too long.
    [`${'long-name/'.repeat(500)}`.slice(0, 4070 - folder.length), 'ENAMETOOLONG'],
  ] as const) {
    const message = new RegExp(`can not be read or made \\((${codes})\\)`)
    await t.rejects(readOrMakeKeys(join(folder, path)), { code: 'KSR_CONFIG', message }, codes)
  }
  t.same(readdirSync(join(folder, 'dangling')), ['enrolment.key'])
})

function writeKeys(folder: string, content: string): void {
  writeFileSync(join(folder, 'enrolment.key'), content, { mode: 0o600 })
}
