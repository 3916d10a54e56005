#!/usr/bin/env node
import { command } from './command.js'

const interrupted = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort(signal))

const { env, stdout, stderr } = process
process.exitCode = await command(process.argv.slice(2), { env, stdout, stderr, signal: interrupted.signal })
