import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** What a script of the bench prints, in a process of its own: it is no part of the coverage of src. */
async function run(script: string) {
  // tap gives every process of Node the options that count coverage: they are taken away behind its back.
  const args = ['-u', 'NODE_OPTIONS', process.execPath, '--input-type=module', '--eval', script]
  const { stdout } = await promisify(execFile)('env', args, { cwd: ROOT })
  return JSON.parse(stdout)
}

t.test('a slope is told with its interval, whatever a third of the points does', async (t) => {
  const { exact, spoilt, noisy, flat, few, blocks } = await run(`
    const { minima, theilSen } = await import('./bench/lib/statistics.mjs')
    const line = Array.from({ length: 60 }, (_, i) => [i, 100 + 2 * i])
    const noise = (i) => 30 * Math.sin(12.9898 * i * i)
    console.log(JSON.stringify({
      exact: theilSen(line),
      spoilt: theilSen(line.map(([x, y], i) => [x, i % 4 ? y : 1e6])),
      noisy: theilSen(line.map(([x, y], i) => [x, y + noise(i)])),
      flat: theilSen(line.map(([x], i) => [x, noise(i)])),
      few: await Promise.resolve(line.slice(0, 9)).then(theilSen).catch((error) => error.message),
      blocks: minima([3, 1, 2, 5, 4, 6, 0], 3),
    }))
  `)
  t.same(exact, { slope: 2, low: 2, high: 2 })
  t.ok(spoilt.low <= 2 && spoilt.slope === 2 && spoilt.high >= 2)
  t.ok(noisy.low > 1 && noisy.low < 2 && noisy.high > 2 && noisy.high < 3)
  t.ok(flat.low < 0 && flat.high > 0)
  t.match(few, /too few/)
  t.same(blocks, [1, 4])
})

t.test('memory, file descriptors and threads are each held against their bound', async (t) => {
  const found = await run(`
    const { judge } = await import('./bench/lib/soak.mjs')
    const bound = { ofRequest: 4, inAll: 0 }
    // Garbage that is collected every seven samples, and what is asked for beside it.
    const samples = (rss, files = () => 50, threads = () => 11) =>
      Array.from({ length: 600 }, (_, i) => ({
        requests: 5000 * i,
        rss: 2e8 + 3e6 * (i % 7) + rss(i),
        files: files(i),
        threads: threads(i),
      }))
    const met = (...made) => judge(samples(...made), bound).checks.map(([, , , met]) => met)
    console.log(JSON.stringify({
      flat: met(() => 0),
      // Eight bytes of each request: 24 MB in all.
      leak: met((i) => 40_000 * i),
      step: met((i) => (i > 10 ? 3e6 : 0)),
      files: met(() => 0, (i) => 50 + i / 30),
      threads: met(() => 0, () => 50, (i) => (i < 500 ? 11 : 12)),
      settling: judge(samples((i) => 40_000 * i), { ofRequest: 4, inAll: 24e6 }).checks[0],
    }))
  `)
  t.same(found.flat, [true, true, true])
  t.same(found.leak, [false, true, true])
  t.same(found.step, [true, true, true], 'what was taken once is no growth')
  t.same(found.files, [true, false, true])
  t.same(found.threads, [true, true, false])
  const [, bytes, most] = found.settling
  t.ok(bytes > 7.5 && bytes < 8.5 && most > 8 && most < 8.1)
})

t.test('a server that keeps something of every request is found out, one that does not is not', async (t) => {
  const verdicts = await run(`
    const { soak, judge } = await import('./bench/lib/soak.mjs')
    const { ask } = await import('./bench/lib/load.mjs')
    const { startServer, stopAll } = await import('./bench/lib/server.mjs')
    process.once('exit', stopAll)
    const file = process.execPath
    const args = ['test/fixtures/leaking-server.mjs']
    const found = []
    for (const leak of ['0', '4096']) {
      const server = await startServer((port) => ({ file, args, env: { LEAK: leak, PORT: String(port) } }))
      const load = { requests: [ask('/')], check() {} }
      const settings = { connections: 4, rate: 2000, warmUp: 1, seconds: 6, every: 50 }
      const { samples, latencies, answered } = await soak(server, load, settings)
      await server.stop()
      found.push({ ...judge(samples, { ofRequest: 1024, inAll: 0 }), latencies: latencies.length, answered })
    }
    console.log(JSON.stringify(found))
    process.exit()
  `)
  const [good, leaking] = verdicts
  t.equal(good.checks[0][3], true, JSON.stringify(good))
  t.equal(leaking.checks[0][3], false, JSON.stringify(leaking))
  t.ok(leaking.memory.low > 3000 && leaking.memory.high < 6000, JSON.stringify(leaking.memory))
  t.equal(leaking.latencies, 12_000)
  t.ok(leaking.answered >= 14_000)
})
