import { coded } from '../errors.js'
import type { FeatureRow } from '../keystroke/times.js'
import type { Decision } from '../schemas/model.js'
import {
  type Candidate,
  DEFAULT_FMR,
  DEFAULT_FPIR,
  type PredictQuery,
  type Recognition,
  type UserId,
  type Verification,
  type VerifyQuery,
} from '../schemas/recognition.js'
import { Batch, type Condition } from './batch.js'
import { bestFirst, sixDecimals } from './candidates.js'
import { areNumbers, type Evidence, fuse, likeliest, posterior, statistic, weightedSum } from './decision.js'
import type { ComposedEntry, TimingsEntry } from './manifest.js'
import { OperatingPoints } from './operating-points.js'
import { checkAnswer, type ModelOptions, openSession, releasedUnless, scoresAt } from './session.js'

/** Below this confidence a known user is better asked again. */
const SURE = 0.9

type Point<Kind extends 'identification' | 'verification'> = Decision[Kind]['points'][number]

/** How one is made: of a session of its own, or of members, which have theirs. */
interface Parts extends Pick<Recogniser, 'evidence' | 'isFailing'> {
  release?: () => Promise<void>
}

/** A model of raw keystrokes: timings rows in, what they say for every user, and what follows from that out. */
export class Recogniser {
  readonly features = 'timings'
  /** What one typing says for each user; `isCheck` as in `Batch.run`. */
  readonly evidence: (row: FeatureRow, isCheck?: boolean) => Promise<Evidence>
  /** Frees what is native of it, once all that it was asked is answered. */
  readonly release: () => Promise<void>
  readonly #entry: TimingsEntry | ComposedEntry
  readonly #classes: readonly UserId[]
  readonly #hideScores: boolean
  readonly #arePartsFailing: () => boolean
  #isSumFailing = false
  readonly #identification: OperatingPoints<'fpir', Point<'identification'>>
  readonly #verification: OperatingPoints<'fmr', Point<'verification'>>

  private constructor(
    entry: TimingsEntry | ComposedEntry,
    { classes, hideScores }: ModelOptions,
    { evidence, isFailing, release = async () => {} }: Parts,
  ) {
    const { name, decision } = entry
    this.evidence = evidence
    this.release = release
    this.#entry = entry
    this.#classes = classes
    this.#hideScores = hideScores
    this.#arePartsFailing = isFailing
    this.#identification = new OperatingPoints(name, 'fpir', decision.identification.points)
    this.#verification = new OperatingPoints(name, 'fmr', decision.verification.points)
  }

  /**
   * Opens a model from its file's bytes and proves that it is the one the manifest declares.
   * @throws KSR_MODEL_FILE with the file and the reason
   */
  static async open(entry: TimingsEntry, bytes: Uint8Array, options: ModelOptions): Promise<Recogniser> {
    const session = await openSession(entry, bytes, options)
    const { length: classes } = options.classes
    const condition: Condition = { failing: false }
    const batch = new Batch<Evidence>(session, {
      model: entry.name,
      classes,
      input: entry.input.name,
      outputs: ['scores'],
      read: (outputs, place) => asList(scoresAt(outputs, place, classes)),
      condition,
    })
    const recogniser = new Recogniser(entry, options, {
      evidence: (row, isCheck) => batch.run(row, isCheck),
      isFailing: () => condition.failing,
      async release() {
        await batch.idle()
        await session.release()
      },
    })
    return releasedUnless(recogniser, () => recogniser.check())
  }

  /**
   * Makes a model of others: its evidence is a weighted sum of theirs.
   * @param opened all its members, and others, by name
   * @throws KSR_MODEL_FILE where it does not answer as in training
   */
  static async compose(
    entry: ComposedEntry,
    opened: ReadonlyMap<string, Recogniser>,
    options: ModelOptions,
  ): Promise<Recogniser> {
    const members = entry.members.map(({ model }) => opened.get(model) as Recogniser)
    const weights = entry.members.map(({ weight }) => weight)
    const recogniser = new Recogniser(entry, options, {
      async evidence(row, isCheck) {
        const evidences = await Promise.all(members.map((member) => member.evidence(row, isCheck)))
        return weightedSum(evidences, weights)
      },
      isFailing: () => members.some((member) => member.isFailing()),
    })
    return releasedUnless(recogniser, () => recogniser.check())
  }

  /**
   * Who typed it, and whether it is likely to be that user at all.
   * @param attempts the timings rows of one person's typings
   * @throws KSR_TOO_MANY_ATTEMPTS, KSR_NO_OPERATING_POINT
   */
  async identify(
    attempts: readonly FeatureRow[],
    { top = 0, fpir = DEFAULT_FPIR }: PredictQuery = {},
  ): Promise<Recognition> {
    const points = this.#identification
    const { threshold, fnir } = points.at(attempts.length, fpir)
    const { name: model, version, decision } = this.#entry
    const evidence = await this.#fused(attempts)
    const best = likeliest(evidence)
    const confidence = posterior(evidence, best)
    const reached = statistic(evidence, best, decision.identification)
    const known = reached >= threshold
    const unsettled = points.disagree(attempts.length, reached) || (known && confidence < SURE)
    return {
      user: this.#classes[best] as UserId,
      model,
      version,
      decision: known ? 'known' : 'unknown',
      confidence: sixDecimals(confidence),
      operatingPoint: { fpir, fnir, threshold },
      attempts: attempts.length,
      anotherAttemptHelps: unsettled && points.takesMoreThan(attempts.length),
      ...(top > 0 && { candidates: this.#candidates(evidence, best, confidence, top) }),
    }
  }

  /**
   * Whether the claimed user typed it.
   * @param attempts the timings rows of one person's typings
   * @throws KSR_USER_NOT_FOUND, KSR_TOO_MANY_ATTEMPTS, KSR_NO_OPERATING_POINT
   */
  async verify(
    user: UserId,
    attempts: readonly FeatureRow[],
    { fmr = DEFAULT_FMR }: VerifyQuery = {},
  ): Promise<Omit<Verification, 'quality'>> {
    const { name: model, version, decision } = this.#entry
    const claimed = this.#classes.indexOf(user)
    if (claimed === -1) throw coded('KSR_USER_NOT_FOUND', [model], { at: '/user' })
    const points = this.#verification
    const { threshold, fnmr } = points.at(attempts.length, fmr)
    const evidence = await this.#fused(attempts)
    const reached = statistic(evidence, claimed, decision.verification)
    return {
      user,
      model,
      version,
      match: reached >= threshold,
      score: sixDecimals(reached),
      threshold,
      fmr,
      fnmr,
      attempts: attempts.length,
      anotherAttemptHelps: points.disagree(attempts.length, reached) && points.takesMoreThan(attempts.length),
    }
  }

  /** Whether the last request that it was to answer failed for its fault, or for that of a member. */
  isFailing(): boolean {
    return this.#isSumFailing || this.#arePartsFailing()
  }

  async #fused(attempts: readonly FeatureRow[]): Promise<Evidence> {
    const evidences = await Promise.all(attempts.map((row) => this.evidence(row)))
    const evidence = fuse(evidences, this.#entry.decision.correlation)
    // The members' scores are: what a manifest makes of them by weights and correlation may not be.
    this.#isSumFailing = !areNumbers(evidence)
    if (this.#isSumFailing) throw new Error(`${this.#entry.name}: its evidence is not all numbers`)
    return evidence
  }

  #candidates(evidence: Evidence, best: number, confidence: number, top: number): Candidate[] {
    return bestFirst(evidence, best, top).map((index) => {
      const user = this.#classes[index] as UserId
      if (this.#hideScores) return { user }
      const ratio = Math.exp((evidence[index] as number) - (evidence[best] as number))
      return { user, score: sixDecimals(confidence * ratio) }
    })
  }

  /**
   * Has it answer the row that training answered.
   * @throws KSR_MODEL_FILE where it does not answer the same
   */
  check(): Promise<void> {
    return checkAnswer(this.#entry, this.#classes, async (row) => {
      const scores = await this.evidence(row, true)
      return { user: this.#classes[likeliest(scores)] as UserId, scores }
    })
  }
}

/** In a loop: `Array.from` takes five times as long. */
function asList(scores: Float32Array): number[] {
  const list: number[] = []
  for (let i = 0; i < scores.length; i++) list.push(scores[i] as number)
  return list
}
