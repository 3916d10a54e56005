import fc from 'fast-check'
import t from 'tap'
import { type Comparer, Gallery, TOGETHER, Weighing } from '../../src/templates/gallery.js'
import type { Template } from '../../src/templates/template.js'
import { comparer, evidenceOf } from '../fixtures/comparer.js'
import { holds } from '../fixtures/fuzzing.js'
import { randomFrom, times } from '../fixtures/people.js'

const DEGREES = 2
// Groups of three, two and one, and one feature that does not count.
const WEIGHTS = [0.5, 0.25, 0.5, 0, 0.25, 0.5, 0.125]
const weighing = new Weighing(WEIGHTS, DEGREES)

const rowOf = (seed: number) => {
  const random = randomFrom(seed)
  return Float64Array.from(WEIGHTS, () => 4 * random() - 2)
}
const templateOf = (seed: number): Template => {
  const random = randomFrom(seed + 1000)
  return {
    centre: Float32Array.from(WEIGHTS, () => 4 * random() - 2),
    spread: Float32Array.from(WEIGHTS, () => 0.1 + random()),
  }
}
const COHORT = times(3, (i) => templateOf(-i - 1))
const near = (one: number | undefined, other: number) => Math.abs((one as number) - other) < 1e-3

t.test(
  'evidence is the weighted sum of densities of a t distribution, without what is the same for all',
  (t) => {
    const [row, { centre, spread }] = [rowOf(1), templateOf(1)]
    let expected = 0
    for (const [f, weight] of WEIGHTS.entries()) {
      const [value, middle, width] = [row[f], centre[f], spread[f]] as [number, number, number]
      expected += weight * (-1.5 * Math.log(1 + ((value - middle) / width) ** 2 / 2) - Math.log(width))
    }
    t.ok(Math.abs(weighing.evidence(row, { centre, spread }) - expected) < 1e-9)
    t.end()
  },
)

t.test(
  'features of one weight share a logarithm, three of them at most, and those without a weight are left out',
  (t) => {
    t.equal(weighing.groups, 3)
    const row = Float64Array.of(10, 11, 12, 13, 14, 15, 16)
    t.same(
      [...weighing.row(row)],
      [10, 11, 16, 12, 14, 0, 15, 0, 0],
      'factor by factor, the heaviest group first',
    )
    t.equal(new Weighing([1, 1, 1, 1], DEGREES).groups, 2)
    t.equal(new Weighing([0, -1], DEGREES).groups, 0)
    const { factors } = weighing.packed(1)
    t.same([...factors], [-1.5 * 0.5, -1.5 * 0.25, -1.5 * 0.125])
    t.end()
  },
)

t.test('what is packed compares as templates do', (t) => {
  const packed = weighing.packed(4)
  for (const column of [0, 2, 3]) weighing.put(packed, column, templateOf(column))
  const row = rowOf(5)
  const found = evidenceOf(weighing.row(row), packed)
  for (const column of [0, 2, 3])
    t.ok(near(found[column], weighing.evidence(row, templateOf(column))), `${column}`)
  t.equal(found[1], 0, 'where nobody is')
  t.same([packed.centres.length, packed.scales.length], [TOGETHER, TOGETHER])
  t.end()
})

t.test('whoever comes, changes and goes in any order, evidence is that of those who are there', async (t) => {
  const change = fc.record({ user: fc.nat(39), seed: fc.nat(1000), gone: fc.boolean() })
  await holds(
    t,
    60,
    fc.asyncProperty(fc.array(change, { maxLength: 120 }), fc.nat(1000), async (changes, asked) => {
      const gallery = new Gallery(weighing, COHORT, comparer)
      const expected = new Map<string, Template>()
      for (const { user, seed, gone } of changes) {
        if (gone) {
          gallery.delete(`${user}`)
          expected.delete(`${user}`)
        } else {
          gallery.set(`${user}`, templateOf(seed))
          expected.set(`${user}`, templateOf(seed))
        }
      }
      const row = rowOf(asked)
      const { cohort, users } = await gallery.evidence([row], 1)
      if (gallery.users.length !== expected.size || users.length !== expected.size)
        throw new Error('other users')
      for (const [place, user] of gallery.users.entries()) {
        const template = expected.get(user)
        if (template === undefined) throw new Error(`${user} is gone`)
        if (!near(users[place], weighing.evidence(row, template)))
          throw new Error(`other evidence for ${user}`)
      }
      for (const [member, template] of COHORT.entries()) {
        if (!near(cohort[member], weighing.evidence(row, template))) throw new Error('another cohort')
      }
    }),
  )
})

t.test('a gallery grows by many columns at once, and keeps who was in it', async (t) => {
  const widths = new Set<number>()
  const watching: Comparer = (packed) => (row) => {
    widths.add(packed().columns)
    return comparer(packed)(row)
  }
  const gallery = new Gallery(weighing, COHORT, watching)
  const row = rowOf(7)
  for (let user = 0; user < 300; user++) {
    gallery.set(`${user}`, templateOf(user))
    if (user % 10 === 0) await gallery.evidence([row], 1)
  }
  t.ok(widths.size < 15, `${[...widths]}`)
  t.ok(Math.max(...widths) < 1.3 * 303, 'and not by too many')
  const { users } = await gallery.evidence([row], 1)
  for (let user = 0; user < 300; user++) {
    if (!near(users[user], weighing.evidence(row, templateOf(user)))) t.fail(`${user}`)
  }
})

t.test('several typings are fused: their sum by a divisor', async (t) => {
  const gallery = new Gallery(weighing, COHORT, comparer)
  gallery.set('anna', templateOf(1))
  const rows = [rowOf(1), rowOf(2), rowOf(3)]
  const { cohort, users } = await gallery.evidence(rows, 2.2)
  const sum = (template: Template) =>
    rows.reduce((sum, row) => sum + weighing.evidence(row, template), 0) / 2.2
  t.ok(near(users[0], sum(templateOf(1))))
  t.ok(near(cohort[2], sum(COHORT[2] as Template)))
})

/** A comparer that looks at once at what is packed, and answers when it is told to. */
function held() {
  const waiting: (() => void)[] = []
  const compare: Comparer = (packed) => (row) => {
    const found = evidenceOf(row, packed())
    return new Promise((resolve) => waiting.push(() => resolve(found)))
  }
  const release = () => {
    for (const answer of waiting.splice(0)) answer()
  }
  return { compare, release, waiting }
}

t.test(
  'who is deleted while a typing is compared is not answered, nor taken for somebody else',
  async (t) => {
    const { compare, release, waiting } = held()
    const gallery = new Gallery(weighing, COHORT, compare)
    for (const user of [0, 1, 2]) gallery.set(`${user}`, templateOf(user))
    const row = rowOf(4)
    const asked = gallery.evidence([row], 1)
    gallery.delete('0')
    release()
    await new Promise(setImmediate)
    t.equal(waiting.length, 1, 'it is asked once more')
    release()
    const { users } = await asked
    t.same(gallery.users, ['2', '1'])
    t.ok(near(users[0], weighing.evidence(row, templateOf(2))))
    t.ok(near(users[1], weighing.evidence(row, templateOf(1))))
  },
)

t.test('who comes while a typing is compared is not compared yet, however wide it gets', async (t) => {
  const { compare, release } = held()
  const gallery = new Gallery(weighing, COHORT, compare)
  gallery.set('0', templateOf(0))
  const asked = gallery.evidence([rowOf(4)], 1)
  for (let user = 1; user < 50; user++) gallery.set(`${user}`, templateOf(user))
  release()
  const { cohort, users } = await asked
  t.same([cohort.length, users.length], [3, 1])
  t.ok(near(users[0], weighing.evidence(rowOf(4), templateOf(0))))
})

t.test('whose numbers are whose stays known, whoever goes after they were compared', async (t) => {
  const gallery = new Gallery(weighing, COHORT, comparer)
  for (const user of [0, 1, 2]) gallery.set(`${user}`, templateOf(user))
  const row = rowOf(4)
  const { users, names } = await gallery.evidence([row], 1)
  gallery.delete('0')
  t.same(names, ['0', '1', '2'])
  t.same(gallery.users, ['2', '1'])
  for (const [place, user] of names.entries()) {
    t.ok(near(users[place], weighing.evidence(row, templateOf(Number(user)))))
  }
})

t.test('who joins a run that was begun when there was less room is compared with all the same', async (t) => {
  let begun: Parameters<typeof evidenceOf>[1] | undefined
  const gallery = new Gallery(weighing, COHORT, (packed) => async (row) => {
    begun ??= packed()
    const run = begun
    await new Promise(setImmediate)
    begun = undefined
    return evidenceOf(row, run)
  })
  gallery.set('0', templateOf(0))
  const first = gallery.evidence([rowOf(1)], 1)
  for (let user = 1; user < 40; user++) gallery.set(`${user}`, templateOf(user))
  const [early, late] = await Promise.all([first, gallery.evidence([rowOf(2)], 1)])
  t.same([early.users.length, late.users.length], [1, 40])
  t.ok(near(late.users[39], weighing.evidence(rowOf(2), templateOf(39))))
})

t.test('of who is deleted no number stays, and who is not there need not be deleted', async (t) => {
  let packed = weighing.packed(0)
  const gallery = new Gallery(weighing, COHORT, (now) => async () => {
    packed = now()
    return new Float32Array(packed.columns)
  })
  const mark = (user: string, value: number) =>
    gallery.set(user, {
      centre: Float32Array.from(WEIGHTS, () => value),
      spread: Float32Array.from(WEIGHTS, () => value),
    })
  mark('anna', 77)
  mark('ben', 88)
  gallery.delete('nobody')
  gallery.delete('anna')
  await gallery.evidence([], 1)
  await gallery.evidence([rowOf(1)], 1)
  const numbers = () => [...packed.centres, ...packed.scales, packed.constants].flatMap((one) => [...one])
  t.notOk(numbers().includes(77))
  t.ok(numbers().includes(88))
  gallery.delete('ben')
  t.notOk(numbers().includes(88))
  t.same(gallery.users, [])
})
