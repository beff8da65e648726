import { type Algorithm, FakeClock, type Limit, RateLimiter } from 'ratethrottle'
import { describe, expect, it } from 'vitest'
import { ALGORITHMS } from '../fixtures/algorithms.ts'
import { type Random, randomFor } from '../fixtures/random.ts'

/** Units admitted at an instant. */
type Admission = readonly [at: number, units: number]

/** The bound for a window of the limit's length, [t, t + W), as docs/concepts/guarantees.md states it. */
function bound(algorithm: Algorithm, count: number, burst: number): number {
  switch (algorithm) {
    case 'token-bucket':
    case 'leaky-bucket':
      return burst + count - 1
    case 'sliding-window':
      return 2 * count - 1
    case 'sliding-log':
      return count
    case 'fixed-window':
      return 2 * count
  }
}

function most(admissions: readonly Admission[], windowMs: number): number {
  let [best, sum, first] = [0, 0, 0]
  for (const [at, units] of admissions) {
    sum += units
    for (let oldest = admissions[first]; oldest !== undefined && at - oldest[0] >= windowMs; ) {
      sum -= oldest[1]
      first += 1
      oldest = admissions[first]
    }
    best = Math.max(best, sum)
  }
  return best
}

interface Subject {
  readonly limiter: RateLimiter
  readonly clock: FakeClock
  readonly limit: Limit
  readonly burst: number
}

function subject(random: Random, algorithm: Algorithm): Subject {
  const clock = new FakeClock(random.integer(0, 10_000))
  const limit = {
    count: random.integer(2, 40),
    windowMs: random.pick([50, 60, 333, 1_000, 60_000]),
  }
  const bursting = algorithm === 'token-bucket' || algorithm === 'leaky-bucket'
  const burst = bursting ? random.integer(1, limit.count + 30) : limit.count
  const options = bursting ? { algorithm, burst } : { algorithm }
  return {
    limiter: new RateLimiter(limit, { ...options, clock, capacity: 8 }),
    clock,
    limit,
    burst,
  }
}

/** Takes all units that are free. */
function drain({ limiter, clock }: Subject): Admission {
  const { remaining } = limiter.peek('k')
  if (remaining > 0) limiter.consume('k', remaining)
  return [clock.now(), remaining]
}

describe.each(ALGORITHMS)('%s', (algorithm) => {
  it('admits no more in any window than its bound, for any keys and times', () => {
    const random = randomFor(`${algorithm} bound`)
    for (let round = 0; round < 300; round++) {
      const asked = subject(random, algorithm)
      const { count, windowMs } = asked.limit
      const admissions: Admission[] = []
      const greed = random.next()
      for (let step = 0; step < 200; step++) {
        if (random.chance(greed)) admissions.push(drain(asked))
        else if (asked.limiter.allow('k')) admissions.push([asked.clock.now(), 1])
        const wait = asked.limiter.peek('k').retryAfterMs
        const pause = [
          0,
          wait,
          windowMs - 1,
          random.integer(0, windowMs),
          Math.ceil(windowMs / count),
        ]
        asked.clock.advance(random.pick(pause))
      }
      expect(most(admissions, windowMs)).toBeLessThanOrEqual(bound(algorithm, count, asked.burst))
    }
  })

  it('has a tight bound: an attacker can reach it', () => {
    const random = randomFor(`${algorithm} attack`)
    for (let round = 0; round < 50; round++) {
      const asked = subject(random, algorithm)
      const { count, windowMs } = asked.limit
      const taken = most(attack(algorithm, asked), windowMs)
      expect(taken).toBeGreaterThanOrEqual(worst(algorithm, asked.burst, count, windowMs))
    }
  })
})

/** The least number of units that the attack below gets. */
function worst(algorithm: Algorithm, burst: number, count: number, windowMs: number): number {
  switch (algorithm) {
    case 'token-bucket':
    case 'leaky-bucket':
      return burst + Math.floor((windowMs - 1) / pauseOf(burst, count, windowMs))
    case 'sliding-window':
      return Math.floor(1.5 * count)
    case 'sliding-log':
      return count
    case 'fixed-window':
      return 2 * count - 1
  }
}

/** A bucket of one unit is full again somewhere between two looks at it, and what comes until then is lost. */
function pauseOf(burst: number, count: number, windowMs: number): number {
  const step = Math.max(1, Math.floor(windowMs / 1_000))
  const unit = windowMs / count
  return burst > 1 ? unit : Math.ceil(unit / step) * step
}

/** Saves up to the worst moment, then takes all there is in every millisecond of one window. */
function attack(algorithm: Algorithm, asked: Subject): Admission[] {
  const { limiter, clock, limit } = asked
  const { windowMs } = limit
  const admissions: Admission[] = []
  if (algorithm === 'fixed-window') {
    // Opens the window with one unit, and takes the rest at its very end.
    limiter.consume('k')
    clock.advance(windowMs - 1)
  } else {
    // The last millisecond of an aligned bucket.
    clock.advance(2 * windowMs - (clock.now() % windowMs) - 1)
  }
  const end = clock.now() + windowMs
  const step = Math.max(1, Math.floor(windowMs / 1_000))
  for (; clock.now() < end - 1; clock.advance(Math.min(step, end - 1 - clock.now()))) {
    admissions.push(drain(asked))
  }
  admissions.push(drain(asked))
  return admissions
}
