// Writes down what the images hold, from a bundle made as theirs is: node deploy/sbom.mjs
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { licenceTable } from './image/sbom.mjs'

const at = (path) => fileURLToPath(new URL(path, import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'sbom-'))
try {
  execFileSync(process.execPath, [at('image/bundle.mjs'), folder, 'x64'], { stdio: 'inherit' })
  const bill = JSON.parse(readFileSync(join(folder, 'sbom.cdx.json'), 'utf8'))
  writeFileSync(at('../docs/sbom.cdx.json'), `${JSON.stringify(bill, null, 2)}\n`)
  writeFileSync(at('../docs/licences.md'), licenceTable(bill))
} finally {
  rmSync(folder, { recursive: true })
}
