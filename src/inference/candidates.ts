/**
 * The classes in the order in which they are answered: the label first, then by score, equal scores by the
 * lower class. The label leads because a model's own choice need not have the highest score: a support
 * vector machine's is a vote, and its score breaks the ties of that vote otherwise than its label does.
 * @param scores one for each class
 * @param label the index of the model's own choice
 * @param count how many to return; fewer classes give fewer
 * @returns class indices, best first
 */
export function bestFirst(scores: ArrayLike<number>, label: number, count: number): number[] {
  const best = [label]
  for (let index = 0; index < scores.length; index++) {
    const score = scores[index] as number
    // Few of many classes come into the list: one comparison settles the others.
    if (index === label || (best.length === count && !(at(scores, best, count - 1) < score))) continue
    if (best.length < count) best.push(index)
    let place = best.length - 1
    for (; place > 1 && at(scores, best, place - 1) < score; place--) best[place] = best[place - 1] as number
    if (place > 0) best[place] = index
  }
  return best
}

/** A float32 has no more than about seven digits that mean anything: 0.42, not 0.41999998688697815. */
export function sixDecimals(score: number): number {
  return Math.round(score * 1e6) / 1e6
}

function at(scores: ArrayLike<number>, best: readonly number[], place: number): number {
  return scores[best[place] as number] as number
}
