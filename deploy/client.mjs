// Makes the folder of the client that `npm publish` takes: node deploy/client.mjs [FOLDER]
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const [folder = join(root, 'dist/package')] = process.argv.slice(2)
const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc')

rmSync(folder, { recursive: true, force: true })
mkdirSync(folder, { recursive: true })
execFileSync(
  process.execPath,
  [tsc, '--project', join(root, 'src/client/tsconfig.package.json'), '--outDir', folder],
  {
    stdio: 'inherit',
  },
)
// The recorder as it is written: tsc makes its declarations only.
for (const path of ['src/client/package.json', 'src/client/README.md', 'src/client/recorder.js', 'LICENSE'])
  copyFileSync(join(root, path), join(folder, path.replace(/^.*\//, '')))
