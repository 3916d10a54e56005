import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { build } from '../fixtures/build.js'
import { ROOT, run, type } from '../fixtures/commands.js'

const page = readFileSync(join(ROOT, 'docs/clients.md'), 'utf8')
const pages = ['README.md', 'docs/quick-start.md']
  .map((file) => readFileSync(join(ROOT, file), 'utf8'))
  .join()

t.test('a client for Python is made as the page says, and gets the answers of the pages', async (t) => {
  const dir = t.testdir()
  const line = /^openapi-python-client .*$/m.exec(page)?.[0] as string
  const contract = join(ROOT, 'openapi.yaml')
  const said = await type(
    [`cd '${dir}'`, `${line.replace('openapi.yaml', `'${contract}'`)} 2>&1`],
    process.env,
  )
  const left = said.match(/(?<=WARNING parsing )\S+ \S+/g) ?? []
  // The Open Inference Protocol has clients of its own.
  t.same(
    left.filter((operation) => !operation.includes(' /v2/')),
    ['POST /predict/{model}/stream'],
    'nothing else is left out',
  )

  const script = /```python\n([^`]*)```/.exec(page)?.[1] as string
  const url = await build(t).listen({ port: 0 })
  const told = await run('bash', [
    '-c',
    'cd "$0" && exec python -c "$1"',
    dir,
    script.replace('http://localhost:3000', url).replace('docs/examples', join(ROOT, 'docs/examples')),
  ])
  const answers = [...pages.matchAll(/^\{"user":\d+,.*$/gm)].slice(0, 2).map(([line]) => JSON.parse(line))
  t.same(
    answers.map(({ model }) => model),
    ['rf', 'best'],
  )
  t.same(
    told
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)),
    answers,
  )
})
