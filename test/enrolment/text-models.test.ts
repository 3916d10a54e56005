import t from 'tap'
import { currentTemplate, TextModels } from '../../src/enrolment/text-models.js'
import type { Text } from '../../src/enrolment/texts.js'
import type { UserRecord } from '../../src/enrolment/user-record.js'
import { timingsRow } from '../../src/keystroke/features.js'
import { TextModel } from '../../src/templates/text-model.js'
import { openModels, typed } from '../fixtures/enrolment.js'
import { person, times } from '../fixtures/people.js'

const models = await openModels(t)
const KEYS = 13
const general = (id: string) => ({ id, keys: 2, prior: 'general', version: '1' }) as Text
const shipped = (id: string) => ({ id, keys: KEYS, prior: 'shipped', version: id }) as Text

t.test('only so many texts have their model in memory, one of the shipped text for all', (t) => {
  const held = new TextModels(() => models)
  t.equal(held.of(shipped('a')), held.of(shipped('b')))
  const first = held.of(general('0'))
  t.equal(held.of(general('0')), first)
  for (let i = 1; i <= 1000; i++) held.of(general(`${i}`))
  t.not(held.of(general('0')), first)
  const kept = held.of(general('999'))
  t.equal(held.of(general('999')), kept)
  t.not(held.of({ ...general('999'), version: '2' }), kept, 'one that has learned is another')
  held.drop(general('999'))
  t.not(held.of(general('999')), kept, 'and so is one of a text that was deleted')
  t.end()
})

t.test('models that were exchanged make others', (t) => {
  let current = models
  const held = new TextModels(() => current)
  const before = held.of(shipped('a'))
  current = { ...models }
  t.equal(held.current(), current)
  t.not(held.of(shipped('a')), before)
  t.end()
})

const samples = typed(...times(4, person(1, KEYS))).map(({ times }, i) => ({
  id: `${i}`,
  at: '2025-05-01T00:00:00.000Z',
  source: 'enrolled' as const,
  row: timingsRow(times),
}))
const rows = samples.map(({ row }) => row)
const record = (template: UserRecord['template']): UserRecord => ({
  ...{ id: 'a', created: '', updated: '', samples },
  template,
})

t.test('the template that is kept is that of the samples, once there are enough', (t) => {
  const held = new TextModels(() => models)
  const model = held.of(shipped('a'))
  t.equal(held.kept(shipped('a'), samples.slice(0, 2)), undefined)
  t.same(held.kept(shipped('a'), samples), { basis: model.basis, ...model.template(rows) })
  t.end()
})

t.test('of a text that learns from others none is kept, which would have something of them', (t) => {
  const held = new TextModels(() => models)
  t.equal(held.kept({ ...general('a'), keys: KEYS }, samples), undefined)
  t.end()
})

t.test('models of a text of another length tell nobody apart, and are no reason to lose anybody', (t) => {
  const held = new TextModels(() => models)
  const other = { ...shipped('a'), keys: 6 }
  t.throws(() => held.of(other), { code: 'KSR_NO_PRIOR', statusCode: 422 })
  t.equal(held.kept(other, samples), undefined)
  t.end()
})

t.test('a template that is kept is taken, and one of another basis is made anew', (t) => {
  const held = new TextModels(() => models)
  const model = held.of(shipped('a'))
  const kept = held.kept(shipped('a'), samples)
  t.equal(currentTemplate(model, record(kept)), kept)
  t.same(currentTemplate(model, record(undefined)), model.template(rows))
  const other = new TextModel(models, KEYS, 'general')
  t.same(currentTemplate(other, record(kept)), other.template(rows))
  t.notSame(other.template(rows), model.template(rows))
  t.end()
})
