import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { link, mkdir, open, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { coded } from '../errors.js'
import { RECORD_KEY } from './vault.js'

const NAME = 'enrolment.key'
/** What others than the owner may do with a file. */
const OTHERS = 0o077

/**
 * The keys of records where no setting has any: those of `enrolment.key` in the folder, a line `id:64 hexadecimal digits`
 * each, the one that seals first. Where there is no such file one is made, with a key of its own.
 * @returns `made`: whether this call made it. Of processes that start at the same time one does, and all have its key.
 * @throws KSR_CONFIG where it can't be read or made, others may read it, or it has another form; never with what is in it
 */
export async function readOrMakeKeys(folder: string): Promise<{ keys: string[]; made: boolean }> {
  const path = join(folder, NAME)
  try {
    // Only then: a folder with a file in it may be one that nothing can be written to.
    const made = !existsSync(path) && (await make(folder, path))
    return { keys: await read(path), made }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'KSR_CONFIG') throw error
    throw refuse(path, `can not be read or made (${code})`)
  }
}

async function make(folder: string, path: string): Promise<boolean> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  // Whole under another name first: whoever finds it under its own finds all of it, even after a power cut.
  const draft = `${path}.${randomBytes(8).toString('hex')}`
  try {
    const key = `${randomBytes(4).toString('hex')}:${randomBytes(32).toString('hex')}\n`
    await writeFile(draft, key, { flag: 'wx', mode: 0o600, flush: true })
    // Unlike renaming, it takes the place of nothing.
    await link(draft, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    await rm(draft, { force: true })
  }
  const names = await open(folder)
  await names.sync().finally(() => names.close())
  return true
}

async function read(path: string): Promise<string[]> {
  const file = await open(path)
  try {
    const { mode } = await file.stat()
    if ((mode & OTHERS) !== 0) throw refuse(path, 'may be read by others: make its mode 0600')
    const lines = (await file.readFile('utf8')).split(/\r?\n/)
    const keys: string[] = []
    for (const [index, line] of lines.entries()) {
      if (/^\s*(#|$)/.test(line)) continue
      // The line may be a key all the same.
      if (!RECORD_KEY.test(line)) throw refuse(path, `line ${index + 1} is no id with 64 hexadecimal digits`)
      keys.push(line)
    }
    // Another one in its place would open nothing that is there.
    if (keys.length === 0) throw refuse(path, 'has no key')
    return keys
  } finally {
    await file.close()
  }
}

function refuse(path: string, reason: string) {
  return coded('KSR_CONFIG', [`${path} ${reason}`])
}
