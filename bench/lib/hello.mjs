// Builds the image that the service is measured against.
import { copyFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { docker, inspectImage } from './engine.mjs'

const TAG = 'keystroke-recognition-bench:hello'
const source = (name) => fileURLToPath(new URL(`../hello/${name}`, import.meta.url))

/** @returns the image, as inspected: hello, bundled and minified, on the Lambda base image */
export async function buildHello(base) {
  const context = await mkdtemp(join(tmpdir(), 'bench-hello-'))
  try {
    await build({
      entryPoints: [source('hello.mjs')],
      outfile: join(context, 'hello.mjs'),
      bundle: true,
      minify: true,
      platform: 'node',
      target: 'node20',
      format: 'esm',
      // Libraries in CommonJS expect it.
      banner: { js: "import{createRequire}from'node:module';const require=createRequire(import.meta.url);" },
    })
    await copyFile(source('Dockerfile'), join(context, 'Dockerfile'))
    await docker('build', '--quiet', '--build-arg', `LAMBDA_IMAGE=${base}`, '--tag', TAG, context)
    return await inspectImage(TAG)
  } finally {
    await rm(context, { recursive: true })
  }
}
