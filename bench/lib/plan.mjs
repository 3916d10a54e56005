// The arithmetic of docs/scaling.md: from what was measured, what AWS publishes and what is assumed. No I/O.
import { ASSUMED, LCU, LINES, PRICES, QUOTAS, STACK, TASK_STACK, TASKS } from './prices.mjs'

const GB = 2 ** 30
const SECONDS_PER_HOUR = 3600
/** Of all moments, how many may see more invocations at once than are planned for. */
const CROWDED = 1e-4
const CROWDED_DEVIATIONS = 3.72
const NORMAL_FROM = 500
const HIGHEST_RATE = 1e6

/** The share of a vCPU that a function of that memory has: for one thread no more than one counts. */
export function vcpuShare(memoryMb) {
  return Math.min(1, memoryMb / QUOTAS.vcpuMb)
}

/** @returns the sum of a quantity's parts, each at the price of its tier */
export function tiered(quantity, tiers) {
  let below = 0
  let sum = 0
  for (const [upTo, price] of tiers) {
    if (quantity > below) sum += (Math.min(quantity, upTo) - below) * price
    below = upTo
  }
  return sum
}

/** The least that is exceeded in no more than one of ten thousand moments, of things that come independently (Poisson). */
export function atMost(mean) {
  // Poisson is normal by then, and its first term underflows.
  if (mean > NORMAL_FROM) return Math.ceil(mean + CROWDED_DEVIATIONS * Math.sqrt(mean))
  let chance = Math.exp(-mean)
  let sum = chance
  let count = 0
  while (sum < 1 - CROWDED) {
    count++
    chance *= mean / count
    sum += chance
  }
  return count
}

/**
 * @param figures what bench/capacity.mjs measured
 * @param changes of what is assumed
 */
export function plan(figures, changes = {}) {
  const assumed = { ...ASSUMED, ...changes }
  const { handler, server, starts, bytes } = figures
  const cpuMs = (model = assumed.model) => (handler[model].restedMicros * assumed.slowdown) / 1000
  // Bytes a request. There is no access log without a gateway; that of a load balancer goes to a bucket.
  const logged = {
    service: bytes.lambdaLine,
    lambda: sizeOf(LINES.lambda),
    text: sizeOf(LINES.text),
    gateway: sizeOf(LINES.gateway),
  }

  return {
    assumed,
    cpuMs,
    logged,
    warmMs,
    billedMs,
    coldMs,
    asked,
    byHand,
    stored,
    fixed,
    lambda,
    fargate,
    tasks,
    taskRate,
    environments,
    provisioned,
    breakEven,
    traces,
    month: (rate) => rate * assumed.hoursPerMonth * SECONDS_PER_HOUR,
  }

  /** At most: as if the share of a vCPU were handed out evenly. A short burst may get a whole one. */
  function warmMs(memoryMb = STACK.memoryMb, model = assumed.model) {
    return cpuMs(model) / vcpuShare(memoryMb)
  }

  function billedMs(memoryMb = STACK.memoryMb, model = assumed.model) {
    return Math.ceil(warmMs(memoryMb, model) + assumed.runtimeMs)
  }

  /** From nothing to the first answer, at most; and at least: with a whole core, as measured. */
  function coldMs(memoryMb = STACK.memoryMb, models = 'all') {
    const { cpuMs, wallMs, firstCpuMs } = starts[models]
    const least = (wallMs + firstCpuMs) * assumed.slowdown
    return { least, most: Math.max(least, ((cpuMs + firstCpuMs) * assumed.slowdown) / vcpuShare(memoryMb)) }
  }

  /** What so many requests a month cost on Lambda, in parts, without what it costs anyway. */
  function asked(
    requests,
    {
      arch = STACK.arch,
      gateway = 'HTTP API',
      memoryMb = STACK.memoryMb,
      lines = logged.service + logged.lambda + (gateway === 'function URL' ? 0 : logged.gateway),
    } = {},
  ) {
    const { gbSecond } = PRICES.lambda[arch]
    const second = (memoryMb / 1024) * gbSecond
    return total({
      requests: requests * PRICES.lambda.request,
      compute: requests * (billedMs(memoryMb) / 1000) * second,
      // The start itself is billed, too.
      cold: requests * assumed.coldShare * (coldMs(memoryMb).most / 1000) * second,
      gateway: tiered(requests, PRICES.gateway[gateway]),
      logs: tiered((requests * lines) / GB, PRICES.logs.lambda),
      out: tiered((requests * bytes.response) / GB, PRICES.out),
    })
  }

  /** The same for what docs/aws-by-hand.md makes: Lambda's lines are text, and the gateway has no access log. */
  function byHand(requests) {
    return asked(requests, { lines: logged.service + logged.text })
  }

  /** What images cost a month. */
  function stored(images = assumed.images) {
    return images * assumed.imageGb * PRICES.storedGb
  }

  /** What it costs a month however much is asked, in parts. A metric is paid only while something is logged. */
  function fixed(stack, requests = 0) {
    const { alarms, scalingAlarms = 0, metrics = 0 } = stack
    return total({
      alarms: (alarms + scalingAlarms) * PRICES.alarm,
      metrics: requests > 0 ? metrics * PRICES.metric : 0,
      images: stored(),
    })
  }

  /** What so many requests a month cost in all, in parts. */
  function lambda(requests, options) {
    const { total: _, ...parts } = asked(requests, options)
    return total({ ...parts, fixed: fixed(STACK, requests).total })
  }

  /** The requests per second that a task is given. */
  function taskRate({ vcpus }, model = assumed.model) {
    return assumed.load * highestRate(vcpus, model)
  }

  function highestRate(vcpus, model = assumed.model) {
    return (vcpus * 1e6) / (server[model].loadMicros * assumed.slowdown)
  }

  /** How many tasks, and which: the smallest of which two do, or else as many of the largest as it takes. */
  function tasks(rate) {
    for (const size of TASKS) if (needed(rate, size) === 2) return { ...size, count: 2 }
    const size = TASKS.at(-1)
    return { ...size, count: needed(rate, size) }
  }

  /** None above its share of the highest rate, and one may be lost without the others going beyond it. */
  function needed(rate, size) {
    const spare = Math.ceil(rate / highestRate(size.vcpus)) + 1
    return Math.max(2, Math.ceil(rate / taskRate(size)), spare)
  }

  function fargate(requests, { arch = STACK.arch } = {}) {
    const hours = assumed.hoursPerMonth
    const rate = requests / (hours * SECONDS_PER_HOUR)
    const { vcpus, gb, count } = tasks(rate)
    const { vcpuHour, gbHour } = PRICES.fargate[arch]
    return total({
      compute: hours * count * (vcpus * vcpuHour + gb * gbHour),
      balancer: hours * (PRICES.balancer.hour + units(rate) * PRICES.balancer.lcuHour),
      addresses: hours * (count + assumed.zones) * PRICES.addressHour,
      logs: tiered((requests * bytes.serverLine) / GB, PRICES.logs.fargate),
      out: tiered((requests * bytes.response) / GB, PRICES.out),
      fixed: fixed(TASK_STACK).total,
    })
  }

  /** Capacity units of the load balancer: the dimension that needs most is what is paid. */
  function units(rate) {
    const opened = rate / assumed.requestsPerConnection
    return Math.max(
      opened / LCU.newConnections,
      (opened * assumed.idleSeconds) / LCU.connections,
      (rate * (bytes.request + bytes.response) * SECONDS_PER_HOUR) / GB / LCU.gbPerHour,
    )
  }

  /** Invocations at once: on average (Little's law), at most, and if none of them found a warm environment. */
  function environments(rate, memoryMb = STACK.memoryMb) {
    const mean = (rate * (warmMs(memoryMb) + assumed.runtimeMs)) / 1000
    return { mean, most: atMost(mean), allCold: (rate * coldMs(memoryMb).most) / 1000 }
  }

  function provisioned(rate, { arch = STACK.arch, memoryMb = STACK.memoryMb } = {}) {
    const { gbSecond, provisioned: price } = PRICES.lambda[arch]
    const count = Math.max(Math.ceil(rate / QUOTAS.perConcurrency), environments(rate, memoryMb).most)
    const hour = (memoryMb / 1024) * SECONDS_PER_HOUR * price.gbSecond
    return {
      count,
      hour,
      month: count * hour * assumed.hoursPerMonth,
      // From there on what is saved while busy is more than what idling costs.
      worthAt: price.gbSecond / (gbSecond - price.busy),
      busy: (QUOTAS.perConcurrency * billedMs(memoryMb)) / 1000,
    }
  }

  /** What X-Ray costs a month: at most one request a second, and a share of the others. */
  function traces(rate) {
    const traced = Math.min(rate, 1) + Math.max(0, rate - 1) * assumed.tracedShare
    return traced * assumed.hoursPerMonth * SECONDS_PER_HOUR * PRICES.trace
  }

  /** The rate from which on Fargate is cheaper. It begins dearer, so that there is one. */
  function breakEven(lambdaOptions = {}, fargateOptions = {}) {
    const dearer = (rate) => {
      const requests = rate * assumed.hoursPerMonth * SECONDS_PER_HOUR
      return lambda(requests, lambdaOptions).total > fargate(requests, fargateOptions).total
    }
    let [low, high] = [0, HIGHEST_RATE]
    while (high - low > high / 1000) {
      const middle = (low + high) / 2
      if (dearer(middle)) high = middle
      else low = middle
    }
    return high
  }
}

/** Of lines of text or of JSON, each with its end. */
function sizeOf(lines) {
  const text = (line) => (typeof line === 'string' ? line : JSON.stringify(line))
  return lines.reduce((sum, line) => sum + text(line).length + 1, 0)
}

function total(parts) {
  return { ...parts, total: Object.values(parts).reduce((sum, part) => sum + part, 0) }
}
