import { readFileSync } from 'node:fs'
import t from 'tap'
import { parse } from 'yaml'
import { MODELS } from './fixtures/models.js'

const text = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')
const config = text('schemathesis.toml')
/** The strings of the first list that stands behind a key. */
const listOf = (key: string) =>
  new RegExp(`${key} = \\[([^\\]]*)\\]`)
    .exec(config)?.[1]
    ?.match(/[^",\s]+/g)
    ?.sort()

t.test('422 is expected of exactly the operations that document it', async (t) => {
  const { paths } = parse(text('openapi.yaml')) as {
    paths: Record<string, Record<string, { operationId: string; responses: Record<string, unknown> }>>
  }
  const documented = Object.values(paths)
    .flatMap((operations) => Object.values(operations))
    .filter(({ responses }) => '422' in responses)
    .map(({ operationId }) => operationId)
  t.same(listOf('include-operation-id'), documented.sort())
  t.equal(config.match(/422"/g)?.length, 1, 'and of no others')
})

t.test('no check is switched off', async (t) => {
  const [, ...settings] = config.split(/^(?=\[)/m)
  t.same(
    settings.filter((part) => /enabled\s*=\s*false/.test(part)).map((part) => part.split('\n')[0]),
    ['[cache]'],
  )
})

t.test('the models that it asks, and their versions, are those that are shipped', async (t) => {
  const { models } = JSON.parse(readFileSync(`${MODELS}/manifest.json`, 'utf8'))
  t.same(listOf('values'), models.map(({ name }: { name: string }) => name).sort())
  t.same(
    listOf('dictionaries.versions]\nvalues'),
    models.map(({ version }: { version: string }) => version).sort(),
  )
})
