// Asks the registry which of the locked packages have known vulnerabilities: node deploy/audit.mjs
//
// Ends with 0 where the policy has nothing against them, with 1 where it has, and with 2 where the registry did not
// say: an answer that does not know of an old vulnerability is none.
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
/** What is refused in what the service runs with, and what in what it is made and tested with. */
const POLICY = [
  { what: 'what the service runs with', flags: ['--omit=dev'], refused: ['high', 'critical'] },
  { what: 'all packages', flags: [], refused: ['critical'] },
]
/** Whose vulnerability, https://github.com/advisories/GHSA-f2jv-r9rf-7988, every registry that has any knows. */
const CANARY = { name: 'handlebars', version: '4.7.6' }

const folder = canary()
const answers = await Promise.all([audit(folder, []), ...POLICY.map(({ flags }) => audit(ROOT, flags))])
rmSync(folder, { recursive: true })
const [known, ...audits] = answers
const fault =
  answers.find(({ error }) => error !== undefined)?.error ??
  (CANARY.name in known.vulnerabilities ? undefined : 'the registry has no advisories')
if (fault !== undefined) {
  console.error(`Not audited: ${fault}.`)
  process.exit(2)
}
let refusals = 0
for (const [i, { what, refused }] of POLICY.entries()) {
  const found = Object.values(audits[i].vulnerabilities)
  const worst = found.filter(({ severity }) => refused.includes(severity))
  refusals += worst.length
  console.log(`${what}: ${found.length} vulnerable, ${worst.length} of them ${refused.join(' or ')}`)
  for (const { name, severity, via } of found) {
    const titles = via.map((cause) =>
      typeof cause === 'string' ? `by ${cause}` : `${cause.title} ${cause.url}`,
    )
    console.log(`  ${severity}: ${name}: ${titles.join('; ')}`)
  }
}
process.exit(refusals > 0 ? 1 : 0)

/** A folder with nothing but the lock of the old vulnerability. */
function canary() {
  const { name, version } = CANARY
  const dependencies = { [name]: version }
  const packages = { '': { dependencies }, [`node_modules/${name}`]: { version } }
  const folder = mkdtempSync(join(tmpdir(), 'audit-'))
  const write = (file, content) =>
    writeFileSync(join(folder, file), JSON.stringify({ name: 'canary', ...content }))
  write('package.json', { dependencies })
  write('package-lock.json', { lockfileVersion: 3, packages })
  return folder
}

/** What npm says of a folder's lock; where it could not ask, why. */
function audit(cwd, flags) {
  return new Promise((resolve) => {
    const args = ['audit', '--json', '--package-lock-only', ...flags]
    execFile('npm', args, { cwd, maxBuffer: 2 ** 26 }, (_, stdout) => resolve(understand(stdout)))
  })
}

function understand(stdout) {
  try {
    const { auditReportVersion, vulnerabilities, message, error } = JSON.parse(stdout)
    if (auditReportVersion === 2) return { vulnerabilities }
    return { error: message ?? error?.summary ?? 'npm does not say why' }
  } catch {
    return { error: 'npm does not say why' }
  }
}
