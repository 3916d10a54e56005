import { randomUUID } from 'node:crypto'
import { coded } from '../errors.js'
import type { FeatureRow } from '../keystroke/times.js'
import { MOST_KEPT } from '../schemas/enrolment.js'
import {
  DEFAULT_FMR,
  DEFAULT_FPIR,
  type PredictQuery,
  type Quality,
  type Recognition,
  type Verification,
  type VerifyQuery,
} from '../schemas/recognition.js'
import type { DecisionPoint } from '../templates/artefact.js'
import type { Template } from '../templates/template.js'
import { FEWEST_SAMPLES, MODEL, type Rival, type TextModel } from '../templates/text-model.js'
import type { Galleries } from './galleries.js'
import { Heard } from './heard.js'
import type { Learning } from './learning.js'
import { currentTemplate, type TextModels } from './text-models.js'
import type { Text } from './texts.js'
import { replayed, rowsOf, type Typed } from './typed.js'
import type { Matches, Sample, UserRecord } from './user-record.js'
import type { User, Users } from './users.js'

/** Below this confidence a known user is better asked again. */
const SURE = 0.9
/** Scores go by steps, from the threshold on: fine ones would show an attacker which change of a typing was for the better. */
const SCORE_STEP = 8
/** How much a match moves what is remembered of those before. */
const MATCH_SHARE = 0.2
/** How often what is remembered of matches is written, ms, and a sample taken over. */
const NOTE_EVERY_MS = 10 * 60_000
const UPDATE_EVERY_MS = 24 * 3_600_000
/** The most samples of a user that are taken over: what was enrolled stays the greater part. */
const MOST_TAKEN_OVER = 5

export interface RecogniserOptions {
  users: Users
  galleries: Galleries
  models: TextModels
  learning: Learning
  /** Unix ms. */
  now: () => number
  retentionDays: number
  keepSamples: boolean
  updateTemplates: boolean
}

/** A user's template, and the member of the cohort that they are. */
interface Compared {
  template: Template
  same: number
}

/** Who of those enrolled for a text typed something. */
export class EnrolledRecogniser {
  readonly #users: Users
  readonly #galleries: Galleries
  readonly #models: TextModels
  readonly #learning: Learning
  readonly #now: () => number
  readonly #limits: Pick<RecogniserOptions, 'retentionDays' | 'keepSamples' | 'updateTemplates'>
  readonly #heard = new Heard()
  readonly #made = new WeakMap<UserRecord, Compared & { model: TextModel }>()

  constructor({ users, galleries, models, learning, now, ...limits }: RecogniserOptions) {
    this.#users = users
    this.#galleries = galleries
    this.#models = models
    this.#learning = learning
    this.#now = now
    this.#limits = limits
  }

  /**
   * Who of those enrolled typed it, and whether it is likely to be them at all.
   * @param typings of one person
   * @param heard where it is noted what withdraws them, for a request that may still be refused because of others
   * @throws KSR_NOBODY_ENROLLED, KSR_REPLAYED, KSR_TOO_MANY_ATTEMPTS, KSR_NO_OPERATING_POINT
   */
  async identify(
    text: Text,
    typings: readonly Typed[],
    query: PredictQuery,
    heard: (() => void)[] = [],
  ): Promise<Omit<Recognition, 'quality'>> {
    const { top = 0, fpir = DEFAULT_FPIR } = query
    const rows = rowsOf(typings)
    const { model, gallery, ready, ids } = await this.#galleries.of(text)
    if (this.#limits.retentionDays > 0) await this.#learning.unlearnOthers(text, ids)
    const { length: size } = gallery.users
    // Before it is looked at who is there: what can't be asked can't be asked of anybody.
    model.identificationThreshold(model.pointOf(FEWEST_SAMPLES, rows.length), fpir, Math.max(1, size))
    if (size === 0) throw coded('KSR_NOBODY_ENROLLED', [text.name, FEWEST_SAMPLES])
    const { rivals, cohort } = await model.identify(gallery, rows, Math.max(1, top))
    const [{ user, evidence, posterior }] = rivals as [Rival]
    const found = ready.get(user)
    // Deleted meanwhile.
    if (found === undefined) return this.identify(text, typings, query, heard)
    found.same ??= await model.sameUser(found.template)
    const statistic = model.statistic(evidence, cohort, found.same)
    const point = model.pointOf(found.rows.length, rows.length)
    const threshold = model.identificationThreshold(point, fpir, size)
    const known = statistic >= threshold
    const unsettled = (known && posterior < SURE) || isClose(point, statistic)
    const anotherAttemptHelps = unsettled && rows.length < model.mostAttempts
    if (known) {
      const of = `${text.id} ${user}`
      this.#hear(of, typings, rows, found.rows, anotherAttemptHelps)
      heard.push(() => this.#heard.withdraw(of, rows))
    }
    return {
      user,
      ...modelOf(model),
      decision: known ? 'known' : 'unknown',
      confidence: twoDecimals(posterior),
      operatingPoint: { fpir, fnir: model.missRate(point, threshold), threshold: sixDecimals(threshold) },
      attempts: rows.length,
      anotherAttemptHelps,
      ...(top > 0 && {
        candidates: rivals.map(({ user, posterior }) => ({ user, score: twoDecimals(posterior) })),
      }),
    }
  }

  /**
   * Whether the claimed user typed it.
   * @param typings of one person
   * @param quality what is odd about them: of such typings nothing is learned
   * @throws KSR_NOT_ENROLLED, KSR_NOT_READY, KSR_REPLAYED, KSR_TOO_MANY_ATTEMPTS, KSR_NO_OPERATING_POINT
   */
  async verify(
    text: Text,
    user: string,
    typings: readonly Typed[],
    { fmr = DEFAULT_FMR }: VerifyQuery,
    quality: readonly Quality[],
  ): Promise<Omit<Verification, 'quality'>> {
    const rows = rowsOf(typings)
    const found = await this.#users.find(text, user)
    if (found === undefined) throw coded('KSR_NOT_ENROLLED', [text.name, user], { at: '/user' })
    // Once nothing but the comparison is waited for: models that are exchanged are gone.
    const model = this.#models.of(text)
    const { samples } = found.value
    const point = model.pointOf(samples.length, rows.length)
    const { threshold, fnmr } = model.verificationPoint(point, fmr)
    if (samples.length < FEWEST_SAMPLES) {
      throw coded('KSR_NOT_READY', [user, samples.length, FEWEST_SAMPLES], { at: '/user' })
    }
    const known = samples.map(({ row }) => row)
    const compared = await this.#compared(found.value, model)
    const statistic = await model.compare(compared, rows)
    const match = statistic >= threshold
    const anotherAttemptHelps = isClose(point, statistic) && rows.length < model.mostAttempts
    if (match) {
      this.#hear(`${text.id} ${user}`, typings, rows, known, anotherAttemptHelps)
      await this.#note(text, found, typings, rows, model, statistic, quality)
    }
    return {
      user,
      ...modelOf(model),
      match,
      score: coarse(statistic, threshold),
      threshold: sixDecimals(threshold),
      fmr,
      fnmr: model.prior === 'general' ? null : fnmr,
      attempts: rows.length,
      anotherAttemptHelps,
    }
  }

  /** Forgets typings that came before a time, Unix ms. */
  forgetBefore(time: number): void {
    this.#heard.forgetBefore(time)
  }

  /** Forgets the typings of a user, or of all users of a text. */
  forget(text: Text, user?: string): void {
    if (user === undefined) this.#heard.forgetAll(`${text.id} `)
    else this.#heard.forget(`${text.id} ${user}`)
  }

  /** The template of a record as it is, and who they are, for as long as that is remembered. */
  async #compared(record: UserRecord, model: TextModel): Promise<Compared> {
    const made = this.#made.get(record)
    if (made?.model === model) return made
    const template = currentTemplate(model, record)
    const compared = { model, template, same: await model.sameUser(template) }
    this.#made.set(record, compared)
    return compared
  }

  /** @throws KSR_REPLAYED */
  #hear(
    of: string,
    typings: readonly Typed[],
    rows: readonly FeatureRow[],
    known: readonly FeatureRow[],
    open: boolean,
  ): void {
    const replay = this.#heard.hear(of, rows, known, this.#now(), open)
    if (replay !== -1) throw replayed(typings[replay] as Typed)
  }

  /** Remembers how a claim matched, and where that is wanted takes a surely true one over as a sample. */
  async #note(
    text: Text,
    found: User,
    typings: readonly Typed[],
    rows: readonly FeatureRow[],
    model: TextModel,
    statistic: number,
    quality: readonly Quality[],
  ): Promise<void> {
    const { samples, matches, noted } = found.value
    const now = this.#now()
    const point = model.pointOf(samples.length, rows.length)
    const { threshold } = model.verificationPoint(point, DEFAULT_FMR)
    const margin = statistic - threshold
    const next: Matches = {
      count: (matches?.count ?? 0) + 1,
      margin: matches === undefined ? margin : matches.margin + MATCH_SHARE * (margin - matches.margin),
    }
    const strictest = Math.max(...point.verification.map(({ threshold }) => threshold))
    const taken = samples.filter(({ source }) => source === 'verified')
    const since = now - Date.parse((samples.at(-1) as Sample).at)
    const takeOver =
      this.#limits.updateTemplates &&
      quality.length === 0 &&
      statistic >= strictest &&
      since >= UPDATE_EVERY_MS
    if (!takeOver && noted !== undefined && now - Date.parse(noted) < NOTE_EVERY_MS) return
    await this.#users.change(text, found.key, (current) => {
      // Somebody else has changed the user: what they are now, this claim says nothing about.
      if (current?.version !== found.version) return undefined
      const at = this.#users.moment()
      const record = { ...current.value, matches: next, noted: at }
      if (!takeOver) return record
      const oldest = taken.length < MOST_TAKEN_OVER ? undefined : taken[0]
      const keystrokes = this.#limits.keepSamples ? (typings[0] as Typed).keystrokes : undefined
      const sample: Sample = {
        id: randomUUID(),
        at,
        source: 'verified',
        row: rows[0] as FeatureRow,
        keystrokes,
      }
      const kept = samples.filter((one) => one !== oldest)
      if (kept.length >= MOST_KEPT) return record
      return { ...record, updated: at, samples: [...kept, sample] }
    })
    this.#galleries.stale(text)
  }
}

function modelOf({ version }: TextModel): { model: string; version: string } {
  return { model: MODEL, version }
}

/** Whether the strictest threshold and the loosest one decide differently. */
function isClose({ verification }: DecisionPoint, statistic: number): boolean {
  const thresholds = verification.map(({ threshold }) => threshold)
  return statistic >= Math.min(...thresholds) && statistic < Math.max(...thresholds)
}

/** The score, by steps from the threshold on: on the same side of it as it was. */
function coarse(statistic: number, threshold: number): number {
  return sixDecimals(threshold + SCORE_STEP * Math.floor((statistic - threshold) / SCORE_STEP))
}

function twoDecimals(value: number): number {
  return Math.round(value * 100) / 100
}

function sixDecimals(value: number): number {
  return Math.round(value * 1e6) / 1e6
}
