import { existsSync, mkdtempSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { Config } from '../config.js'
import { Enrolment } from '../enrolment/enrolment.js'
import { readOrMakeKeys } from '../enrolment/key-file.js'
import { Vault } from '../enrolment/vault.js'
import { coded } from '../errors.js'
import type { Store } from '../stores/store.js'

declare module 'fastify' {
  interface FastifyInstance {
    /** Users of one's own. @throws KSR_NO_ENROLMENT where the service can keep none */
    enrolment(): Promise<Enrolment>
  }
}

const NO_TEMPLATES = 'its models have no templates to enrol with'
/** How often what is past its time is deleted, and what others have deleted is forgotten, ms. */
const SWEEP_MS = 3_600_000
const REFRESH_MS = 60_000
/** Only an operator mends it. */
const RETRY_S = 3600

/** Opens the store of enrolled users: at the start where there is one, else when it is first asked for. */
export const enrolment = fp(
  async (app: FastifyInstance, { config }: { config: Config }) => {
    const { dataDir, enrolmentTable, enrolmentKeys } = config
    const missing = missingOf(config)
    let opening: Promise<Enrolment> | undefined
    let close = async () => {}
    app.addHook('onClose', () => close())
    app.decorate('enrolment', () => {
      if (missing !== undefined) throw unavailable(missing)
      if (app.models.enrolment === undefined) throw unavailable(NO_TEMPLATES)
      return opened().catch((error) => {
        app.log.error({ err: error }, 'the store of enrolled users can not be opened')
        throw unavailable('their store can not be opened, and the log says why')
      })
    })

    function opened(): Promise<Enrolment> {
      opening ??= open().catch((error) => {
        opening = undefined
        throw error
      })
      return opening
    }

    async function open(): Promise<Enrolment> {
      const keys = enrolmentKeys.length > 0 ? enrolmentKeys : await keysOfFile()
      const vault = Vault.of(keys)
      const store = await openStore()
      await store.sweep()
      const enrolment = new Enrolment({
        ...config,
        store,
        vault,
        models: () => app.models.enrolment ?? none(),
      })
      const every = (ms: number, task: () => Promise<unknown>) =>
        setInterval(() => {
          task().catch((error) => app.log.error({ err: error }, 'what is to be forgotten could not be'))
        }, ms).unref()
      const timers = [every(SWEEP_MS, () => store.sweep()), every(REFRESH_MS, () => enrolment.refresh())]
      close = async () => {
        for (const timer of timers) clearInterval(timer)
        await store.close()
      }
      return enrolment
    }

    async function openStore(): Promise<Store> {
      if (enrolmentTable !== '') {
        const { openDynamo } = await import('../stores/dynamodb.js')
        return openDynamo(enrolmentTable)
      }
      const { openSqlite } = await import('../stores/sqlite.js')
      return openSqlite(dataDir)
    }

    async function keysOfFile(): Promise<readonly string[]> {
      const { keys, made } = await readOrMakeKeys(dataDir)
      if (made)
        app.log.warn(
          { file: join(dataDir, 'enrolment.key') },
          'made a key for enrolled users: keep a copy of it, or set ENROLMENT_KEYS',
        )
      return keys
    }

    if (missing !== undefined || enrolmentTable !== '' || !existsSync(dataDir)) return
    // Predictions need no disk: a service that has none to write to goes on without these routes.
    if (isWritable(dataDir))
      app.addHook('onReady', async () => void (app.models.enrolment && (await opened())))
    else app.log.warn({ file: dataDir }, 'nobody can be enrolled: DATA_DIR can not be written to')
  },
  { name: 'enrolment', dependencies: ['models'] },
)

/** Found out by writing: permissions alone don't say it, of a disk that is read only for one. */
function isWritable(folder: string): boolean {
  try {
    rmdirSync(mkdtempSync(join(folder, '.probe-')))
    return true
  } catch {
    return false
  }
}

/** What it lacks to keep users; undefined where it lacks nothing. */
function missingOf({ functionName, enrolmentTable, enrolmentKeys }: Config): string | undefined {
  // A function's disk is gone with it, and its key would be.
  if (functionName !== '' && enrolmentTable === '')
    return 'ENROLMENT_TABLE is not set, and a function keeps nothing itself'
  if (enrolmentTable !== '' && enrolmentKeys.length === 0)
    return 'ENROLMENT_KEYS is not set, and those who share a table have to share a key'
  return undefined
}

function unavailable(reason: string): Error {
  return coded('KSR_NO_ENROLMENT', [reason], { retryAfter: RETRY_S })
}

/** Models that were exchanged for others that can't do it. */
function none(): never {
  throw unavailable(NO_TEMPLATES)
}
