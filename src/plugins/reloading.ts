import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'

/** Something that is loaded and ready, and not yet used. */
export interface Prepared {
  /** Uses it from now on. Must not throw: others are in use by then. */
  commit(): void
  /** Frees what was used before, when all is in use. */
  release?(): unknown
  /** Frees it instead, where anything that was to be loaded with it can not be used. */
  discard?(): unknown
}

/**
 * Loads something again without using it.
 * @returns undefined where nothing about it has changed
 * @throws with the file and the reason where it can not be used
 */
export type Prepare = () => Promise<Prepared | undefined>

declare module 'fastify' {
  interface FastifyInstance {
    /** Has something loaded again with all else when the service is told to reload. */
    onReload(prepare: Prepare): void
    /**
     * Loads again all that can be, and uses all of it from one moment on, or nothing. Resolves when that is done or, with
     * the reason in the log, refused. Calls while it is being done are answered by one more that follows.
     */
    reload(): Promise<void>
  }
}

/** Exchanges what was read at the start while requests are answered. */
export const reloading = fp(
  async (app: FastifyInstance) => {
    const prepares: Prepare[] = []
    let running: Promise<void> | undefined
    let next: Promise<void> | undefined

    async function run(): Promise<void> {
      if (app.isDraining()) return
      const settled = await Promise.allSettled(prepares.map(async (prepare) => prepare()))
      const failures = settled.filter((one) => one.status === 'rejected')
      const prepared = settled.flatMap((one) => (one.status === 'fulfilled' && one.value) || [])
      for (const { reason } of failures) app.log.error({ err: reason }, 'reload refused: all is as it was')
      // What is freed when the service closes is what was in use when that began.
      const refused = failures.length > 0 || app.isDraining()
      if (!refused) {
        for (const one of prepared) one.commit()
        if (prepared.length > 0) app.log.info('reloaded')
        else app.log.info('reloaded: nothing has changed')
      }
      const freed = prepared.map(async (one) => (refused ? one.discard?.() : one.release?.()))
      for (const one of await Promise.allSettled(freed)) {
        if (one.status === 'rejected')
          app.log.error({ err: one.reason }, 'not all could be freed after a reload')
      }
    }

    function reload(): Promise<void> {
      if (running === undefined) {
        running = run().finally(() => {
          running = undefined
        })
        return running
      }
      next ??= running.then(() => {
        next = undefined
        return reload()
      })
      return next
    }

    app.decorate('onReload', (prepare) => {
      prepares.push(prepare)
    })
    app.decorate('reload', reload)
    // The process must not end while the runtime is at work.
    app.addHook('onClose', () => running)
  },
  { name: 'reloading', dependencies: ['draining'] },
)
