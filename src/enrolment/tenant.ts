import { createHash } from 'node:crypto'

/** What a caller's records are kept under: of a fixed length, and of a token's subject nothing can be read. */
export function tenantOf(caller: string): string {
  return createHash('sha256').update(caller).digest('hex')
}
