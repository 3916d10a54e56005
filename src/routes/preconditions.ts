import type { IncomingHttpHeaders } from 'node:http'
import { coded } from '../errors.js'

/** What a precondition is read from: a request. */
interface Conditional {
  headers: IncomingHttpHeaders
}

/** RFC 9110, section 8.8.3. */
const ENTITY_TAG = /(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"/g

/** The strong ETag of a version. */
export function entityTag(version: string): string {
  return `"${version}"`
}

/**
 * Holds a write against its If-Match and If-None-Match, in this order (RFC 9110, section 13.2.2).
 * @param current the version that is there; undefined where nothing is
 * @throws KSR_PRECONDITION_FAILED
 */
export function requireMatch({ headers }: Conditional, current: string | undefined): void {
  const refuse = (header: string) => coded('KSR_PRECONDITION_FAILED', [header])
  const match = headers['if-match']
  if (match !== undefined && !names(match, current, 'strong')) throw refuse('If-Match')
  const noneMatch = headers['if-none-match']
  if (noneMatch !== undefined && names(noneMatch, current, 'weak')) throw refuse('If-None-Match')
}

/** Whether a read is answered by 304 alone: whoever asks has this version. */
export function isNotModified({ headers }: Conditional, version: string): boolean {
  return names(headers['if-none-match'] ?? '', version, 'weak')
}

/** Whether a list of entity tags, or `*`, is about the version that is there. Of a strong comparison weak tags have nothing. */
function names(list: string, current: string | undefined, comparison: 'strong' | 'weak'): boolean {
  if (current === undefined) return false
  if (list.trim() === '*') return true
  const tags = [...list.matchAll(ENTITY_TAG)]
  return tags.some(([, weak, tag]) => tag === current && (weak === undefined || comparison === 'weak'))
}
