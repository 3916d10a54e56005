// What a running container has used: from the kernel where the engine runs on this machine, else from the engine,
// which takes up to a second to say so.
import { readFile } from 'node:fs/promises'
import { call } from './engine.mjs'

const CGROUPS = '/sys/fs/cgroup'

/** @returns `cpu()`, milliseconds of CPU that everything in the container has had, and `rss()`, bytes of process 1 */
export async function usage(id) {
  const { State } = await call('GET', `/containers/${id}/json`)
  const cgroups = await text(`/proc/${State.Pid}/cgroup`)
  // Where the engine runs elsewhere, the number is nobody's here or another process's.
  if (!cgroups.includes(id)) return { cpu: () => cpuOfEngine(id), rss: () => rssOfEngine(id) }
  return {
    cpu: async () => (await cpuOfKernel(cgroups)) ?? cpuOfEngine(id),
    rss: async () => Number(/VmRSS:\s+(\d+) kB/.exec(await text(`/proc/${State.Pid}/status`))[1]) * 1024,
  }
}

/** In version 1 of control groups a file of nanoseconds, in version 2 one of microseconds. */
async function cpuOfKernel(cgroups) {
  const [, v1] = /^\d+:(?:[\w,]+,)?cpuacct(?:,[\w,]+)?:(.+)$/m.exec(cgroups) ?? []
  if (v1) return number(await text(`${CGROUPS}/cpuacct${v1}/cpuacct.usage`), /^(\d+)/, 1e6)
  const [, v2] = /^0::(.+)$/m.exec(cgroups) ?? []
  return number(await text(`${CGROUPS}${v2}/cpu.stat`), /^usage_usec (\d+)/m, 1e3)
}

async function cpuOfEngine(id) {
  const { cpu_stats } = await call('GET', `/containers/${id}/stats?stream=false&one-shot=true`)
  return cpu_stats.cpu_usage.total_usage / 1e6
}

async function rssOfEngine(id) {
  const { Titles, Processes } = await call('GET', `/containers/${id}/top?ps_args=-eo%20pid,rss`)
  const column = Titles.indexOf('RSS')
  return Math.max(...Processes.map((process) => Number(process[column]))) * 1024
}

function text(file) {
  return readFile(file, 'utf8').catch(() => '')
}

function number(content, pattern, divisor) {
  const [, digits] = pattern.exec(content) ?? []
  return digits && Number(digits) / divisor
}
