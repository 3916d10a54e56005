/** How many of a list are answered where the caller does not say. */
const USUAL = 100

interface Page {
  after?: string
  limit?: number
}

/** Behind which one a page begins, and how many it has. */
export function afterOf({ after = '~', limit = USUAL }: Page): { after: string; limit: number } {
  return { after: Buffer.from(after.slice(1), 'base64url').toString(), limit }
}

/** Where the next page begins, after a full one. */
export function nextOf<T>(items: readonly T[], limit: number, keyOf: (item: T) => string): { next?: string } {
  const last = items.at(-1)
  if (last === undefined || items.length < limit) return {}
  return { next: `~${Buffer.from(keyOf(last)).toString('base64url')}` }
}
