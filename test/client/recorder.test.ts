import { execFileSync, spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

// What it does is tested in a browser: test/browser/recorder.test.ts.

const TSC = createRequire(import.meta.url).resolve('typescript/bin/tsc')
const SOURCE = fileURLToPath(new URL('../../src/client/recorder.js', import.meta.url))
const STRICT = ['--strict', '--target', 'es2023', '--module', 'nodenext', '--lib', 'es2023,dom']

const RIGHT = `
  import { record, type Keystroke, type RestartReason } from './recorder.js'
  declare const field: HTMLTextAreaElement
  const typings: Keystroke[][] = []
  const reasons: RestartReason[] = []
  const recording = record(field, {
    keys: 13,
    onComplete: (keystrokes) => typings.push(keystrokes),
    onRestart: (reason) => reasons.push(reason),
    onProgress: (keystrokes) => keystrokes.map(({ release = 0 }) => release.toFixed(1)),
  })
  recording.restart()
  recording.stop()
  record(field, { keys: 2, onComplete() {} })`
const WRONG = `
  import { record } from './recorder.js'
  declare const field: HTMLInputElement
  record(field, { keys: '13', onComplete() {} })
  record(field, { keys: 13 })
  record(document.body, { keys: 13, onComplete() {} })
  record(field, { keys: 13, onComplete: ([first]) => first.key, onRestart: (reason) => reason === 'bored' })`

t.test('its types, made of the comments, fit a right use and no wrong one', async (t) => {
  const dir = t.testdir({ 'package.json': '{"type":"module"}', 'right.ts': RIGHT, 'wrong.ts': WRONG })
  const emit = ['--allowJs', '--checkJs', '--declaration', '--emitDeclarationOnly', '--outDir', dir]
  execFileSync(process.execPath, [TSC, ...STRICT, ...emit, SOURCE], { stdio: 'inherit' })
  const check = (file: string) =>
    spawnSync(process.execPath, [TSC, ...STRICT, '--noEmit', join(dir, file)], { encoding: 'utf8', cwd: dir })
  t.equal(check('right.ts').stdout, '')
  const lines = [...check('wrong.ts').stdout.matchAll(/wrong\.ts\((\d+),/g)].map(([, line]) => Number(line))
  t.same(lines, [4, 5, 6, 7, 7])
})
