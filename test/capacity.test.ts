import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const text = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')
const { report, scaling, manual, stack, taskStack, checks } = worked()

/** What the bench makes of what was measured, in a process of its own: it is no part of the coverage of src. */
function worked() {
  const script = `
    const { readFileSync } = await import('node:fs')
    const { capacityReport, manualBlocks, scalingBlocks, withBlocks } = await import('./bench/lib/capacity-report.mjs')
    const { atMost, plan, tiered } = await import('./bench/lib/plan.mjs')
    const { PRICES, STACK, TASK_STACK } = await import('./bench/lib/prices.mjs')
    const figures = JSON.parse(readFileSync('bench/results/capacity.json', 'utf8'))
    const { asked, breakEven, byHand, fargate, fixed, lambda, month } = plan(figures)
    const atBreakEven = month(breakEven())
    console.log(JSON.stringify({
      report: capacityReport(figures),
      scaling: withBlocks(readFileSync('docs/scaling.md', 'utf8'), scalingBlocks(figures)),
      manual: withBlocks(readFileSync('docs/aws-by-hand.md', 'utf8'), manualBlocks(figures)),
      stack: STACK,
      taskStack: TASK_STACK,
      checks: {
        tiers: tiered(400e6, PRICES.gateway['HTTP API']),
        atMost: [0, 1, 100, 10_000].map(atMost),
        fixed: [lambda(0).total, lambda(1e6).total - asked(1e6).total, fixed(TASK_STACK).total],
        parts: [byHand(1e6), asked(1e6)],
        costs: [lambda(atBreakEven).total, fargate(atBreakEven).total],
      },
    }))
  `
  const root = fileURLToPath(new URL('..', import.meta.url))
  // tap gives every process of Node the options that count coverage: they are taken away behind its back.
  const args = ['-u', 'NODE_OPTIONS', process.execPath, '--input-type=module', '--eval', script]
  return JSON.parse(execFileSync('env', args, { cwd: root, encoding: 'utf8' }))
}

t.test('the figures in the docs are those that follow from what was measured', async (t) => {
  t.equal(text('docs/scaling.md'), scaling, 'else: node bench/capacity.mjs --plan --write')
  t.equal(text('docs/aws-by-hand.md'), manual, 'else: node bench/capacity.mjs --plan --write')
  t.equal(text('bench/results/capacity.md'), report, 'else: node bench/capacity.mjs --plan --write')
})

t.test('the plan is for the stacks as they are by default', async (t) => {
  const template = text('deploy/service.yaml')
  const fallback = (parameter: string) =>
    new RegExp(`^  ${parameter}:\\n(?:    .+\\n)*?    Default: (\\S+)$`, 'm').exec(template)?.[1]
  t.same(stack, {
    memoryMb: Number(fallback('MemorySize')),
    arch: fallback('Architecture'),
    throttleRate: Number(fallback('ThrottleRate')),
    throttleBurst: Number(fallback('ThrottleBurst')),
    alarms: made(template, 'CloudWatch::Alarm'),
    metrics: made(template, 'Logs::MetricFilter'),
  })
  const tasks = text('deploy/fargate/service.yaml')
  t.same(taskStack, {
    alarms: made(tasks, 'CloudWatch::Alarm'),
    // One for more, one for less.
    scalingAlarms: 2 * made(tasks, 'ApplicationAutoScaling::ScalingPolicy'),
  })
  // These would be metrics of one's own, which are paid for each.
  t.notMatch(template, 'DetailedMetricsEnabled: true')
})

t.test('its arithmetic is right where the answer is known', async (t) => {
  t.equal(checks.tiers.toFixed(6), '390.000000', 'the first 300 million at $1, the others at $0.90')
  // Tables of the Poisson distribution; of many, 3.72 standard deviations.
  t.same(checks.atMost, [0, 6, 139, 10_372])
  // Five alarms at 10 cents, ten images of 0.13 GB at 10 cents each; with requests a metric at 30 cents.
  t.same(
    checks.fixed.map((sum: number) => sum.toFixed(4)),
    ['0.6300', '0.9300', '0.6300'],
  )
  const [byHand, asked] = checks.parts
  t.ok(byHand.logs < asked.logs, 'less is logged without an access log')
  t.same({ ...byHand, logs: 0, total: 0 }, { ...asked, logs: 0, total: 0 })
  const [lambda, fargate] = checks.costs
  t.ok(Math.abs(lambda / fargate - 1) < 0.01, 'at the break-even rate both cost the same')
})

/** How many resources of a type a template has. */
function made(template: string, type: string): number {
  return template.split(`Type: AWS::${type}\n`).length - 1
}
