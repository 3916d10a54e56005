import { readFileSync } from 'node:fs'
import t from 'tap'
import { build, postTo } from './fixtures/build.js'

// What the threat model says of typings that nobody typed. None of this is a fault that could be mended here: it is what
// a comparison of timings can't tell, and this holds the page to what was seen.
const page = readFileSync(new URL('../docs/security/threat-model.md', import.meta.url), 'utf8')
const KEYS = 13
const HOLD_MS = 95
const GAP_MS = 180

/** The same numbers in every run, between 0 and 1. */
function numbers(seed: number) {
  let state = seed
  return () => {
    state = (state * 48271) % (2 ** 31 - 1)
    return state / 2 ** 31
  }
}

/** The logarithms of the 13 hold times and of the 12 press-press times. */
type Typing = readonly number[]
const START: Typing = Array.from({ length: 2 * KEYS - 1 }, (_, i) => Math.log(i < KEYS ? HOLD_MS : GAP_MS))

function keystrokes(typing: Typing) {
  let press = 0
  return Array.from({ length: KEYS }, (_, i) => {
    if (i > 0) press += Math.exp(typing[KEYS + i - 1] as number)
    return { press, release: press + Math.exp(typing[i] as number) }
  })
}

/**
 * The simplest attack there is: change some times at random, keep what the answer calls better.
 * @param rate how good a typing is, or that it is good enough
 * @returns how many typings it took; Infinity where `most` were not enough
 */
async function climb(most: number, rate: (typing: Typing) => Promise<number | 'enough'>) {
  const random = numbers(1)
  // Near enough to a normal distribution.
  const about0 = (deviation: number) => 2 * deviation * (random() + random() + random() - 1.5)
  let best = START
  let height = Number.NEGATIVE_INFINITY
  for (let asked = 1; asked <= most; asked++) {
    // Far away everything may be another way; once it is near, little is.
    const change = () => (height < 0 ? about0(0.3) : random() < 0.2 ? about0(0.2) : 0)
    const tried = asked === 1 ? START : best.map((time) => time + change())
    const rated = await rate(tried)
    if (rated === 'enough') return asked
    if (rated > height) {
      height = rated
      best = tried
    }
  }
  return Number.POSITIVE_INFINITY
}

const USERS = Array.from({ length: 22 }, (_, i) => 5 * (i + 1))

t.test('a typing that was recorded is taken as often as it is sent', async (t) => {
  const post = postTo(build(t))
  const typing = { keystrokes: keystrokes(START) }
  const [first, again] = [await post('/predict/best', typing), await post('/predict/best', typing)]
  t.equal(first.statusCode, 200)
  t.equal(again.body, first.body)
})

t.test('a script that types evenly can be known, and every such typing has its warning', async (t) => {
  const post = postTo(build(t))
  let typings = 0
  let known = 0
  for (let gap = 60; gap <= 400; gap += 20) {
    for (let hold = 30; hold <= 200; hold += 20) {
      const even = Array.from({ length: KEYS }, (_, i) => ({ press: gap * i, release: gap * i + hold }))
      const { decision, quality } = (await post('/predict/best', { keystrokes: even })).json()
      t.ok(quality.includes('too-regular'))
      typings++
      if (decision === 'known') known++
    }
  }
  const [, told = ''] = /(\d+) of \d+ even typings/.exec(page) ?? []
  t.match(page, `of ${typings} even typings`)
  t.ok(Math.abs(known - Number(told)) <= typings / 50, `${known} of ${typings} are known`)
})

t.test('whoever sees the score of claims climbs it until they match', async (t) => {
  const post = postTo(build(t, { VERIFY_FAILURES: '0' }))
  const claims: number[] = []
  for (const user of USERS) {
    const rate = async (typing: Typing) => {
      const { match, score } = (await post('/verify/best', { user, keystrokes: keystrokes(typing) })).json()
      return match ? 'enough' : score
    }
    claims.push(await climb(1000, rate))
  }
  told(t, 'by the score of claims', claims)
})

t.test('whoever sees candidates and confidence gets to a claim that matches by predictions', async (t) => {
  const post = postTo(build(t))
  const predictions: number[] = []
  for (const user of USERS) {
    const rate = async (typing: Typing) => {
      const body = { keystrokes: keystrokes(typing) }
      const { candidates, decision, confidence } = (await post('/predict/best?top=5', body)).json()
      const place = candidates.findIndex((candidate: { user: number }) => candidate.user === user)
      if (place !== 0) return place < 0 ? -1 : 5 - place
      if (decision === 'unknown') return 10 + confidence
      const { match } = (await post('/verify/best', { user, ...body })).json()
      return match ? 'enough' : 10 + confidence
    }
    predictions.push(await climb(500, rate))
  }
  told(t, 'by predictions', predictions)
})

/** Runs on another machine differ a little, and then climb another way: the order of size is what is told. */
function told(t: Pick<typeof import('tap').default, 'ok'>, how: string, asked: number[]) {
  const sorted = asked.toSorted((a, b) => a - b)
  const median = sorted[Math.floor(sorted.length / 2)] as number
  const reached = sorted.filter(Number.isFinite).length
  const row = new RegExp(`\\| ${how} \\| (\\d+) of ${USERS.length} \\| (\\d+) \\|`)
  const [, users, middle] = (row.exec(page) ?? []).map(Number) as [number, number, number]
  t.ok(Math.abs(reached - users) <= 3, `${reached} users were reached`)
  t.ok(median > middle / 2 && median < middle * 2, `the median is ${median}, all are ${sorted}`)
}
