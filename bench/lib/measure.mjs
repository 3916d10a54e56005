// One cold start, of one container.
import { readFile } from 'node:fs/promises'
import { cpus as cores } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { attach, call, unframed } from './engine.mjs'
import { startRuntimeApi } from './runtime-api.mjs'
import { usage } from './usage.mjs'

const TIMEOUT_MS = 60_000
// What Docker does around a start and a removal is over by then, and the container has its whole share of CPU again.
const SETTLE_MS = 300
// The container is up and idle until the bench says go: neither Docker's work nor its delays are in the figures.
const GATE = 'echo waiting; read -r _; exec "$@" </dev/null'

const event = JSON.parse(
  await readFile(new URL('../../test/fixtures/events/http-v2-console-trigger.json', import.meta.url), 'utf8'),
)
const running = new Set()

/**
 * Starts a target once.
 * @param target its `name`, `image` (as inspected) and `env`, and `check`, which throws at a wrong answer
 * @param cpus how much of a CPU it gets; all there is where left out
 * @returns milliseconds from the start of the process until it asked for an event (`ready`) and until its answer was
 * there (`wall`), `cpu` milliseconds spent until then, and `rss` in bytes once every model has answered;
 * and `others`, how many cores everything else on the machine kept busy meanwhile
 */
export async function coldStart({ name, image, env, check }, cpus) {
  const api = await startRuntimeApi()
  const id = await create(image, { ...env, AWS_LAMBDA_RUNTIME_API: api.address }, cpus)
  const output = []
  try {
    const gate = await attach(id)
    const waiting = new Promise((resolve) => gate.on('data', (chunk) => resolve(output.push(chunk))))
    await call('POST', `/containers/${id}/start`)
    const over = Promise.race([ended(id), late()])
    over.catch(() => {})
    await Promise.race([waiting, over])
    const used = await usage(id)
    await sleep(SETTLE_MS)

    const before = await used.cpu()
    const busyBefore = busy()
    const answer = api.invoke(eventFor('RF'))
    const start = performance.now()
    gate.write('\n')
    const { at, body, acknowledge } = await Promise.race([answer, over])
    const worked = busy() - busyBefore
    const cpu = (await used.cpu()) - before
    acknowledge()
    check(JSON.parse(body), 'RF')

    for (const model of env.MODELS.toUpperCase().split(',')) {
      const next = await Promise.race([api.invoke(eventFor(model)), over])
      check(JSON.parse(next.body), model)
      next.acknowledge()
    }
    return {
      ready: api.readyAt - start,
      wall: at - start,
      cpu,
      rss: await used.rss(),
      others: (worked - cpu) / (at - start),
    }
  } catch (error) {
    throw new Error(`${name}: ${error.message}\n${unframed(output)}`)
  } finally {
    await remove(id)
    api.close()
  }
}

/** Leaves no container behind. */
export async function removeAll() {
  await Promise.allSettled([...running].map(remove))
}

async function create({ Id, Config: { Entrypoint, Cmd } }, env, cpus = 0) {
  const { Id: id } = await call('POST', '/containers/create', {
    Image: Id,
    Entrypoint: ['/bin/sh', '-c', GATE, 'sh', ...Entrypoint],
    Cmd,
    Env: Object.entries({ _HANDLER: Cmd[0], ...env }).map(([name, value]) => `${name}=${value}`),
    User: '993:990',
    AttachStdin: true,
    OpenStdin: true,
    StdinOnce: true,
    Labels: { 'keystroke-recognition.bench': 'cold-start' },
    HostConfig: {
      NetworkMode: 'host',
      ReadonlyRootfs: true,
      Tmpfs: { '/tmp': '' },
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      Memory: 512 * 2 ** 20,
      NanoCpus: cpus * 1e9,
      LogConfig: { Type: 'none' },
    },
  })
  running.add(id)
  return id
}

async function remove(id) {
  await call('DELETE', `/containers/${id}?force=1&v=1`)
  running.delete(id)
}

async function ended(id) {
  const { StatusCode } = await call('POST', `/containers/${id}/wait`)
  throw new Error(`ended with status ${StatusCode}`)
}

async function late() {
  await sleep(TIMEOUT_MS, undefined, { ref: false })
  throw new Error(`no answer within ${TIMEOUT_MS / 1000} s`)
}

/** Milliseconds that the cores of this machine have worked. */
function busy() {
  return cores().reduce((sum, { times: { user, nice, sys, irq } }) => sum + user + nice + sys + irq, 0)
}

function eventFor(model) {
  const body = event.body.replace(/("Model": )"\w+"/, `$1"${model}"`)
  return JSON.stringify({
    ...event,
    headers: { ...event.headers, 'content-length': String(body.length) },
    body,
  })
}
