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
import { Batch } from './batch.js'
import { bestFirst, sixDecimals } from './candidates.js'
import { areNumbers, type Evidence, fuse, likeliest, posterior, statistic, weightedSum } from './decision.js'
import type { ComposedEntry, TimingsEntry } from './manifest.js'
import { OperatingPoints } from './operating-points.js'
import { checkAnswer, type ModelOptions, openSession, scoresAt } from './session.js'

/** Below this confidence a known user is better asked again. */
const SURE = 0.9

type Point<Kind extends 'identification' | 'verification'> = Decision[Kind]['points'][number]

/** A model of raw keystrokes: timings rows in, what they say for every user, and what follows from that out. */
export class Recogniser {
  readonly features = 'timings'
  /** What one typing says for each user. */
  readonly evidence: (row: FeatureRow) => Promise<Evidence>
  /** Frees what is native of it. */
  readonly release: () => Promise<void>
  readonly #entry: TimingsEntry | ComposedEntry
  readonly #classes: readonly UserId[]
  readonly #hideScores: boolean
  readonly #identification: OperatingPoints<'fpir', Point<'identification'>>
  readonly #verification: OperatingPoints<'fmr', Point<'verification'>>

  private constructor(
    entry: TimingsEntry | ComposedEntry,
    { classes, hideScores }: ModelOptions,
    evidence: (row: FeatureRow) => Promise<Evidence>,
    release = async () => {},
  ) {
    const { name, decision } = entry
    this.evidence = evidence
    this.release = release
    this.#entry = entry
    this.#classes = classes
    this.#hideScores = hideScores
    this.#identification = new OperatingPoints(name, 'fpir', decision.identification.points)
    this.#verification = new OperatingPoints(name, 'fmr', decision.verification.points)
  }

  /**
   * Opens a model from its file's bytes and proves that it is the one the manifest declares.
   * @throws KSR_MODEL_FILE with the file and the reason
   */
  static async open(entry: TimingsEntry, bytes: Uint8Array, options: ModelOptions): Promise<Recogniser> {
    const session = await openSession(entry, bytes, options)
    const batch = new Batch<Evidence>(session, {
      model: entry.name,
      classes: options.classes.length,
      input: entry.input.name,
      outputs: ['scores'],
      read: (outputs, place) => asList(scoresAt(outputs, place)),
    })
    const recogniser = new Recogniser(
      entry,
      options,
      (row) => batch.run(row),
      () => session.release(),
    )
    await recogniser.#check()
    return recogniser
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
    const recogniser = new Recogniser(entry, options, async (row) =>
      weightedSum(await Promise.all(members.map((member) => member.evidence(row))), weights),
    )
    await recogniser.#check()
    return recogniser
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

  async #fused(attempts: readonly FeatureRow[]): Promise<Evidence> {
    const evidences = await Promise.all(attempts.map((row) => this.evidence(row)))
    const evidence = fuse(evidences, this.#entry.decision.correlation)
    if (!areNumbers(evidence)) throw new Error(`${this.#entry.name}: evidence that is no number`)
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

  #check(): Promise<void> {
    return checkAnswer(this.#entry, this.#classes, async (row) => {
      const scores = await this.evidence(row)
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
