// What bench/capacity.mjs measured, and the generated parts of docs/scaling.md and docs/aws-by-hand.md, as Markdown.
import { plan } from './plan.mjs'
import { AS_OF, ASSUMED, PRICES, QUOTAS, REGION, STACK, TASK_STACK } from './prices.mjs'
import { table } from './report.mjs'

const MB = 2 ** 20
const MEMORIES = [256, 512, 1024, 1769, 3008]
const RATES = [1, 100, 10_000]
const GATEWAYS = ['HTTP API', 'REST API', 'function URL']
const ARCHITECTURES = ['x86_64', 'arm64']
const SMALL_MB = 512
/** Requests on a connection of callers that keep it. */
const KEPT_FOR = 100
const SLOWER = 1.5

export function capacityReport({ where, rounds, starts, handler, server, tasks, bytes }) {
  const requests = Object.entries(handler).map(([model, own]) => [
    `\`${model}\``,
    ...[own.restedMicros, own.restedWallMicros, own.busyMicros].map(number),
    ...[server[model].aloneMicros, server[model].loadMicros, server[model].loadRate].map(number),
  ])
  const columns = [
    '',
    'handler, rested, CPU',
    'the same, wall',
    'handler, back to back, CPU',
    'server, 1 connection, CPU',
    'server, 64 connections, CPU',
    'requests/s of these',
  ]
  const startRows = Object.entries(starts).map(([name, own]) => [
    served(name),
    ...[own.cpuMs, own.wallMs, own.firstCpuMs].map(number),
    ...[own.rss, own.busy, own.peak].map(megabytes),
  ])
  const taskRows = Object.entries(tasks).map(([name, own]) => [
    served(name),
    ...[own.rss, own.busy].map(megabytes),
  ])
  const lines = [
    ['log line of an invocation', bytes.lambdaLine],
    ['log line of a request to the server', bytes.serverLine],
    ['request, with its head', bytes.request],
    ['answer, with its head', bytes.response],
  ].map(([name, size]) => [name, number(size)])
  return `# Capacity

What a request, a start and the memory take: medians of ${rounds} rounds. What is measured, and how: [README](../README.md). What
follows from it for AWS: [scaling](../../docs/scaling.md).

## A request, µs

${table(columns, requests)}

## A start of the handler, ms, and the memory of its process, MiB

${table(['`MODELS`', 'CPU', 'wall', 'CPU of the first answer', 'RSS then', 'RSS busy', 'at most'], startRows)}

## Memory of the server, MiB

${table(['`MODELS`', 'RSS at rest', 'RSS busy'], taskRows)}

## Bytes, of a prediction by \`best\`

${table(['', 'bytes'], lines)}

## Where

- ${where.machine}
- Node ${where.node}; ${where.cores === 'bound' ? 'the service on one core, the client on another' : 'nothing bound to a core'}

\`\`\`sh
npm run bench:capacity -- --write
\`\`\`
`
}

/** @returns the text with each generated part, between its two comments, replaced */
export function withBlocks(text, blocks) {
  let whole = text
  for (const [name, block] of Object.entries(blocks)) {
    const [begin, end] = [`<!-- capacity: ${name} -->`, `<!-- end: ${name} -->`]
    const [from, to] = [whole.indexOf(begin), whole.indexOf(end)]
    if (from < 0 || to < from) throw new Error(`the page has no part ${name}`)
    whole = `${whole.slice(0, from + begin.length)}\n\n${block.trim()}\n\n${whole.slice(to)}`
  }
  return whole
}

/** @returns the generated parts of docs/scaling.md, by name */
export function scalingBlocks(figures) {
  const p = plan(figures)
  return {
    decision: decision(figures, p),
    measured: measured(figures, p),
    concurrency: concurrency(p),
    memory: memory(figures, p),
    provisioned: provisioned(p),
    costs: costs(figures, p),
    logs: logs(figures, p),
    quotas: quotas(p),
    users: users(p),
    another: another(figures, p),
    assumed: assumptions(p),
  }
}

/** @returns the generated part of docs/aws-by-hand.md */
export function manualBlocks(figures) {
  return { manual: manual(plan(figures)) }
}

function manual(p) {
  const part = p.byHand(1e6)
  return `
A million predictions by \`${ASSUMED.model}\` cost **${dollars(part.total)}**: gateway ${dollars(part.gateway)}, requests ${dollars(part.requests)}, logs ${dollars(part.logs)}, cold starts ${dollars(part.cold)}, compute ${dollars(part.compute)}, traffic
out ${dollars(part.out)}. That is for what is made here, ${number(STACK.memoryMb)} MB of ${STACK.arch}, by prices of ${REGION}, ${AS_OF}, without free tiers and taxes, where one
request in ${number(1 / ASSUMED.coldShare)} starts an environment ([what is assumed](scaling.md#what-is-assumed)). When nobody asks, it costs what ECR keeps: about
${cents(p.stored(1))} a month for each image of ${ASSUMED.imageGb} GB, those from before an update too.`
}

function decision({ starts }, p) {
  const [api, rest, url] = GATEWAYS.map((gateway) => p.breakEven({ gateway }))
  const { vcpus, gb } = p.tasks(api)
  const [idle, busy] = [p.fixed(STACK), p.fixed(STACK, 1)]
  const saved = million(p).total - million(p, { memoryMb: SMALL_MB }).total
  const faster = (models) => percent(1 - p.coldMs(STACK.memoryMb, models).most / p.coldMs().most)
  const rows = [
    [
      `under ${about(api)}`,
      'Lambda behind an HTTP API: `deploy/service.yaml`',
      `${number(STACK.memoryMb)} MB`,
      `${dollars(million(p).total)} a million, and ${dollars(idle.total)} a month even when nobody asks`,
    ],
    [
      `over ${about(api)}`,
      'Fargate behind a load balancer, image `server`',
      `2 × ${vcpus} vCPU, ${gb} GB`,
      `from ${dollars(p.fargate(0).total)} a month, then little more`,
    ],
    [
      `up to ${about(url)}`,
      'Lambda with a function URL, where keys, throttling and a domain are not wanted',
      `${number(STACK.memoryMb)} MB`,
      `${dollars(million(p, { gateway: 'function URL' }).total)} a million, and the same a month`,
    ],
  ]
  return `
${textTable(['requests/s, average of the month', 'run it on', 'size', 'cost'], rows)}

- It is the average that counts: ${about(2 * api)} requests/s for eight hours a day are under ${about(api)}. With a REST API the border is ${about(rest)}.
- **When nobody asks**, Lambda costs ${dollars(idle.total)} a month: ${STACK.alarms} alarms ${dollars(idle.alarms)}, ${ASSUMED.images} images in ECR ${dollars(idle.images)}. While somebody does, the metric of
  cold starts costs ${dollars(busy.metrics)} more.
- Traces, which are off by default, are not in these costs. Around one request a second they are more than all else: [below](#logs-traffic-and-traces).
- **Memory on Lambda:** ${number(STACK.memoryMb)} MB, one whole vCPU, start in ${seconds(p.coldMs().most)}. ${number(SMALL_MB)} MB do as well, start in up to ${seconds(p.coldMs(SMALL_MB).most)}, and
  save ${dollars(saved)} a million.
- **Fewer models start sooner:** \`MODELS=best\` takes ${faster('best')} off a cold start and the process to ${megabytes(starts.best.peak)} MiB, \`MODELS=rf\` ${faster('rf')} and to
  ${megabytes(starts.rf.peak)}, from ${megabytes(starts.all.peak)}.`
}

function measured({ handler, server, where }, p) {
  const rows = Object.entries(handler).map(([model, { restedMicros, busyMicros }]) => [
    `\`${model}\``,
    ...[restedMicros, busyMicros, server[model].aloneMicros, server[model].loadMicros].map(number),
    about(p.taskRate({ vcpus: 1 }, model)),
  ])
  const names = [
    'CPU µs a request',
    'Lambda handler, rested',
    'back to back',
    'HTTP server, 1 connection',
    '64 connections',
    'requests/s to give a vCPU',
  ]
  return `
${table(names, rows)}

On one core of ${where.machine.split(', ')[1]}. The last column is computed: ${percent(ASSUMED.load)} of what the one before it allows.`
}

function concurrency(p) {
  const rows = RATES.map((rate) => {
    const { mean, most, allCold } = p.environments(rate)
    const { count, vcpus } = p.tasks(rate)
    return [
      `${number(rate)}/s`,
      mean < 10 ? String(roughly(mean)) : number(mean),
      number(most),
      about(Math.ceil(allCold)),
      `${count} × ${vcpus} vCPU`,
    ]
  })
  const names = [
    `\`${ASSUMED.model}\`, ${number(STACK.memoryMb)} MB`,
    'at once, on average',
    'at most',
    'where all start cold',
    'instead, on Fargate',
  ]
  const { mean } = p.environments(100)
  return `
${table(names, rows)}

Computed. For 100 requests/s, 100 × ${((mean / 100) * 1000).toFixed(1)} ms = ${mean.toFixed(2)} at once. *At most* is exceeded in one of ten thousand moments, when
requests come independently of each other. *Where all start cold* is the rate times ${seconds(p.coldMs().most)}: that many environments a sudden
crowd asks for at most, or a new version that gets all traffic at once.`
}

function memory({ starts }, p) {
  const { arch } = STACK
  const needed = starts.all.peak / MB / ASSUMED.memoryUse
  const rows = MEMORIES.map((memoryMb) => {
    const { compute, cold } = million(p, { memoryMb })
    return [
      `${number(memoryMb)} MB`,
      (memoryMb / QUOTAS.vcpuMb).toFixed(2),
      `${percent(starts.all.peak / MB / memoryMb)}${memoryMb < needed ? ', too much' : ''}`,
      p.warmMs(memoryMb).toFixed(1),
      String(p.billedMs(memoryMb)),
      seconds(p.coldMs(memoryMb).most),
      dollars(compute),
      dollars(cold),
    ]
  })
  const names = [
    '',
    'vCPU',
    'in use at most',
    'warm, ms',
    'billed, ms',
    'cold start',
    'compute, a million',
    'its cold starts',
  ]
  return `
${table(names, rows)}

- **Measured:** the process with all models takes ${megabytes(starts.all.peak)} MiB at most, while it opens them, and ${megabytes(starts.all.busy)} later on. With ${percent(ASSUMED.memoryUse)} in use,
  ${number(Math.ceil(needed / 64) * 64)} MB are the least that is safe. A start on a whole core takes ${seconds(p.coldMs().least)}.
- **Computed:** *warm* and *cold start* are CPU time by the share of a vCPU: the longest to expect. A warm request is so short that it
  may get a whole vCPU for its ${p.cpuMs().toFixed(1)} ms. How much of one a start gets is not documented: between ${seconds(p.coldMs().least)} and what the table says.
  Under a kernel's limit of 0.29 cores it was [measured](../bench/results/cold-start.md), with fewer models. Fetching the image, and models
  from S3, comes on top.
- Up to ${number(QUOTAS.vcpuMb)} MB time falls as the price of it grows, so that a millisecond of CPU costs ${cents(cpuMillion(arch))} a million everywhere. What
  differs is rounding up to whole milliseconds. Above, one thread gains nothing.`
}

function provisioned(p) {
  const one = p.provisioned(1)
  const hundred = p.provisioned(100)
  const { arch } = STACK
  return `
An environment of ${number(STACK.memoryMb)} MB kept ready costs ${cents(one.hour)} an hour (${arch}), ${dollars(one.hour * ASSUMED.hoursPerMonth)} a month, used or not; what it then computes costs less
than otherwise. It saves money where it is busy more than ${percent(one.worthAt)} of the time. But it answers ${QUOTAS.perConcurrency} requests a second at most, and at ${p.billedMs()} ms
each that keeps it busy for ${percent(one.busy)}: **at no rate is it cheaper here; it buys quick first answers**. It takes as many as the higher of the
rate by ${QUOTAS.perConcurrency} and of *at most* above: ${hundred.count} for 100 requests/s, ${dollars(hundred.month)} a month. Two tasks on Fargate are always warm for ${dollars(p.fargate(0).total)}.`
}

function costs(figures, p) {
  const months = (cost) => RATES.map((rate) => dollars(cost(p.month(rate)).total))
  const functions = GATEWAYS.flatMap((gateway) =>
    ARCHITECTURES.map((arch) => [
      `Lambda ${arch}, ${gateway}`,
      dollars(million(p, { arch, gateway }).total),
      ...months((requests) => p.lambda(requests, { arch, gateway })),
    ]),
  )
  const machines = ARCHITECTURES.map((arch) => [
    `Fargate ${arch}, load balancer`,
    '',
    ...months((requests) => p.fargate(requests, { arch })),
  ])
  const names = ['', 'a million', ...RATES.map((rate) => `${number(rate)}/s, a month`)]
  const part = million(p)
  const last = RATES.at(-1)
  const own = p.fargate(p.month(last))
  const keeping = plan(figures, { requestsPerConnection: KEPT_FOR })
  const sizes = RATES.map((rate) => {
    const { count, vcpus, gb } = p.tasks(rate)
    return `at ${number(rate)}/s ${count} of ${vcpus} vCPU and ${gb} GB`
  })
  const borders = GATEWAYS.map((gateway) => `${about(p.breakEven({ gateway }))} with ${article(gateway)}`)
  return `
${table(names, [...functions, ...machines])}

- **A million on Lambda**, ${STACK.arch} and HTTP API: gateway ${dollars(part.gateway)}, logs ${dollars(part.logs)}, requests ${dollars(part.requests)}, cold starts ${dollars(part.cold)}, compute ${dollars(part.compute)}, traffic
  out ${dollars(part.out)}. Model, memory and architecture decide ${percent((part.compute + part.cold) / part.total)} of it.
- **Besides, a month**: what it costs [when nobody asks](#in-short), and the metric, ${dollars(p.fixed(STACK, 1).total)} in all. On Fargate ${dollars(own.fixed)}: ${TASK_STACK.alarms} alarms and
  ${TASK_STACK.scalingAlarms} that scaling makes, ${ASSUMED.images} images. The months above have it in them.
- **Tasks on Fargate**: ${sizes.join(', ')}. None is given more than
  ${percent(ASSUMED.load)} of its highest rate, there are two at least, and if one is lost the others can do its work.
- **${dollars(own.total)} at ${number(last)}/s on Fargate**, ${STACK.arch}: logs ${dollars(own.logs)}, load balancer ${dollars(own.balancer)}, traffic out ${dollars(own.out)}, tasks ${dollars(own.compute)}, addresses ${dollars(own.addresses)}, and what is fixed. The
  load balancer counts connections, here ${ASSUMED.requestsPerConnection} for every request. For callers that keep theirs for ${KEPT_FOR} requests it costs ${dollars(keeping.fargate(keeping.month(last)).balancer)}.
- **Break-even** with Fargate, requests/s on average: ${borders.join(', ')}.
- Scale tasks on \`ALBRequestCountPerTarget\`, not on CPU: small batches cost more a row, so that a task looks busy long before it is full.
  The target for \`${ASSUMED.model}\` is ${about(p.taskRate({ vcpus: 1 }) * 60)} a minute for each vCPU.`
}

function logs({ bytes }, p) {
  const { service, lambda, gateway } = p.logged
  const price = (size) => (size * 1e6 * PRICES.logs.lambda[0][1]) / 2 ** 30
  const all = price(service + lambda + gateway)
  return `
| of a request | bytes | a million |
| --- | ---: | ---: |
| the service's line, \`LOG_LEVEL=info\` (measured) | ${number(service)} | ${dollars(price(service))} |
| Lambda's own lines (by their form) | ${number(lambda)} | ${dollars(price(lambda))} |
| the gateway's access log (by its form) | ${number(gateway)} | ${dollars(price(gateway))} |
| traffic out, an answer of \`${ASSUMED.model}\` with its head (measured) | ${number(bytes.response)} | ${dollars(million(p).out)} |

- Logs cost ${times(all / million(p).compute)} what the compute does. \`LOG_LEVEL=warn\` saves the first line, \`SystemLogLevel: WARN\` the second, which
  the alarm of cold starts reads.
- **Traces are not in the costs above.** X-Ray takes one request a second and ${percent(ASSUMED.tracedShare)} of the others: up to ${dollars(p.traces(1))} a month at 1/s, where
  everything else is ${dollars(p.lambda(p.month(1)).total)}, and ${dollars(p.traces(100))} at 100/s. \`Tracing=Active\` turns it on.`
}

function quotas(p) {
  const cold = (concurrency) => about((concurrency * 1000) / p.coldMs().most)
  const vcpu = p.taskRate({ vcpus: 1 })
  const rows = [
    [
      "the stack's own throttle",
      `${STACK.throttleRate}/s, bursts of ${STACK.throttleBurst}`,
      `${STACK.throttleRate}/s`,
      '`ThrottleRate`, `ThrottleBurst`',
    ],
    [
      'Lambda concurrency of a new account',
      `may be ${QUOTAS.newConcurrency}`,
      `${number(QUOTAS.newConcurrency * QUOTAS.perConcurrency)}/s, ${cold(QUOTAS.newConcurrency)}/s where all start cold`,
      'Service Quotas, `L-B99A9384`',
    ],
    [
      'Lambda concurrency of an account',
      `${number(QUOTAS.concurrency)}, and ${QUOTAS.perConcurrency} requests/s for each`,
      `${number(QUOTAS.concurrency * QUOTAS.perConcurrency)}/s, ${cold(QUOTAS.concurrency)}/s where all start cold`,
      'the same; new versions in steps',
    ],
    [
      'new environments of a function',
      `${number(QUOTAS.environmentsPer10s)} in 10 s`,
      `${number(QUOTAS.environmentsPer10s * QUOTAS.perConcurrency)}/s more in 10 s`,
      'fixed: provision before a crowd',
    ],
    [
      'API Gateway, all APIs of an account',
      `${number(QUOTAS.gatewayRate)}/s, bursts of ${number(QUOTAS.gatewayBurst)}`,
      `${number(QUOTAS.gatewayRate)}/s`,
      'Service Quotas, `L-8A5B8E43`',
    ],
    [
      'Fargate vCPUs of an account',
      `${QUOTAS.fargateVcpus}`,
      `${about(QUOTAS.fargateVcpus * vcpu)}/s`,
      'Service Quotas, `L-3032A538`',
    ],
    [
      'targets of a target group',
      number(QUOTAS.targets),
      `${about(QUOTAS.targets * vcpu)}/s`,
      'Service Quotas',
    ],
  ]
  return textTable(['quota', 'default', `\`${ASSUMED.model}\` reaches it at`, 'raised by'], rows)
}

function users(p) {
  const vcpus = (100 * 1e3) / (ASSUMED.load * 1e6)
  return `
A millisecond of CPU more a request costs ${cents(cpuMillion(STACK.arch) * p.assumed.slowdown)} a million on Lambda, and ${vcpus.toFixed(2)} vCPU for every 100 requests/s on Fargate (computed).`
}

function another(figures, p) {
  const slow = plan(figures, { slowdown: SLOWER })
  const last = RATES.at(-1)
  const row = (name, of) => [name, of(p), of(slow)]
  const rows = [
    row('warm', (q) => `${q.warmMs().toFixed(1)} ms`),
    row('cold start', (q) => seconds(q.coldMs().most)),
    row('a million, HTTP API', (q) => dollars(million(q).total)),
    row(`tasks at ${number(last)}/s`, (q) => `${q.tasks(last).count} × ${q.tasks(last).vcpus} vCPU`),
    row('Fargate then, a month', (q) => dollars(q.fargate(q.month(last)).total)),
    row('break-even, HTTP API', (q) => `${about(q.breakEven())}/s`),
  ]
  const names = [
    `\`${ASSUMED.model}\`, ${number(STACK.memoryMb)} MB`,
    'as measured',
    `${SLOWER} times as slow`,
  ]
  return table(names, rows)
}

function assumptions({ assumed }) {
  const { arch, memoryMb } = STACK
  const further = (memoryMb / 1024) * 1e3 * PRICES.lambda[arch].gbSecond
  return `
- Prices and quotas are those of ${REGION}, ${AS_OF}, without free tiers, taxes and savings plans; a month has ${assumed.hoursPerMonth} hours.
- A vCPU is as fast as the core that was measured (factor ${assumed.slowdown}); Lambda's and Fargate's on x86_64 are hyperthreads. On arm64 nothing was
  measured: the same times are taken.
- A request finds its environment rested, as after being frozen. Lambda's runtime adds ${assumed.runtimeMs} ms to what is billed, and that is rounded up to
  whole milliseconds. A further one costs ${cents(further)} a million.
- One invocation in ${number(1 / assumed.coldShare)} starts an environment, and the start is billed. AWS reports fewer.
- ${ASSUMED.images} images of ${ASSUMED.imageGb} GB, compressed, are kept in ECR. With both stacks they are in the same repository: what they cost is then counted twice.
- Keeping a gigabyte of logs for a month costs ${cents(PRICES.keptGb * ASSUMED.keptShare)}, compressed to ${percent(ASSUMED.keptShare)}, where writing it costs ${dollars(PRICES.logs.lambda[0][1])}: that is left out.
- Load balancer and tasks have public addresses, in ${assumed.zones} zones, which is cheaper than a NAT gateway.
- Lambda's Managed Instances, Fargate Spot and caching before the service are not considered.`
}

/** What the first million requests of a month cost, without what it costs anyway. */
function million(p, options) {
  return p.asked(1e6, options)
}

/** A million milliseconds of CPU, where a vCPU is shared out. */
function cpuMillion(arch) {
  return (QUOTAS.vcpuMb / 1024) * 1e3 * PRICES.lambda[arch].gbSecond
}

function article(gateway) {
  return gateway.startsWith('HTTP') ? `an ${gateway}` : `a ${gateway}`
}

/** A Markdown table of words. */
function textTable(names, rows) {
  return [names, names.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

function served(name) {
  return name === 'all' ? 'all' : `\`${name}\``
}

function number(value) {
  return Math.round(value).toLocaleString('en')
}

function megabytes(bytes) {
  return number(bytes / MB)
}

function percent(share) {
  return `${(100 * share).toFixed(0)} %`
}

function times(ratio) {
  return `${ratio.toFixed(ratio < 10 ? 1 : 0)} times`
}

function seconds(ms) {
  return `${(ms / 1000).toFixed(1)} s`
}

/** Two digits: no figure here is better than that. */
function roughly(value) {
  return Number(value.toPrecision(2))
}

function about(rate) {
  return number(roughly(rate))
}

function dollars(sum) {
  return `$${sum < 100 ? sum.toFixed(2) : number(sum < 10_000 ? sum : Number(sum.toPrecision(3)))}`
}

function cents(sum) {
  return `$${sum.toPrecision(2)}`
}
