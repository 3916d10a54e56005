import { randomUUID } from 'node:crypto'
import { coded } from '../errors.js'
import type { Archive, Enrolled, Text as TextAnswer } from '../schemas/enrolment.js'
import { MOST_KEPT } from '../schemas/enrolment.js'
import { DEFAULT_FMR } from '../schemas/recognition.js'
import type { Store } from '../stores/store.js'
import { type EnrolmentModels, FEWEST_SAMPLES, type Prior } from '../templates/text-model.js'
import { openArchive, sealArchive } from './archive.js'
import { Galleries } from './galleries.js'
import { Learning } from './learning.js'
import { EnrolledRecogniser } from './recogniser.js'
import { isReplay } from './replays.js'
import { TextModels } from './text-models.js'
import { FRESH_MS, type Text, Texts } from './texts.js'
import { replayed, rowsOf, type Typed } from './typed.js'
import type { Matches, Sample, UserRecord } from './user-record.js'
import { type User, Users } from './users.js'
import type { Vault } from './vault.js'

/** After so many matches that were only just ones a user types otherwise than once. */
const DRIFT_MATCHES = 5
const DRIFT_MARGIN = 1
const DAY_MS = 24 * 3_600_000

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

/** Users of one's own: texts, and who is enrolled for them. */
export class Enrolment {
  readonly store: Store
  readonly vault: Vault
  /** Who of them typed something. */
  readonly recogniser: EnrolledRecogniser
  readonly #texts: Texts
  readonly #users: Users
  readonly #galleries: Galleries
  readonly #models: TextModels
  readonly #learning: Learning
  readonly #now: () => number
  readonly #limits: EnrolmentLimits
  /** How many users the text has that somebody was last enrolled for. */
  #counted = { id: '', users: 0, at: 0 }

  constructor({ store, vault, models, now = Date.now, ...limits }: EnrolmentOptions) {
    this.store = store
    this.vault = vault
    this.#limits = limits
    this.#now = now
    this.#models = new TextModels(models)
    this.#texts = new Texts(store, vault, now)
    const kept = this.#models.kept.bind(this.#models)
    this.#users = new Users(store, vault, kept, now, limits.retentionDays * DAY_MS)
    this.#galleries = new Galleries(this.#users, this.#models, now)
    this.#learning = new Learning(this.#texts, this.#users, this.#models)
    this.recogniser = new EnrolledRecogniser({
      ...limits,
      users: this.#users,
      galleries: this.#galleries,
      models: this.#models,
      learning: this.#learning,
      now,
    })
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
    this.recogniser.forget(text)
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
    const rows = rowsOf(typings)
    const again = rows.findIndex((row, i) => isReplay(row, rows.slice(0, i)))
    if (again !== -1) throw replayed(typings[again] as Typed)
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
      if (replay !== -1) throw replayed(typings[replay] as Typed)
      if (before + samples.length > MOST_KEPT) throw coded('KSR_LIMIT', [MOST_KEPT, 'samples of a user'])
      return { ...record, updated: at, samples: [...record.samples, ...samples], matches: undefined }
    })
    await this.#refuseIfGone(text, user)
    this.#galleries.stale(text)
    const enrolled = changed as User
    if (before < FEWEST_SAMPLES && enrolled.value.samples.length >= FEWEST_SAMPLES)
      await this.#learning.learn(text)
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
    this.recogniser.forget(text, user)
    this.#counted.id = ''
    this.#galleries.stale(text)
    await this.#learning.unlearn(text, value)
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
    await this.#learning.unlearn(text, (changed as User).value)
  }

  /** Templates of a text's users, sealed for another place; in the order of their ids. */
  async exported(text: Text, after: string, limit: number): Promise<{ archive: Archive; users: User[] }> {
    const users = await this.#users.page(text, after, limit)
    return { archive: sealArchive(this.vault, text.keys, users), users }
  }

  /**
   * Enrols whoever of an archive is not enrolled yet.
   * @param each is told of everybody as soon as they are enrolled, or found to be there
   * @throws KSR_ARCHIVE where it is of other keys, was altered, or was sealed with another key; KSR_LIMIT
   */
  async imported(
    text: Text,
    archive: Archive,
    each: (user: string, enrolled: boolean) => void = () => {},
  ): Promise<{ imported: number; kept: string[] }> {
    const records = openArchive(this.vault, text.keys, archive)
    const kept: string[] = []
    const learn = () => {
      this.#galleries.stale(text)
      return this.#learning.learn(text)
    }
    try {
      for (const [user, { samples }] of records) {
        let there = false
        await this.#users.change(text, user, async (found) => {
          there = found !== undefined
          if (there) return undefined
          await this.#checkRoom(text)
          return { ...this.#users.made(), samples }
        })
        each(user, !there)
        if (there) kept.push(user)
        else await this.#refuseIfGone(text, user)
      }
    } catch (error) {
      // Where there is no room for all, those before are enrolled. Why not all are is what has to be said.
      await learn().catch(() => {})
      throw error
    }
    await learn()
    return { imported: records.length - kept.length, kept }
  }

  /** Has nothing in memory of whom other processes have deleted. */
  async refresh(): Promise<void> {
    this.#users.forget()
    this.recogniser.forgetBefore(this.#now() - DAY_MS)
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
}
