import { readFile } from 'node:fs/promises'
import { basename, extname, join } from 'node:path'
import type { FastifyInstance } from 'fastify'

/** What the page loads, by its place beside the code; all have their own names at /demo/. */
const FILES = [
  'demo/demo.css',
  'demo/icon.svg',
  'demo/demo.js',
  'demo/enrolment.js',
  'demo/service.js',
  'demo/sentence-field.js',
  'demo/sentence.js',
  'demo/picture.js',
  'demo/answer.js',
  'client/recorder.js',
]

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml; charset=utf-8',
}

/** The page runs, shows and asks what comes from here, and nothing else. */
const POLICY = [
  "default-src 'none'",
  ...['script-src', 'style-src', 'img-src', 'connect-src'].map((from) => `${from} 'self'`),
  ...['object-src', 'base-uri', 'form-action', 'frame-ancestors'].map((what) => `${what} 'none'`),
].join(';')

/** A page to try the service in a browser: files as they are, read once. */
export async function demo(app: FastifyInstance, { codeDir }: { codeDir: string }): Promise<void> {
  for (const file of ['demo/index.html', ...FILES]) {
    const content = await readFile(join(codeDir, file))
    const url = file === 'demo/index.html' ? '/demo' : `/demo/${basename(file)}`
    const headers = {
      'content-type': TYPES[extname(file)] as string,
      'content-security-policy': POLICY,
    }
    // No part of the contract: a page is not what a program asks for.
    app.get(url, { schema: { hide: true } }, async (_request, reply) => reply.headers(headers).send(content))
  }
}
