import { createHash, timingSafeEqual } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { coded } from '../errors.js'

interface Entry {
  name: string
  hash: Buffer
}

const ENTRY = /^([A-Za-z0-9._-]{1,64}):([0-9a-f]{64})$/

/**
 * The keys that let a caller in. Of a key only its SHA-256 is kept: whoever reads the settings can't use it, and a random
 * key of 256 bits, unlike a password, can't be guessed from a fast hash. A name may have several, while one takes
 * another's place.
 */
export class ApiKeys {
  readonly #entries: readonly Entry[]

  private constructor(entries: readonly Entry[]) {
    this.#entries = entries
  }

  /**
   * The keys of the settings and of the file, whose lines are `name:SHA-256`, empty, or comments that begin with #.
   * @returns undefined where neither is set
   * @throws KSR_CONFIG where the file can't be read, has another line, or has no key
   */
  static async load({
    apiKeys,
    apiKeysFile,
  }: {
    apiKeys: readonly string[]
    apiKeysFile: string
  }): Promise<ApiKeys | undefined> {
    const entries = apiKeys.map((key) => entryOf(key) as Entry)
    if (apiKeysFile !== '') entries.push(...(await readEntries(apiKeysFile)))
    return entries.length === 0 ? undefined : new ApiKeys(entries)
  }

  /** The name of a key, compared in a time that tells nothing of how much of it was right. */
  nameOf(key: string): string | undefined {
    const hash = createHash('sha256').update(key).digest()
    let found: string | undefined
    for (const entry of this.#entries) {
      if (timingSafeEqual(entry.hash, hash)) found = entry.name
    }
    return found
  }
}

function entryOf(line: string): Entry | undefined {
  const [, name, hash] = ENTRY.exec(line) ?? []
  return name === undefined ? undefined : { name, hash: Buffer.from(hash as string, 'hex') }
}

async function readEntries(path: string): Promise<Entry[]> {
  const refuse = (reason: string) => coded('KSR_CONFIG', [`API_KEYS_FILE: ${path} ${reason}`])
  const text = await readFile(path, 'utf8').catch(({ code }: NodeJS.ErrnoException) => {
    throw refuse(`can not be read (${code})`)
  })
  const entries: Entry[] = []
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (/^\s*(#|$)/.test(line)) continue
    const entry = entryOf(line.trim())
    // The line itself may be a key that somebody forgot to hash.
    if (entry === undefined) throw refuse(`line ${index + 1} is no name with a SHA-256 hash`)
    entries.push(entry)
  }
  // Else an emptied file would open the service to everybody.
  if (entries.length === 0) throw refuse('has no key')
  return entries
}
