import t from 'tap'
import { Admission } from '../src/admission.js'

/** What a request costs that is served, and one that is refused, ms; and how many are run in a turn. */
const SERVE = 0.13
const REFUSE = 0.013
const BATCH = 32

/** A process whose time passes only with what it does. */
function simulate({ serve = SERVE, refuse = REFUSE, batch = BATCH, overloadMs = 10, clockStep = 0 } = {}) {
  let now = 1000
  let cpu = 0
  let waiting = 0
  let refused = 0
  let served = 0
  const admission = new Admission({
    overloadMs,
    clock: () => now,
    cpu: () => (clockStep ? clockStep * Math.floor(cpu / clockStep) : cpu),
  })

  function work(ms: number): void {
    now += ms
    cpu += ms
  }

  return {
    admission,
    now: () => now,
    counts: () => ({ served, refused }),
    /** The process waits, or others have the processor. */
    pass(ms: number): void {
      now += ms
    },
    /** So many requests are there at once. @returns how many of them were refused */
    turn(requests: number, { followed = true, stopped = 0 } = {}): number {
      admission.begin(waiting)
      let admitted = 0
      for (let i = 0; i < requests; i++) if (admission.admit()) admitted++
      waiting += admitted
      const done = Math.min(waiting, batch)
      waiting -= done
      served += done
      refused += requests - admitted
      now += stopped
      // Half of what a request costs is reading it.
      work(((admitted + done) * serve) / 2 + (requests - admitted) * refuse)
      admission.end({ waiting, followed: followed || waiting > 0 })
      return requests - admitted
    },
  }
}

type Process = ReturnType<typeof simulate>

/** Requests come evenly, over so many connections at most. @returns how long the turns took, ms */
function openLoop(process: Process, perMs: number, ms: number, connections = 1024): number[] {
  const end = process.now() + ms
  const turns: number[] = []
  for (let due = 1; process.now() < end; ) {
    const before = process.now()
    // Where nothing is there yet it waits for one.
    if (due < 1) process.pass((1 - due) / perMs)
    const requests = Math.max(1, Math.min(Math.floor(due), connections))
    const began = process.now()
    process.turn(requests, { followed: due >= 2 })
    turns.push(process.now() - began)
    due = Math.min(due - requests + (process.now() - before) * perMs, connections)
  }
  return turns
}

/** So many callers each ask again when they have their answer, be it a refusal. */
function closedLoop(process: Process, callers: number, ms: number): void {
  const end = process.now() + ms
  let ready = callers
  while (process.now() < end) {
    const before = process.counts()
    const refused = process.turn(ready)
    ready = process.counts().served - before.served + refused
  }
}

const CAPACITY = 1 / SERVE

t.test('what can be answered is served, up to the last', async (t) => {
  const process = simulate()
  openLoop(process, 0.9 * CAPACITY, 20_000)
  t.equal(process.counts().refused, 0)
  t.notOk(process.admission.overloaded)
})

t.test('a thousand requests at once after a rest are served, again and again', async (t) => {
  const process = simulate()
  for (let i = 0; i < 50; i++) {
    process.pass(500)
    process.turn(1000, { followed: false })
    // They are worked off, while others come.
    for (let turn = 0; turn < 40; turn++) process.turn(3)
  }
  t.equal(process.counts().refused, 0)
})

t.test(
  'callers that wait for their answers saturate it and are served: 64, however slow it is',
  async (t) => {
    for (const serve of [SERVE, 1]) {
      const process = simulate({ serve })
      closedLoop(process, 64, 30_000)
      t.equal(process.counts().refused, 0)
    }
  },
)

t.test('one long stop is no overload', async (t) => {
  const process = simulate()
  for (let i = 0; i < 20; i++) {
    openLoop(process, 0.3 * CAPACITY, 2000)
    process.turn(4, { stopped: 300 })
    // All that has come meanwhile.
    process.turn(Math.floor(300 * 0.3 * CAPACITY))
  }
  t.equal(process.counts().refused, 0)
})

t.test(
  'at twice what it can do it soon refuses, and does nearly as much as before in short turns',
  async (t) => {
    const process = simulate()
    openLoop(process, 2 * CAPACITY, 400)
    t.ok(process.admission.overloaded)
    const before = process.counts()
    const turns = openLoop(process, 2 * CAPACITY, 1500)
    const { served, refused } = process.counts()
    const goodput = (served - before.served) / (1500 * CAPACITY)
    t.ok(goodput > 0.85, `${goodput.toFixed(3)} of the peak`)
    t.ok(refused > before.refused)
    const longest = Math.max(...turns)
    t.ok(longest < 5, `${longest.toFixed(1)} ms`)
  },
)

t.test('where refusals are dear it serves what is left, and does not take serving for dearer', async (t) => {
  for (const share of [0.05, 0.25, 0.4]) {
    const process = simulate({ refuse: share * SERVE })
    openLoop(process, 2 * CAPACITY, 1000)
    const before = process.counts().served
    const turns = openLoop(process, 2 * CAPACITY, 1500)
    const served = process.counts().served - before
    t.ok(served / turns.length > 0.9 * (2.5 / SERVE), `${served / turns.length} in a turn`)
    const goodput = served / (1500 * CAPACITY)
    // All that comes is read; what is served and what is refused take all the time.
    const possible = (1 - 2 * share) / (1 - share)
    t.ok(goodput > 0.93 * possible, `${goodput.toFixed(3)} of ${possible.toFixed(3)}`)
  }
})

t.test('a clock of the CPU that is coarser than a turn does not keep it from refusing', async (t) => {
  const process = simulate({ clockStep: 10 })
  const turns = openLoop(process, 2 * CAPACITY, 3000)
  const { served, refused } = process.counts()
  t.ok(refused > 0.3 * served, `${refused} refused, ${served} served`)
  t.ok(Math.max(...turns.slice(turns.length / 2)) < 50)
})

t.test('at twenty times what it can do it serves some yet', async (t) => {
  const process = simulate({ serve: 0.5 })
  openLoop(process, 40, 10_000)
  const { served } = process.counts()
  t.ok(served > 2000, `${served}`)
})

t.test('a second after the last refusal all are admitted again', async (t) => {
  const process = simulate()
  openLoop(process, 2 * CAPACITY, 1000)
  t.ok(process.admission.overloaded)
  const { refused } = process.counts()
  process.pass(990)
  t.ok(process.admission.overloaded)
  process.pass(11)
  t.notOk(process.admission.overloaded, 'also where nobody asks any more')
  t.equal(process.turn(500, { followed: false }), 0)
  openLoop(process, 0.5 * CAPACITY, 10_000)
  t.equal(process.counts().refused, refused)
})

t.test('callers that ask again at once are let in together now and then, and stay if they fit', async (t) => {
  const process = simulate()
  openLoop(process, 2 * CAPACITY, 1000)
  t.ok(process.admission.overloaded)
  closedLoop(process, 64, 4000)
  const { refused } = process.counts()
  closedLoop(process, 64, 20_000)
  t.equal(process.counts().refused, refused)
  t.notOk(process.admission.overloaded)
})

t.test('trials become rarer where they fail, and cost one answer in a hundred at most', async (t) => {
  const process = simulate()
  openLoop(process, 2 * CAPACITY, 400)
  const turns = openLoop(process, 2 * CAPACITY, 60_000)
  const long = turns.filter((ms) => ms > 8).reduce((sum, ms) => sum + ms, 0)
  t.ok(long > 0, 'there are some')
  t.ok(long < 600, `${long.toFixed(0)} ms in turns that were long`)
})

t.test('few requests that take long each are served', async (t) => {
  const process = simulate({ serve: 50, batch: 8 })
  closedLoop(process, 8, 60_000)
  t.equal(process.counts().refused, 0)
})

t.test('more of these than can be answered soon are not', async (t) => {
  const process = simulate({ serve: 50, batch: 8 })
  closedLoop(process, 64, 60_000)
  t.ok(process.counts().refused > 0)
})

t.test('after a stop it makes up for some of what has come meanwhile', async (t) => {
  const process = simulate()
  openLoop(process, 2 * CAPACITY, 1000)
  const usual = 500 - process.turn(500)
  process.turn(40, { stopped: 75 })
  const after = 500 - process.turn(500)
  t.ok(after > 2 * usual, `${after} instead of ${usual}`)
})
