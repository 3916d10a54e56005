/**
 * What a typing, or several, say for each user: on a logarithmic scale with an origin of its own, so that
 * softmax(evidence) is the probability of each of the known users.
 */
export type Evidence = readonly number[]

/** How a model compares the evidence for a user with that for all others. */
export interface Comparison {
  own: number
  cohort: number
  temperature: number
}

/** Evidence of several models about the same typing: Σ_m weight_m · e_m. */
export function weightedSum(evidences: readonly Evidence[], weights: readonly number[]): Evidence {
  const users = (evidences[0] as Evidence).length
  const sums: number[] = []
  for (let user = 0; user < users; user++) {
    let sum = 0
    for (let m = 0; m < evidences.length; m++) {
      sum += (weights[m] as number) * ((evidences[m] as Evidence)[user] as number)
    }
    sums.push(sum)
  }
  return sums
}

/**
 * Evidence of several attempts by the same person: ē = Σ_a e_a / (1 + (A − 1) · correlation). Attempts of one person
 * on one day repeat one another: counted in full they would make the answer surer than it is right.
 */
export function fuse(attempts: readonly Evidence[], correlation: number): Evidence {
  if (attempts.length === 1) return attempts[0] as Evidence
  const divisor = 1 + (attempts.length - 1) * correlation
  const once = attempts.map(() => 1)
  return weightedSum(attempts, once).map((sum) => sum / divisor)
}

/** Whether all of it is finite. Comparisons with NaN are false: it would decide something, and nobody would see why. */
export function areNumbers(evidence: ArrayLike<number>): boolean {
  for (let user = 0; user < evidence.length; user++) {
    if (!Number.isFinite(evidence[user])) return false
  }
  return true
}

/** The user with most evidence, the lowest class among equals. */
export function likeliest(evidence: Evidence): number {
  let best = 0
  for (let user = 1; user < evidence.length; user++) {
    if ((evidence[user] as number) > (evidence[best] as number)) best = user
  }
  return best
}

/** All that is for somebody else than one user: T · log Σ_{v ≠ u} exp(ē_v / T), without over- or underflow. */
export function evidenceOfOthers(evidence: Evidence, user: number, temperature = 1): number {
  let most = Number.NEGATIVE_INFINITY
  for (let other = 0; other < evidence.length; other++) {
    if (other !== user && (evidence[other] as number) > most) most = evidence[other] as number
  }
  let sum = 0
  for (let other = 0; other < evidence.length; other++) {
    if (other !== user) sum += Math.exp(((evidence[other] as number) - most) / temperature)
  }
  return most + temperature * Math.log(sum)
}

/** The probability of one user among the known ones: softmax(ē)_u. */
export function posterior(evidence: Evidence, user: number): number {
  return 1 / (1 + Math.exp(evidenceOfOthers(evidence, user) - (evidence[user] as number)))
}

/**
 * What is compared with a threshold: κ_u = own · ē_u − cohort · T · log(mean over v ≠ u of exp(ē_v / T)). The cohort of
 * the other users is what makes one threshold fit everybody's typings; with a temperature T above 1 its strongest count
 * for less beside the many.
 */
export function statistic(
  evidence: Evidence,
  user: number,
  { own, cohort, temperature }: Comparison,
): number {
  const others = evidenceOfOthers(evidence, user, temperature) - temperature * Math.log(evidence.length - 1)
  return own * (evidence[user] as number) - cohort * others
}
