import { join } from 'node:path'
import t from 'tap'
import { ROOT, run } from '../fixtures/commands.js'

t.test('CITATION.cff is one', async (t) => {
  const told = await run('cffconvert', ['--validate', '--infile', join(ROOT, 'CITATION.cff')])
  t.match(told, 'Citation metadata are valid')
})
