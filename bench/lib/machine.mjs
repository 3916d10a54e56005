import { arch, cpus, release, totalmem } from 'node:os'

/** What figures were measured on, as items of a Markdown list. */
export function machine() {
  const day = new Date().toISOString().slice(0, 10)
  const memory = (totalmem() / 2 ** 30).toFixed(0)
  return `${day}, ${cpus()[0].model}, ${cpus().length} cores, ${memory} GiB, Linux ${release()} ${arch()}`
}
