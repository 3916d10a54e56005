import { randomUUID } from 'node:crypto'
import { coded } from '../errors.js'
import { timingsRow } from '../keystroke/features.js'
import type { FeatureRow, Times } from '../keystroke/times.js'
import type { Archive, Enrolled, Text as TextAnswer } from '../schemas/enrolment.js'
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
import type { Keystroke } from '../schemas/sample.js'
import type { Store } from '../stores/store.js'
import type { DecisionPoint } from '../templates/artefact.js'
import type { Template } from '../templates/template.js'
import {
  type EnrolmentModels,
  FEWEST_SAMPLES,
  MODEL,
  type Prior,
  type Rival,
  type TextModel,
} from '../templates/text-model.js'
import { openArchive, sealArchive } from './archive.js'
import { Galleries } from './galleries.js'
import { Heard, replayed } from './heard.js'
import { isReplay } from './replays.js'
import { keptTemplate, TextModels, templateOf } from './text-models.js'
import { FRESH_MS, type Text, Texts } from './texts.js'
import type { Matches, Sample, UserRecord } from './user-record.js'
import { type User, Users } from './users.js'
import type { Vault } from './vault.js'

/** Of so many who have enough samples a text of the general prior learns anew: the more there are, the less another tells. */
const LESSONS = [2, 3, 5, 8, 12, 20, 30, 50]
const MOST_TEACHERS = 50
/** Below this confidence a known user is better asked again. */
const SURE = 0.9
/** Scores go by steps, from the threshold on: fine ones would show an attacker which change of a typing was for the better. */
const SCORE_STEP = 8
/** How much a match moves what is remembered of those before. */
const MATCH_SHARE = 0.2
/** After so many matches that were only just ones a user types otherwise than once. */
const DRIFT_MATCHES = 5
const DRIFT_MARGIN = 1
/** How often what is remembered of matches is written, ms, and a sample taken over. */
const NOTE_EVERY_MS = 10 * 60_000
const UPDATE_EVERY_MS = 24 * 3_600_000
/** The most samples of a user that are taken over: what was enrolled stays the greater part. */
const MOST_TAKEN_OVER = 5
const DAY_MS = 24 * 3_600_000

/** A typing of somebody: its times, and as it was sent. */
export interface Typed {
  times: Times
  keystrokes: readonly Keystroke[]
}

export interface EnrolmentLimits {
  maxTexts: number
  maxEnrolled: number
  retentionDays: number
  keepSamples: boolean
  updateTemplates: boolean
  staleDays: number
}

export interface EnrolmentOptions extends EnrolmentLimits {
  store: Store
  vault: Vault
  /** What training declares now: models may be exchanged. */
  models: () => EnrolmentModels
  /** Unix ms. */
  now?: () => number
}

/** Refuses a change of what has another version than its caller knows; the version is undefined where there is nothing. */
export type Precondition = (version: string | undefined) => void

/** Users of one's own: texts, whom is enrolled for them, and who of these typed something. */
export class Enrolment {
  readonly store: Store
  readonly vault: Vault
  readonly #texts: Texts
  readonly #users: Users
  readonly #galleries: Galleries
  readonly #models: TextModels
  readonly #now: () => number
  readonly #limits: EnrolmentLimits
  readonly #heard = new Heard()
  /** How many users the text has that somebody was last enrolled for. */
  #counted = { id: '', users: 0, at: 0 }
  readonly #made = new WeakMap<UserRecord, Compared & { model: TextModel }>()

  constructor({ store, vault, models, now = Date.now, ...limits }: EnrolmentOptions) {
    this.store = store
    this.vault = vault
    this.#limits = limits
    this.#now = now
    this.#models = new TextModels(models)
    this.#texts = new Texts(store, vault, now)
    const kept = (text: Text, samples: readonly Sample[]) => keptTemplate(this.#models.of(text), samples)
    this.#users = new Users(store, vault, kept, now, limits.retentionDays * DAY_MS)
    this.#galleries = new Galleries(this.#users, this.#models, now)
  }

  /** @throws KSR_TEXT_NOT_FOUND */
  text(tenant: string, name: string): Promise<Text> {
    return this.#texts.get(tenant, name)
  }

  /** In the order of their names. */
  texts(tenant: string, after: string, limit: number): Promise<Text[]> {
    return this.#texts.page(tenant, after, limit)
  }

  /**
   * Makes a text, unless it is there as it is wanted.
   * @param prior where it is undefined, the one for so many keys
   * @throws KSR_TEXT_DIFFERS where there is one of that name that is another, KSR_LIMIT, KSR_CONFLICT
   */
  async putText(
    tenant: string,
    name: string,
    { keys, prior }: { keys: number; prior?: Prior | undefined },
    check: Precondition,
  ): Promise<{ text: Text; made: boolean }> {
    const shipped = keys === this.#models.current().artefact.keys
    if (prior === 'shipped' && !shipped) {
      throw coded('KSR_NO_PRIOR', [this.#models.current().artefact.keys], { at: '/prior' })
    }
    const found = await this.#texts.find(tenant, name)
    check(found?.version)
    const wanted = prior ?? found?.prior ?? (shipped ? 'shipped' : 'general')
    if (found !== undefined) {
      if (found.keys !== keys || found.prior !== wanted)
        throw coded('KSR_TEXT_DIFFERS', [name, found.keys, found.prior])
      return { text: found, made: false }
    }
    if ((await this.#texts.count(tenant)) >= this.#limits.maxTexts) {
      throw coded('KSR_LIMIT', [this.#limits.maxTexts, 'texts of a caller'])
    }
    const text = await this.#texts.create(tenant, name, keys, wanted)
    if (text === undefined) throw coded('KSR_CONFLICT')
    return { text, made: true }
  }

  /** Deletes a text with all that is known of its users. */
  async deleteText(text: Text): Promise<void> {
    // First those who are known: whoever is cut off in between still finds the text, to say it again.
    await this.#users.deleteAll(text)
    await this.#texts.delete(text)
    // Again, for whoever was enrolled in between.
    await this.#users.deleteAll(text)
    this.#galleries.drop(text)
    this.#models.drop(text)
  }

  /**
   * Adds typings to a user, who is made with the first.
   * @throws KSR_REPLAYED, KSR_LIMIT, KSR_CONFLICT
   */
  async enrol(
    text: Text,
    user: string,
    typings: readonly Typed[],
    check: Precondition,
  ): Promise<{ user: User; added: string[] }> {
    const rows = typings.map(({ times }) => timingsRow(times))
    const again = rows.findIndex((row, i) => isReplay(row, rows.slice(0, i)))
    if (again !== -1) throw replayed(again, typings.length)
    const at = this.#users.moment()
    const samples = rows.map((row, i): Sample => {
      const keystrokes = this.#limits.keepSamples ? (typings[i] as Typed).keystrokes : undefined
      return { id: randomUUID(), at, source: 'enrolled', row, keystrokes }
    })
    let before = 0
    const changed = await this.#users.change(text, user, async (found) => {
      check(found?.version)
      before = found?.value.samples.length ?? 0
      if (found === undefined) await this.#checkRoom(text)
      const record = found?.value ?? this.#users.made()
      const known = record.samples.map(({ row }) => row)
      const replay = rows.findIndex((row) => isReplay(row, known))
      if (replay !== -1) throw replayed(replay, typings.length)
      if (before + samples.length > MOST_KEPT) throw coded('KSR_LIMIT', [MOST_KEPT, 'samples of a user'])
      return { ...record, updated: at, samples: [...record.samples, ...samples], matches: undefined }
    })
    await this.#refuseIfGone(text, user)
    this.#galleries.stale(text)
    const enrolled = changed as User
    if (before < FEWEST_SAMPLES && enrolled.value.samples.length >= FEWEST_SAMPLES) await this.#learn(text)
    return { user: enrolled, added: samples.map(({ id }) => id) }
  }

  /** @throws KSR_NOT_ENROLLED */
  user(text: Text, user: string): Promise<User> {
    return this.#users.get(text, user)
  }

  /** In the order of their ids. */
  users(text: Text, after: string, limit: number): Promise<User[]> {
    return this.#users.page(text, after, limit)
  }

  /** @throws KSR_NOT_ENROLLED, KSR_CONFLICT */
  async deleteUser(text: Text, user: string, check: Precondition): Promise<void> {
    const { value, version } = await this.#users.get(text, user)
    check(version)
    if (!(await this.#users.delete(text, user, version))) throw coded('KSR_CONFLICT')
    this.#heard.forget(`${text.id} ${user}`)
    this.#counted.id = ''
    this.#galleries.stale(text)
    await this.#unlearn(text, value)
  }

  /** @throws KSR_NOT_ENROLLED, KSR_SAMPLE_NOT_FOUND, KSR_CONFLICT */
  async deleteSample(text: Text, user: string, sample: string, check: Precondition): Promise<void> {
    const changed = await this.#users.change(text, user, (found) => {
      if (found === undefined) throw coded('KSR_NOT_ENROLLED', [text.name, user])
      check(found.version)
      const samples = found.value.samples.filter(({ id }) => id !== sample)
      if (samples.length === found.value.samples.length) throw coded('KSR_SAMPLE_NOT_FOUND', [user, sample])
      return { ...found.value, updated: this.#users.moment(), samples }
    })
    this.#galleries.stale(text)
    await this.#unlearn(text, (changed as User).value)
  }

  /**
   * Who of those enrolled typed it, and whether it is likely to be them at all.
   * @param rows the timings rows of one person's typings
   * @param heard where it is noted what withdraws them, for a request that may still be refused because of others
   * @throws KSR_NOBODY_ENROLLED, KSR_REPLAYED, KSR_TOO_MANY_ATTEMPTS, KSR_NO_OPERATING_POINT
   */
  async identify(
    text: Text,
    rows: readonly FeatureRow[],
    query: PredictQuery,
    heard: (() => void)[] = [],
  ): Promise<Omit<Recognition, 'quality'>> {
    const { top = 0, fpir = DEFAULT_FPIR } = query
    const { model, gallery, ready, ids } = await this.#galleries.of(text)
    await this.#unlearnExpired(text, ids)
    const { length: size } = gallery.users
    // Before it is looked at who is there: what can't be asked can't be asked of anybody.
    model.identificationThreshold(model.pointOf(FEWEST_SAMPLES, rows.length), fpir, Math.max(1, size))
    if (size === 0) throw coded('KSR_NOBODY_ENROLLED', [text.name, FEWEST_SAMPLES])
    const { rivals, cohort } = await model.identify(gallery, rows, Math.max(1, top))
    const [{ user, evidence, posterior }] = rivals as [Rival]
    const found = ready.get(user)
    // Deleted meanwhile.
    if (found === undefined) return this.identify(text, rows, query, heard)
    found.same ??= await model.sameUser(model.template(found.rows))
    const statistic = model.statistic(evidence, cohort, found.same)
    const point = model.pointOf(found.rows.length, rows.length)
    const threshold = model.identificationThreshold(point, fpir, size)
    const known = statistic >= threshold
    const unsettled = (known && posterior < SURE) || isClose(point, statistic)
    const anotherAttemptHelps = unsettled && rows.length < model.mostAttempts
    if (known) {
      const of = `${text.id} ${user}`
      this.#heard.refuse(of, rows, found.rows, this.#now(), anotherAttemptHelps)
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
   * @param rows the timings rows of one person's typings
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
    const rows = typings.map(({ times }) => timingsRow(times))
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
      this.#heard.refuse(`${text.id} ${user}`, rows, known, this.#now(), anotherAttemptHelps)
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

  /** Templates of a text's users, sealed for another place; in the order of their ids. */
  async exported(text: Text, after: string, limit: number): Promise<{ archive: Archive; users: User[] }> {
    const users = await this.#users.page(text, after, limit)
    return { archive: sealArchive(this.vault, text.keys, users), users }
  }

  /**
   * Enrols whoever of an archive is not enrolled yet.
   * @throws KSR_ARCHIVE where it is of other keys, was altered, or was sealed with another key; KSR_LIMIT
   */
  async imported(text: Text, archive: Archive): Promise<{ imported: number; kept: string[] }> {
    const records = openArchive(this.vault, text.keys, archive)
    const kept: string[] = []
    for (const [user, { samples }] of records) {
      let there = false
      await this.#users.change(text, user, async (found) => {
        there = found !== undefined
        if (there) return undefined
        await this.#checkRoom(text)
        return { ...this.#users.made(), samples }
      })
      if (there) kept.push(user)
      else await this.#refuseIfGone(text, user)
    }
    this.#galleries.stale(text)
    await this.#learn(text)
    return { imported: records.length - kept.length, kept }
  }

  /** Has nothing in memory of whom other processes have deleted. */
  async refresh(): Promise<void> {
    this.#users.forget()
    this.#heard.forgetBefore(this.#now() - DAY_MS)
    await this.#galleries.refresh()
  }

  /** A text, as it is answered. */
  described({ name, keys, prior, created }: Text): TextAnswer {
    return { text: name, keys, prior, created }
  }

  /** A user, as they are answered: no times. */
  profile(text: Text, { key: user, value, expires }: User): Enrolled {
    const { id, created, updated, samples } = value
    return {
      user,
      id,
      state: this.stateOf(value),
      needed: Math.max(0, FEWEST_SAMPLES - samples.length),
      samples: samples.map(({ id, at, source }) => ({ id, at, source })),
      created,
      updated,
      ...(expires !== undefined && { expires: new Date(expires * 1000).toISOString() }),
      errorRates: this.errorRates(text, samples.length),
    }
  }

  /** Whether a user can be recognised, and still types as once. */
  stateOf({ samples, matches }: UserRecord): Enrolled['state'] {
    if (samples.length < FEWEST_SAMPLES) return 'collecting'
    const { staleDays } = this.#limits
    const last = Date.parse((samples.at(-1) as Sample).at)
    const old = staleDays > 0 && this.#now() - last > staleDays * DAY_MS
    const drifted = (matches?.count ?? 0) >= DRIFT_MATCHES && (matches as Matches).margin < DRIFT_MARGIN
    return old || drifted ? 'stale' : 'ready'
  }

  /** What errors to expect of a user with so many samples, and with more. */
  errorRates(text: Text, samples: number): Enrolled['errorRates'] {
    if (text.prior === 'general') return []
    const { decision, ...artefact } = this.#models.current().artefact
    const measured = artefact.measured.filter((one) => one.attempts === 1 && one.samples >= FEWEST_SAMPLES)
    // With more than were measured it is no worse than with the most of them.
    const least = Math.min(samples, Math.max(...measured.map((one) => one.samples)))
    return measured
      .filter((one) => one.samples >= least)
      .map(({ samples, eer }) => {
        const point = decision.points.find((one) => one.samples === samples && one.attempts === 1)
        const fnmr = point?.verification.find(({ fmr }) => fmr === DEFAULT_FMR)?.fnmr ?? null
        return { samples, eer, fnmr }
      })
  }

  /** The template of a record as it is, for as long as that is remembered. */
  async #compared(record: UserRecord, model: TextModel): Promise<Compared> {
    const made = this.#made.get(record)
    if (made?.model === model) return made
    const template = templateOf(model, record)
    const compared = { model, template, same: await model.sameUser(template) }
    this.#made.set(record, compared)
    return compared
  }

  /** Whoever was enrolled for a text while others deleted it is deleted with it. */
  async #refuseIfGone(text: Text, user: string): Promise<void> {
    const current = await this.#texts.find(text.tenant, text.name)
    if (current?.id === text.id) return
    await this.#users.delete(text, user)
    throw coded('KSR_TEXT_NOT_FOUND', [text.name])
  }

  /** Counting takes as long as there are users: what others add is counted after FRESH_MS, what comes here at once. */
  async #checkRoom({ id, ...text }: Text): Promise<void> {
    const { maxEnrolled } = this.#limits
    const now = this.#now()
    if (this.#counted.id !== id || now - this.#counted.at >= FRESH_MS) {
      this.#counted = { id, users: await this.#users.count({ id, ...text }), at: now }
    }
    if (this.#counted.users >= maxEnrolled) throw coded('KSR_LIMIT', [maxEnrolled, 'users of a text'])
    this.#counted.users++
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

  /** Has a text of the general prior learn from those enrolled, where there are enough more than when it last did. */
  async #learn(text: Text, anew = false): Promise<void> {
    if (text.prior === 'shipped') return
    const current = await this.#texts.find(text.tenant, text.name)
    if (current?.id !== text.id) return
    const known = current.experience?.from.length ?? 0
    if (!anew && known >= MOST_TEACHERS) return
    const users = await this.#users.page(text, '', MOST_TEACHERS)
    const teachers = users.filter(({ value }) => value.samples.length >= FEWEST_SAMPLES)
    const due = LESSONS.some((lesson) => lesson > known && lesson <= teachers.length)
    if (!anew && !due) return
    const model = this.#models.of(text)
    const experience =
      teachers.length < (LESSONS[0] as number)
        ? undefined
        : {
            users: model.experience(teachers.map(({ value }) => value.samples.map(({ row }) => row))),
            from: teachers.map(({ value }) => value.id),
          }
    const learned = await this.#texts.learn(current, experience)
    // Where somebody else was faster, they have learned from the same; but nobody may be in it who was deleted meanwhile.
    const again = learned === undefined ? anew : await this.#areGone(text, teachers)
    if (again) await this.#learn(text, true)
  }

  /** Whoever is deleted, or a sample of theirs, is not in what the text has learned either. */
  async #unlearn(text: Text, { id }: UserRecord): Promise<void> {
    const current = await this.#texts.find(text.tenant, text.name)
    if (current?.id === text.id && current.experience?.from.includes(id)) await this.#learn(text, true)
  }

  /** Nor is whoever is past their time, whom nobody deletes. */
  async #unlearnExpired({ experience, ...text }: Text, ids: ReadonlySet<string>): Promise<void> {
    if (this.#limits.retentionDays === 0 || experience === undefined) return
    if (!experience.from.every((id) => ids.has(id))) await this.#learn({ experience, ...text }, true)
  }

  /** Whether somebody was deleted since they were read, or a sample of theirs. */
  async #areGone(text: Text, read: readonly User[]): Promise<boolean> {
    for (const { key, value } of read) {
      const now = (await this.#users.find(text, key))?.value
      const kept = new Set(now?.samples.map(({ id }) => id))
      if (now?.id !== value.id || !value.samples.every(({ id }) => kept.has(id))) return true
    }
    return false
  }
}

function modelOf({ version }: TextModel): { model: string; version: string } {
  return { model: MODEL, version }
}

/** A user's template, and the member of the cohort that they are. */
interface Compared {
  template: Template
  same: number
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
