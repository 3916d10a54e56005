import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ApiKeys } from '../../src/access/api-keys.js'

const hash = (key: string) => createHash('sha256').update(key).digest('hex')

t.test('a key has the name that its hash is listed under, from the settings and from the file', async (t) => {
  const dir = t.testdir({
    keys: `# rotated in May\n\nweb:${hash('old')}\r\n  web:${hash('new')}  \nbatch:${hash('third')}`,
  })
  const keys = await ApiKeys.load({ apiKeys: [`app:${hash('first')}`], apiKeysFile: join(dir, 'keys') })
  for (const [key, name] of [
    ['first', 'app'],
    ['old', 'web'],
    ['new', 'web'],
    ['third', 'batch'],
  ] as const) {
    t.equal(keys?.nameOf(key), name)
  }
  for (const wrong of ['', 'firs', 'first ', 'First', hash('first'), `app:${hash('first')}`]) {
    t.equal(keys?.nameOf(wrong), undefined, wrong)
  }
})

t.test('without keys there are none to be asked for', async (t) => {
  t.equal(await ApiKeys.load({ apiKeys: [], apiKeysFile: '' }), undefined)
})

t.test('a file of keys that is not right is refused with the line, and without what is in it', async (t) => {
  const dir = t.testdir({ empty: '', comments: '# none\n\n', plain: `app:${hash('a')}\nsecret-key\n` })
  for (const [file, reason] of [
    ['missing', 'can not be read \\(ENOENT\\)'],
    ['empty', 'has no key'],
    ['comments', 'has no key'],
    ['plain', 'line 2 is no name with a SHA-256 hash'],
  ] as const) {
    const path = join(dir, file)
    await t.rejects(ApiKeys.load({ apiKeys: [], apiKeysFile: path }), {
      code: 'KSR_CONFIG',
      message: new RegExp(`API_KEYS_FILE: ${path} ${reason}`),
    })
  }
  writeFileSync(join(dir, 'plain'), 'secret-key')
  const error = await ApiKeys.load({ apiKeys: [], apiKeysFile: join(dir, 'plain') }).catch(String)
  t.notMatch(error, 'secret-key')
})
