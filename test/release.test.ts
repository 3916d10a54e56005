import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { parse } from 'yaml'
import { NOT_COVERED as env, ROOT } from './fixtures/commands.js'
import { MODELS } from './fixtures/models.js'

const text = (path: string) => readFileSync(join(ROOT, path), 'utf8')
const json = (path: string) => JSON.parse(text(path))
const { version, engines, scripts } = json('package.json')

t.test('the version is the same wherever it is written', async (t) => {
  t.equal(json('package-lock.json').version, version)
  t.equal(json('src/client/package.json').version, version)
  t.equal(parse(text('openapi.yaml')).info.version, version)
  t.equal(parse(text('CITATION.cff')).version, version)
})

t.test(
  'the changelog begins with what is not released, and goes from the newest version to the oldest',
  async (t) => {
    const headings = [...text('CHANGELOG.md').matchAll(/^## (.*)$/gm)].map(([, heading]) => heading as string)
    t.equal(headings.shift(), '[Unreleased]')
    const released = headings.map((heading) => /^\[(\d+\.\d+\.\d+)\] - \d{4}-\d{2}-\d{2}$/.exec(heading)?.[1])
    t.same(
      released,
      released.toSorted((a, b) => `${b}`.localeCompare(`${a}`, 'en', { numeric: true })),
    )
    const parts = [...text('CHANGELOG.md').matchAll(/^### (.*)$/gm)].map(([, part]) => part as string)
    t.same(
      parts.filter((part) => !/^(Added|Changed|Deprecated|Removed|Fixed|Security)$/.test(part)),
      [],
    )
  },
)

t.test('what the pages of versions and releases say is so', async (t) => {
  const page = text('docs/versioning.md')
  t.match(page, `\`manifest.json\` has a \`format\`, now ${json('models/manifest.json').format}.`)
  t.match(page, `Node ${engines.node.replace('>=', '')} or later`)
  t.match(page, `the images have ${/^ARG NODE_IMAGE=node:(\d+)/m.exec(text('Dockerfile'))?.[1]}`)
  const { models } = JSON.parse(readFileSync(join(MODELS, 'manifest.json'), 'utf8'))
  for (const { name } of models) t.match(page, `\`${name}\``)
  const steps = text('CONTRIBUTING.md').split('## Release')[1] as string
  const commands = [...steps.matchAll(/npm run ([\w:]+)/g)].map(([, name]) => name as string)
  t.ok(commands.length >= 5)
  for (const name of commands) t.ok(name in scripts, name)
})

t.test('the collections are what `npm run collections` makes of openapi.yaml', async (t) => {
  const dir = t.testdir()
  await promisify(execFile)(process.execPath, [join(ROOT, 'docs/collections/generate.mjs'), dir], { env })
  const committed = join(ROOT, 'docs/collections')
  const made = files(dir)
  t.same(
    made,
    files(committed).filter((path) => path !== 'generate.mjs'),
  )
  for (const path of made)
    t.equal(readFileSync(join(committed, path), 'utf8'), readFileSync(join(dir, path), 'utf8'), path)
})

function files(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name).slice(folder.length + 1))
    .sort()
}

t.test('editors are told to write as the formatter does', async (t) => {
  const { formatter } = json('biome.json')
  const editors = text('.editorconfig')
  t.match(editors, `indent_style = ${formatter.indentStyle}\nindent_size = 2\n`)
  t.match(editors, `max_line_length = ${formatter.lineWidth}\n`)
  t.match(editors, 'end_of_line = lf\n')
})

t.test('the forms for issues are ones', async (t) => {
  for (const name of ['bug', 'feature']) {
    const form = parse(text(`.github/ISSUE_TEMPLATE/${name}.yml`))
    t.match(form, { name: String, description: String, labels: [String] })
    const ids = form.body.flatMap(({ id }: { id?: string }) => id ?? [])
    t.equal(new Set(ids).size, ids.length)
    for (const { type, attributes } of form.body)
      t.ok(type === 'markdown' ? attributes.value : attributes.label, `${name}: a ${type}`)
  }
})
