import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { tenantOf } from '../enrolment/tenant.js'
import type { Vault } from '../enrolment/vault.js'
import { coded } from '../errors.js'
import type { Store } from '../stores/store.js'

export interface IdempotencyOptions {
  /** Where answers are kept, and what seals them. */
  open: () => Promise<{ store: Store; vault: Vault }>
}

/** What is kept under a key: of what request, and once that is answered, how. */
interface Kept {
  /** The fingerprint of method, URL and body. */
  request: string
  /** The body in base64. */
  answer?: { status: number; headers: Record<string, string>; body: string }
}

/** Where what is kept of a request that is being answered is, and which version of it is this request's own. */
interface Mark {
  partition: string
  key: string
  version: string
  request: string
}

const WRITES = ['POST', 'PUT', 'DELETE']
/** A string of structured fields (RFC 9651), as the draft has it, or what most senders write: the key alone. */
const QUOTED = /^"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"$/
const BARE = /^[\x21\x23-\x7e][\x21-\x7e]*$/
const LONGEST = 255
/** More than a request may take. What ended in the middle is tried again after it. */
const PENDING_S = 60
const KEEP_S = 24 * 3600
const HEADERS = ['content-type', 'etag', 'location']

/**
 * Has a write that is sent again with the same Idempotency-Key by the same caller answered as it was the first time, and
 * done once (draft-ietf-httpapi-idempotency-key-header-07). Registered in the scope of the routes that it is for.
 * Answers of success are kept for a day, sealed; after a caller's mistake the key is free again. Where the service failed,
 * nobody knows what was done, and it may still go on: the key is free after a minute.
 */
export const idempotency = fp(async (app: FastifyInstance, { open }: IdempotencyOptions) => {
  const marks = new WeakMap<FastifyRequest, Mark>()

  /** Keeps it for so many seconds, and resolves to its version, or undefined where another request was faster. */
  async function keep(
    { partition, key }: Pick<Mark, 'partition' | 'key'>,
    kept: Kept,
    seconds: number,
    version?: string,
  ) {
    const { store, vault } = await open()
    const bytes = vault.seal(Buffer.from(JSON.stringify(kept)), placeOf(partition, key))
    return store.put({ partition, key, bytes, expires: now() + seconds }, version)
  }

  /** What is kept under the first of the keys that has anything. */
  async function find(partition: string, keys: readonly string[]): Promise<Kept | undefined> {
    const { store, vault } = await open()
    for (const key of keys) {
      const record = await store.get(partition, key)
      if (record === undefined) continue
      return JSON.parse(Buffer.from(vault.open(record.bytes, placeOf(partition, key))).toString())
    }
  }

  // After validation: what has not the documented form takes no key.
  app.addHook('preHandler', async (request, reply) => {
    const sent = request.headers['idempotency-key']
    if (sent === undefined || !WRITES.includes(request.method)) return
    const { vault } = await open()
    const partition = `idempotency/${tenantOf(request.caller)}`
    // Keys often have the name of somebody in them, who may be deleted long before a day is over.
    const keys = vault.fingerprints(JSON.stringify([partition, keyOf(sent)]))
    const prints = vault.fingerprints(JSON.stringify([request.method, request.url, request.body]))
    const kept = await find(partition, keys)
    if (kept === undefined) {
      const mark = { partition, key: keys[0] as string, request: prints[0] as string }
      const version = await keep(mark, { request: mark.request }, PENDING_S)
      if (version === undefined) throw pending()
      marks.set(request, { ...mark, version })
      return
    }
    if (!prints.includes(kept.request)) throw coded('KSR_IDEMPOTENCY_KEY_REUSED')
    if (kept.answer === undefined) throw pending()
    const { status, headers, body } = kept.answer
    reply.code(status).headers(headers).header('idempotency-replayed', 'true')
    return reply.send(body === '' ? undefined : Buffer.from(body, 'base64'))
  })

  app.addHook('onSend', async (request, reply, payload) => {
    const mark = marks.get(request)
    marks.delete(request)
    if (mark === undefined || reply.statusCode >= 500) return
    try {
      if (reply.statusCode < 300)
        await keep(mark, { request: mark.request, answer: answerOf(reply, payload) }, KEEP_S, mark.version)
      else await (await open()).store.delete(mark.partition, mark.key, mark.version)
    } catch (err) {
      // It is done: whoever hears of it will not ask again.
      request.log.error({ err }, 'the answer is not kept for its idempotency key')
    }
  })
})

function keyOf(header: string | string[]): string {
  const sent = String(header)
  const quoted = QUOTED.exec(sent)?.[1]?.replace(/\\(.)/g, '$1')
  const key = quoted ?? (BARE.test(sent) ? sent : '')
  if (key.length > 0 && key.length <= LONGEST) return key
  const message = `must be 1 to ${LONGEST} visible characters of ASCII, or such a string in quotes`
  throw coded('KSR_INVALID_REQUEST', [], { errors: [{ pointer: '/headers/idempotency-key', message }] })
}

function answerOf(reply: FastifyReply, payload: unknown): NonNullable<Kept['answer']> {
  const headers: Record<string, string> = {}
  for (const name of HEADERS) {
    const value = reply.getHeader(name)
    if (value !== undefined) headers[name] = String(value)
  }
  const body = Buffer.from((payload as string | Uint8Array | null | undefined) ?? '').toString('base64')
  return { status: reply.statusCode, headers, body }
}

const placeOf = (partition: string, key: string) => `${partition}/${key}`

const now = () => Math.floor(Date.now() / 1000)

const pending = () => coded('KSR_IDEMPOTENT_REQUEST_PENDING', [], { retryAfter: 1 })
