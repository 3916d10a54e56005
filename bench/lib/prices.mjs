// What docs/scaling.md is worked out with, beside what was measured: what AWS publishes, and what had to be assumed.
// Everything of that kind stands here. Prices are dollars, quotas are defaults.

export const AS_OF = '2026-11'
export const REGION = 'us-east-1'

const ALL = Number.POSITIVE_INFINITY
const TB = 1024

/** Lists of `[up to, price each]` are tiers of a month. GB are of 2^30 bytes. */
export const PRICES = {
  lambda: {
    request: 0.2e-6,
    arm64: { gbSecond: 13.3334e-6, provisioned: { gbSecond: 3.3334e-6, busy: 7.7778e-6 } },
    x86_64: { gbSecond: 16.6667e-6, provisioned: { gbSecond: 4.1667e-6, busy: 9.7222e-6 } },
  },
  gateway: {
    'HTTP API': [
      [300e6, 1e-6],
      [ALL, 0.9e-6],
    ],
    'REST API': [
      [333e6, 3.5e-6],
      [1e9, 2.8e-6],
      [20e9, 2.38e-6],
      [ALL, 1.51e-6],
    ],
    'function URL': [[ALL, 0]],
  },
  fargate: {
    arm64: { vcpuHour: 0.03238, gbHour: 0.00356 },
    x86_64: { vcpuHour: 0.04048, gbHour: 0.004445 },
  },
  balancer: { hour: 0.0225, lcuHour: 0.008 },
  addressHour: 0.005,
  // Those of a function and of its gateway have tiers; those of a task are a custom log, which has none.
  logs: {
    lambda: [
      [10 * TB, 0.5],
      [30 * TB, 0.25],
      [50 * TB, 0.1],
      [ALL, 0.05],
    ],
    fargate: [[ALL, 0.5]],
  },
  out: [
    [10 * TB, 0.09],
    [50 * TB, 0.085],
    [150 * TB, 0.07],
    [ALL, 0.05],
  ],
  trace: 5e-6,
  // A month each: an alarm on one metric, a metric of one's own, and a gigabyte of images in ECR.
  alarm: 0.1,
  metric: 0.3,
  storedGb: 0.1,
  // Of logs, as CloudWatch keeps them.
  keptGb: 0.03,
}

export const QUOTAS = {
  /** Memory with which a function has one vCPU; less has its share of one. */
  vcpuMb: 1769,
  concurrency: 1000,
  newConcurrency: 10,
  /** Requests a second for each unit of concurrency, of the account or provisioned. */
  perConcurrency: 10,
  environmentsPer10s: 1000,
  gatewayRate: 10_000,
  gatewayBurst: 5000,
  fargateVcpus: 6,
  targets: 1000,
}

/** What one load balancer's capacity unit (LCU) holds. */
export const LCU = { newConnections: 25, connections: 3000, gbPerHour: 1 }

/** Of Fargate, each with the least memory that it is sold with. */
export const TASKS = [
  { vcpus: 0.25, gb: 0.5 },
  { vcpus: 0.5, gb: 1 },
  { vcpus: 1, gb: 2 },
]

export const ASSUMED = {
  /** How many times as long a vCPU takes as the core that was measured, on either architecture. */
  slowdown: 1,
  /** What Lambda's own runtime adds to a billed duration, ms. */
  runtimeMs: 1,
  /** One in a hundred invocations starts an environment: AWS says that it is fewer. */
  coldShare: 0.01,
  /** The share of its highest rate that a task is given: see the README, "How fast it is". */
  load: 0.7,
  /** The share of a function's memory that may be in use at most. */
  memoryUse: 0.7,
  hoursPerMonth: 730,
  /** Requests on one connection to the load balancer: 1 where every user's device opens its own. */
  requestsPerConnection: 1,
  /** How long a client keeps a connection open that it has done with: the load balancer's idle timeout. */
  idleSeconds: 60,
  /** Zones, each with a public address of the load balancer. */
  zones: 2,
  /** What X-Ray samples by default beside one request a second. */
  tracedShare: 0.05,
  /** Images in the repository, and how large one is there, compressed, GB; layers that they share are counted in each. */
  images: 10,
  imageGb: 0.13,
  /** To how much of it CloudWatch compresses what it keeps. */
  keptShare: 0.15,
  model: 'best',
}

/** The defaults of deploy/service.yaml, and how many alarms and metrics it makes; a test holds them against it. */
export const STACK = {
  memoryMb: 1769,
  arch: 'x86_64',
  throttleRate: 100,
  throttleBurst: 200,
  alarms: 5,
  metrics: 1,
}

/** What deploy/fargate/service.yaml makes: its own alarms, and the two that its scaling policy makes by itself. */
export const TASK_STACK = { alarms: 3, scalingAlarms: 2 }

const ID = '00000000-0000-4000-8000-000000000000'
const TIME = '2026-11-26T12:00:00.000Z'
const FUNCTION = 'keystroke_based_user_recognition'

/** What is logged of an invocation beside the service's own line: in the forms that deploy/service.yaml asks for, and as text. */
export const LINES = {
  lambda: [
    {
      time: TIME,
      type: 'platform.start',
      record: {
        requestId: ID,
        functionArn: `arn:aws:lambda:us-east-1:123456789012:function:${FUNCTION}`,
        version: '$LATEST',
      },
    },
    {
      time: TIME,
      type: 'platform.report',
      record: {
        requestId: ID,
        metrics: { durationMs: 2.345, billedDurationMs: 3, memorySizeMB: 1769, maxMemoryUsedMB: 150 },
        status: 'success',
      },
    },
  ],
  // The form of a function that asks for none.
  text: [
    `START RequestId: ${ID} Version: $LATEST`,
    `END RequestId: ${ID}`,
    `REPORT RequestId: ${ID}\tDuration: 2.35 ms\tBilled Duration: 3 ms\tMemory Size: 1769 MB\tMax Memory Used: 150 MB\t`,
  ],
  gateway: [
    {
      time: '26/Nov/2026:12:00:00 +0000',
      requestId: 'JKJaXmPLvHcESHA=',
      lambdaRequestId: ID,
      ip: '192.0.2.123',
      method: 'POST',
      route: 'ANY /{proxy+}',
      path: '/default/predict/best',
      status: '200',
      bytes: '214',
      latency: '12',
      lambdaLatency: '10',
      error: '-',
      lambdaError: '-',
    },
  ],
}
