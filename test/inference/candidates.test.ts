import fc from 'fast-check'
import t from 'tap'
import { bestFirst } from '../../src/inference/candidates.js'

t.test('the label leads, the rest follow by score, equal scores by the lower class', async (t) => {
  const scores = Float32Array.of(0.1, 0.4, 0.4, 0.9, 0.2)
  t.same(bestFirst(scores, 3, 5), [3, 1, 2, 4, 0])
  t.same(bestFirst(scores, 4, 3), [4, 3, 1], 'even where the label has not the best score')
})

t.test('no more are returned than asked for, nor than there are', async (t) => {
  const scores = Float32Array.of(0.3, 0.2, 0.1)
  t.same(bestFirst(scores, 0, 1), [0])
  t.same(bestFirst(scores, 1, 9), [1, 0, 2])
})

t.test('it is what sorting every class would give', async () => {
  const score = fc.integer({ min: -4, max: 4 })
  fc.assert(
    fc.property(
      fc.array(score, { minLength: 1, maxLength: 30 }),
      fc.nat(),
      fc.integer({ min: 1, max: 12 }),
      (list, at, count) => {
        const label = at % list.length
        const rest = list.map((_, i) => i).filter((i) => i !== label)
        rest.sort((a, b) => (list[b] as number) - (list[a] as number) || a - b)
        const found = bestFirst(Float32Array.from(list), label, count)
        return found.join() === [label, ...rest].slice(0, count).join()
      },
    ),
  )
})
