import { FEWEST_SAMPLES } from '../templates/text-model.js'
import type { TextModels } from './text-models.js'
import type { Text, Texts } from './texts.js'
import type { UserRecord } from './user-record.js'
import type { User, Users } from './users.js'

/** Of so many who have enough samples a text learns anew: the more there are, the less another tells. */
const LESSONS = [2, 3, 5, 8, 12, 20, 30, 50]
const MOST_TEACHERS = 50

/** What texts of the general prior learn of those who are enrolled for them, and forget with them. */
export class Learning {
  readonly #texts: Texts
  readonly #users: Users
  readonly #models: TextModels

  constructor(texts: Texts, users: Users, models: TextModels) {
    this.#texts = texts
    this.#users = users
    this.#models = models
  }

  /**
   * Has a text learn where there are enough more than when it last did.
   * @param anew whether there are or not
   */
  async learn(text: Text, anew = false): Promise<void> {
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
    if (again) await this.learn(text, true)
  }

  /** Whoever is deleted, or a sample of theirs, is not in what the text has learned either. */
  async unlearn(text: Text, { id }: UserRecord): Promise<void> {
    const current = await this.#texts.find(text.tenant, text.name)
    if (current?.id === text.id && current.experience?.from.includes(id)) await this.learn(text, true)
  }

  /** Nor is whoever is not among these any more: whom nobody deletes is past their time one day. */
  async unlearnOthers(text: Text, ids: ReadonlySet<string>): Promise<void> {
    if (text.experience?.from.every((id) => ids.has(id)) === false) await this.learn(text, true)
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
