import { lookup } from 'node:dns/promises'
import { readFileSync } from 'node:fs'
import t from 'tap'
import { SUMMARY } from '../fixtures/build.js'
import { run } from '../fixtures/commands.js'
import {
  buildImages,
  compose,
  docker,
  eventually,
  execNode,
  HARDENED,
  IMAGES,
  inspect,
  start,
  untilHealth,
} from '../fixtures/docker.js'
import { readGolden } from '../fixtures/models.js'
import { pathsOn } from '../fixtures/page.js'

const MODELS = ['svm', 'rf', 'xgb']
const { keystrokes: KEYSTROKES } = readGolden().keystrokes[0] as { keystrokes: object[] }
const posting = (body: object) => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body),
})
const post = posting(SUMMARY)

t.before(buildImages)

t.test('docker compose up', async (t) => {
  const { command, id, url } = compose()
  await command('up', '--wait', '--no-build', 'server')
  const container = await id('server')
  const at = await url('server', 3000)

  t.test('it answers the sample request, and waits until it can', async (t) => {
    t.equal((await inspect(container)).State.Health.Status, 'healthy')
    for (const model of MODELS) {
      const answer = await fetch(`${at}/predict/${model}?top=3`, post)
      t.equal(answer.status, 200, model)
      const { user, candidates } = (await answer.json()) as { user: number; candidates: unknown[] }
      t.equal(user, 84, model)
      t.equal(candidates.length, 3, model)
    }
  })

  t.test('it answers raw keystrokes, and a claim of the user whom it named', async (t) => {
    const { models } = (await (await fetch(`${at}/models`)).json()) as { models: { name: string }[] }
    t.ok(models.some(({ name }) => name === 'best'))
    for (const { name } of models) {
      const typing = { keystrokes: KEYSTROKES }
      const answer = await fetch(`${at}/predict/${name}`, posting(typing))
      t.equal(answer.status, 200, name)
      const { user, decision } = (await answer.json()) as { user: number; decision?: string }
      if (decision === undefined) continue
      const claim = await fetch(`${at}/verify/${name}`, posting({ user, ...typing }))
      t.match(await claim.json(), { user, model: name, match: Boolean })
    }
  })

  t.test('it serves the pages at /docs and /demo with all that they load', async (t) => {
    for (const [path, imported] of [
      ['/docs', '/docs/json'],
      ['/demo', '/demo/recorder.js'],
    ] as const) {
      const page = await fetch(at + path)
      t.equal(page.status, 200)
      const loaded = pathsOn(await page.text(), path)
      t.ok(loaded.length >= 3, `${loaded.length} links`)
      for (const link of [...loaded, imported]) {
        const asset = await fetch(at + link)
        t.equal(asset.status, 200, link)
        t.ok((await asset.arrayBuffer()).byteLength > 0, link)
      }
    }
  })

  t.test('it keeps no files: ONNX Runtime, which by default reports to its makers, would', async (t) => {
    t.equal(await execNode(container, "console.log(fs.readdirSync('/tmp').join())"), '\n')
  })

  t.test('it is reached from this machine only', async (t) => {
    t.match(at, /^http:\/\/127\.0\.0\.1:\d+$/)
  })

  t.test('its process is node, no privileged user, and may gain nothing', async (t) => {
    const script =
      "for (const file of ['cmdline', 'status']) console.log(fs.readFileSync('/proc/1/' + file, 'utf8'))"
    const process1 = await execNode(container, script)
    t.match(process1, /^node\0dist\/server\.js\0/)
    t.notMatch(process1, /^[UG]id:.*\b0\b/m)
    t.match(process1, /^CapEff:\t0+$/m)
    t.match(process1, /^CapBnd:\t0+$/m)
    t.match(process1, /^NoNewPrivs:\t1$/m)
  })

  t.test('nothing but /tmp and the records can be written, not even by root', async (t) => {
    const write = (path: string) => execNode(container, `fs.writeFileSync('${path}', 'x')`, '--user', 'root')
    await t.rejects(write('/app/file'), /EROFS/)
    await t.rejects(write('/etc/file'), /EROFS/)
    await t.resolves(write('/tmp/file'))
  })

  t.test('its memory and its processes have a limit', async (t) => {
    const { HostConfig } = await inspect(container)
    t.equal(HostConfig.Memory, 512 * 1024 ** 2)
    t.equal(HostConfig.PidsLimit, 64)
    t.same(HostConfig.RestartPolicy, { Name: 'on-failure', MaximumRetryCount: 5 })
  })

  t.test('it gets no answer from outside, where an ordinary container does', async (t) => {
    const script = `
      const answers = (target) => new Promise((resolve) => {
        const [host, port] = target.split(' ')
        const socket = net.connect({ host, port })
        setTimeout(resolve, 5000, false).unref()
        // To be refused is an answer, too.
        socket.on('connect', () => resolve(true)).on('error', ({ code }) => resolve(code === 'ECONNREFUSED'))
      })
      const targets = ${JSON.stringify(await outside())}
      Promise.all(targets.map(answers)).then((answered) => {
        console.log(JSON.stringify(targets.filter((_, i) => answered[i])))
        process.exit()
      })`
    const { Config } = await inspect(container)
    const ordinary = JSON.parse(
      await docker('run', '--rm', '--entrypoint', 'node', Config.Image, '-e', script),
    )
    t.comment(`an ordinary container gets an answer from ${ordinary}`)
    t.not(ordinary.length, 0, 'there is something outside')
    t.same(JSON.parse(await execNode(container, script)), [])
  })

  t.test('records are its own, and are there again when it is another container', async (t) => {
    const { Mounts } = await inspect(container)
    t.match(Mounts, [{ Type: 'volume', Destination: '/data', RW: true }])
    const stat = "const { uid, mode } = fs.statSync('/data'); console.log(uid, (mode & 0o777).toString(8))"
    t.equal(await execNode(container, stat), '1000 700\n')
    const opened = "const database = new (require('libsql'))(process.env.DATA_DIR + '/a.db');"
    const put = `${opened} database.exec('PRAGMA journal_mode = WAL; CREATE TABLE a (b); INSERT INTO a VALUES (7)')`
    const threads = "console.log(fs.readdirSync('/proc/self/task').length)"
    const before = Number(await execNode(container, threads))
    t.equal(Number(await execNode(container, `${put}; ${threads}`)), before + 1)
    await command('up', '--wait', '--no-build', '--force-recreate', 'server')
    const get = `${opened} console.log(database.prepare('SELECT b FROM a').raw().get()[0])`
    t.equal(await execNode(await id('server'), get), '7\n')
  })
})

/** What this machine itself talks to: its gateway, its name servers and the registry of packages. */
async function outside(): Promise<string[]> {
  const gateways = [...readFileSync('/proc/net/route', 'utf8').matchAll(/^\w+\t0{8}\t(\w{8})/gm)].map(
    ([, hex]) => [...Buffer.from(hex as string, 'hex')].reverse().join('.'),
  )
  const nameServers = [
    ...readFileSync('/etc/resolv.conf', 'utf8').matchAll(/^nameserver ((?!127\.)[\d.]+)$/gm),
  ].map(([, address]) => address)
  const registry = new URL(await run('npm', ['config', 'get', 'registry']))
  const { address } = await lookup(registry.hostname, 4).catch(() => ({ address: gateways[0] }))
  return [...gateways.map((at) => `${at} 80`), ...nameServers.map((at) => `${at} 53`), `${address} 443`]
}

t.test('the health check of the image says what is so, on any port, and needs node only', async (t) => {
  const { Config } = await inspect(IMAGES.server.name)
  t.same(Config.Healthcheck.Test.slice(0, 2), ['CMD', 'node'])
  const quick = ['--health-interval=1s', '--health-retries=1', '--health-start-period=1s']
  const container = await start(...quick, '--env=PORT=8123', IMAGES.server.name)
  t.equal(await untilHealth(container, 'healthy'), 'healthy')
  await docker('kill', '--signal=STOP', container)
  t.equal(await untilHealth(container, 'unhealthy'), 'unhealthy', 'it hangs')
  await docker('kill', '--signal=CONT', container)
  t.equal(await untilHealth(container, 'healthy'), 'healthy', 'it answers again')

  const closed = await start(...quick, '--env=MODEL_DIR=/nowhere', IMAGES.server.name)
  const { Status, ExitCode } = await eventually(
    async () => (await inspect(closed)).State,
    (state) => state.Status === 'exited',
  )
  t.same({ Status, ExitCode }, { Status: 'exited', ExitCode: 1 }, 'without models it does not start')
})

t.test('it runs without a network, a user of its own, and all that can be taken away', async (t) => {
  const container = await start(...HARDENED, '--health-interval=1s', IMAGES.server.name)
  t.equal(await untilHealth(container, 'healthy'), 'healthy')
  for (const model of MODELS) {
    const script = `fetch('http://127.0.0.1:3000/predict/${model}', ${JSON.stringify(post)})
      .then((answer) => answer.text()).then(console.log)`
    t.match(JSON.parse(await execNode(container, script)), { user: 84, model })
  }
})
