import { type Algorithm, type Decision, FakeClock, RateLimiter } from 'ratethrottle'
import { describe, expect, it } from 'vitest'
import { ALGORITHMS } from '../fixtures/algorithms.ts'
import { byLength } from '../fixtures/long.ts'
import { type Random, randomFor } from '../fixtures/random.ts'
import { limiterOf, randomTerms } from '../fixtures/walk.ts'

const ROUNDS = byLength(500, 2_000)
const KEY = 'k'

/** A limiter after random calls, some at fractions of a millisecond. */
function used(random: Random, algorithm: Algorithm): [RateLimiter, FakeClock] {
  const terms = { ...randomTerms(random, algorithm, 2), blockForMs: 0 }
  const clock = new FakeClock(random.next() * 1e6)
  const limiter = limiterOf(terms, clock)
  const { count, windowMs } = random.pick(limiter.limits)
  for (let i = random.integer(0, 12); i > 0; i--) {
    limiter.allow(KEY, random.integer(1, Math.ceil(count / 2)))
    clock.advance(random.next() * random.pick([0, windowMs / count, windowMs / 3, windowMs]))
  }
  return [limiter, clock]
}

describe.each(ALGORITHMS)('%s', (algorithm) => {
  it('admits a key after exactly retryAfterMs, and not a millisecond earlier', () => {
    const random = randomFor(`${algorithm} waits`)
    let waited = 0
    for (let round = 0; round < ROUNDS; round++) {
      const [limiter, clock] = used(random, algorithm)
      const most = Math.min(...limiter.limits.map((limit) => limit.burst ?? limit.count))
      const cost = random.integer(1, most)
      const { allowed, retryAfterMs } = limiter.peek(KEY, cost)
      if (allowed) continue
      clock.advance(retryAfterMs - 1)
      expect(limiter.peek(KEY, cost)).toMatchObject({ allowed: false, retryAfterMs: 1 })
      clock.advance(1)
      expect(limiter.allow(KEY, cost)).toBe(true)
      waited++
    }
    expect(waited).toBeGreaterThan(ROUNDS / 10)
  })

  it('admits exactly `remaining` single units', () => {
    const random = randomFor(`${algorithm} remaining`)
    for (let round = 0; round < ROUNDS / 4; round++) {
      const [limiter] = used(random, algorithm)
      const { remaining } = limiter.peek(KEY)
      // All but a few in one go, or a limit of a million would take a million calls.
      const few = Math.min(remaining, 20)
      if (remaining > few) limiter.consume(KEY, remaining - few)
      for (let left = few - 1; left >= 0; left--) {
        expect(limiter.check(KEY)).toMatchObject({ allowed: true, remaining: left })
      }
      expect(limiter.check(KEY)).toMatchObject({ allowed: false, remaining: 0 })
    }
  })

  it('is not changed by a denial, a peek, a cost of 0 or a cost above the limit', () => {
    const random = randomFor(`${algorithm} denials`)
    for (let round = 0; round < ROUNDS / 10; round++) {
      const [first, second] = twins(random, algorithm)
      first.disturb = (limiter): void => {
        limiter.peek(KEY, random.integer(0, 50))
        expect(limiter.check(KEY, 2 ** 40)).toMatchObject({ retryAfterMs: Infinity })
        limiter.allow(KEY, 0)
        if (!limiter.peek(KEY, 3).allowed) expect(limiter.allow(KEY, 3)).toBe(false)
      }
      agree(random, first, second)
    }
  })

  it('is after a refund as it was before the charge', () => {
    const random = randomFor(`${algorithm} refunds`)
    for (let round = 0; round < ROUNDS / 10; round++) {
      const [first, second] = twins(random, algorithm)
      first.disturb = (limiter): void => {
        const units = random.integer(1, 3)
        if (limiter.allow(KEY, units)) limiter.refund(KEY, units)
      }
      agree(random, first, second)
    }
  })

  it('never has more units than a new key, after any refunds', () => {
    const random = randomFor(`${algorithm} gifts`)
    for (let round = 0; round < ROUNDS / 10; round++) {
      const [limiter] = used(random, algorithm)
      const fresh = limiter.peek('fresh').remaining
      limiter.refund(KEY, random.pick([1, 1_000_000, 2 ** 53 - 1]))
      expect(limiter.peek(KEY).remaining).toBeLessThanOrEqual(fresh)
      limiter.refund('fresh', 5)
      expect(limiter.peek('fresh').remaining).toBe(fresh)
    }
  })

  it('treats a key as new once its windows are over', () => {
    const random = randomFor(`${algorithm} idle`)
    const counts = algorithm === 'sliding-log' ? [3, 1_000, 10_000] : [3, 1_000, 1_000_000]
    for (const count of counts) {
      for (let round = 0; round < ROUNDS / 20; round++) {
        // A power of two, about: where a time kept modulo one would come round again.
        const idle = 120_000 + 2 ** random.integer(0, 38) + random.integer(-3, 3)
        const clock = new FakeClock(random.integer(0, 2 ** 40))
        const limits = { count, windowMs: 60_000 }
        const limiter = new RateLimiter(limits, { algorithm, clock, capacity: 1 })
        limiter.consume(KEY, count)
        clock.advance(idle)
        expect(limiter.peek(KEY), `${count} per minute, ${idle} ms later`).toMatchObject(FRESH)
        limiter.close()
      }
    }
  })
})

const FRESH = { allowed: true, resetMs: 0, retryAfterMs: 0 }

/** Two limiters with the same terms and history; one of them gets further calls in between. */
interface Twin {
  readonly limiter: RateLimiter
  readonly clock: FakeClock
  disturb: (limiter: RateLimiter) => void
}

function twins(random: Random, algorithm: Algorithm): [Twin, Twin] {
  const terms = { ...randomTerms(random, algorithm, 3), blockForMs: 0 }
  const twin = (): Twin => {
    const clock = new FakeClock(1_000)
    return { limiter: limiterOf(terms, clock), clock, disturb: () => undefined }
  }
  return [twin(), twin()]
}

function agree(random: Random, first: Twin, second: Twin): void {
  for (let step = 0; step < 50; step++) {
    const { count, windowMs } = random.pick(first.limiter.limits)
    const ms = random.chance(0.5) ? 0 : random.next() * random.pick([windowMs / count, windowMs])
    const cost = random.integer(1, Math.ceil(count / 4))
    const answers = [first, second].map(({ limiter, clock, disturb }): Decision => {
      clock.advance(ms)
      disturb(limiter)
      return limiter.check(KEY, cost)
    })
    expect(answers[0]).toEqual(answers[1])
  }
}
