/**
 * The classes in the order in which they are answered: the label first, then by score, equal scores by the
 * lower class. The label leads because a model's own choice need not have the highest score: a support
 * vector machine's is a vote, and its score breaks the ties of that vote otherwise than its label does.
 * @param scores one for each class
 * @param label the index of the model's own choice
 * @param count how many to return; fewer classes give fewer
 * @returns class indices, best first
 */
export function bestFirst(scores: Float32Array, label: number, count: number): number[] {
  const best = [label]
  for (let index = 0; index < scores.length; index++) {
    if (index === label) continue
    // Insertion into a list of `count` places: far fewer steps than sorting every class.
    let place = best.length
    while (place > 1 && score(scores, best[place - 1]) < score(scores, index)) place--
    if (place < count) best.splice(place, 0, index)
    if (best.length > count) best.pop()
  }
  return best
}

function score(scores: Float32Array, index: number | undefined): number {
  return scores[index as number] as number
}
