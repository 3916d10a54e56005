import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { build } from '../fixtures/build.js'
import { ROOT, run } from '../fixtures/commands.js'
import { TYPISTS } from '../fixtures/models.js'

const dir = t.testdir({ project: {} })
const folder = join(dir, 'package')
const project = join(dir, 'project')
/** In the project that uses the package. */
const inProject = (command: string, ...args: string[]) =>
  run('bash', ['-c', 'cd "$0" && exec "$@"', project, command, ...args], process.env)

await run(process.execPath, ['deploy/client.mjs', folder])
const [{ filename, files }] = JSON.parse(
  await run('npm', ['pack', folder, '--json', '--pack-destination', dir]),
) as [{ filename: string; files: { path: string }[] }]
const tarball = join(dir, filename)

t.test('the package holds what a client needs, and nothing else', async (t) => {
  const modules = readdirSync(join(ROOT, 'src/client'))
    .filter((name) => /\.(ts|js)$/.test(name))
    .flatMap((name) => [name.replace(/\.ts$/, '.js'), name.replace(/\.(ts|js)$/, '.d.ts')])
  const expected = [...new Set([...modules, 'LICENSE', 'README.md', 'package.json'])].sort()
  t.same(files.map(({ path }) => path).sort(), expected)
})

t.test('what looks at packages has nothing against it', async (t) => {
  t.match(await run('publint', ['run', folder, '--strict']), 'All good!')
  const told = await run('attw', [tarball, '--profile', 'esm-only', '--no-color'])
  t.equal(told.match(/node16 \(from ESM\): 🟢 \(ESM\)/g)?.length, 2)
})

t.test('installed in an empty folder it has types, asks the service, and has a command', async (t) => {
  const url = await build(t, { MODEL_DIR: TYPISTS }).listen({ port: 0 })
  const example = /```ts\n([^`]*)```/.exec(
    readFileSync(join(ROOT, 'src/client/README.md'), 'utf8'),
  )?.[1] as string
  writeFileSync(join(project, 'package.json'), '{"type":"module"}')
  // The types are those of Node, not of a browser.
  const files = {
    'example.ts': example.replace('http://localhost:3000', url),
    'wrong.ts': [
      "import { createClient } from '@keystroke-recognition/client'",
      '// @ts-expect-error: there is no such path.',
      "createClient({ baseUrl: '' }).POST('/predict/{modle}', {})",
    ].join('\n'),
    'recorder.ts': "export * from '@keystroke-recognition/client/recorder'\n",
  }
  for (const [name, content] of Object.entries(files)) writeFileSync(join(project, name), content)
  await inProject('npm', 'install', '--no-audit', '--no-fund', '--prefer-offline', tarball)
  mkdirSync(join(project, 'node_modules/@types'))
  symlinkSync(join(ROOT, 'node_modules/@types/node'), join(project, 'node_modules/@types/node'))
  const options = ['--strict', '--module', 'nodenext', '--target', 'es2023', '--types', 'node']
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc')
  await inProject(process.execPath, tsc, ...options, ...Object.keys(files))
  t.match(await inProject(process.execPath, 'example.js'), /^\S+ \[/)

  const typings = join(ROOT, 'test/fixtures/typists/keystrokes.csv')
  const answers = await inProject('npx', 'keystroke-recognition', 'predict', typings, '--url', url)
  t.equal(answers.trim().split('\n').length, readFileSync(typings, 'utf8').trim().split('\n').length)
})

t.test('the commands of the pages tell who typed what is in a file', async (t) => {
  const app = build(t, { MODEL_DIR: TYPISTS })
  const url = await app.listen({ port: 0 })
  const typings = readFileSync(join(ROOT, 'test/fixtures/typists/keystrokes.csv'))
  writeFileSync(join(project, 'typings.csv'), typings)
  for (const page of ['docs/clients.md', 'src/client/README.md']) {
    const command = /^npx .*--out answers\.csv$/m.exec(readFileSync(join(ROOT, page), 'utf8'))?.[0] as string
    const here = command.replace(' --url http://localhost:3000', '')
    await inProject('bash', '-c', `${here} --url ${url}`)
    const answers = readFileSync(join(project, 'answers.csv'), 'utf8').trim().split('\n')
    t.equal(answers.length, typings.toString().trim().split('\n').length, page)
    t.match(answers[1], command.includes('--model rf') ? /,rf,/ : /,best,/)
  }
})
