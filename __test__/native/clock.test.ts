import { RateLimiter } from 'ratethrottle'
import { describe, expect, it } from 'vitest'
import { ALGORITHMS } from '../fixtures/algorithms.ts'

// Everything else runs on a clock that stands still. This runs on the system's, whose rough reading decides
// most calls of `allow` and whose exact one those of `check`.

const COUNT = 1_000
const WINDOW = 250

interface Drained {
  readonly admitted: number
  /** The time it took at most and at least, in milliseconds. */
  readonly longest: number
  readonly shortest: number
}

/** Calls without a pause for about `ms` milliseconds. */
function drain(ask: () => boolean, ms: number): Drained {
  const start = performance.now()
  let admitted = ask() ? 1 : 0
  const first = performance.now()
  let last = first
  // A bucket that is full while this process stands still gets no more.
  let lost = 0
  while (last - start < ms) {
    for (let i = 0; i < 50; i++) if (ask()) admitted++
    while (ask()) admitted++
    const now = performance.now()
    lost += Math.max(0, now - last - WINDOW / 2)
    last = now
  }
  // All units that are free by now are taken, also after a pause of this process.
  while (ask()) admitted++
  return { admitted, longest: performance.now() - start, shortest: last - first - lost }
}

describe.each(['token-bucket', 'leaky-bucket'] as const)('%s on the real clock', (algorithm) => {
  const ways = {
    allow: (limiter: RateLimiter) => limiter.allow('k'),
    check: (limiter: RateLimiter) => limiter.check('k').allowed,
    'allow and check by turns': (limiter: RateLimiter) =>
      limiter.peek('k').remaining % 2 === 0 ? limiter.allow('k') : limiter.check('k').allowed,
  }
  it.each(Object.entries(ways))('admits at its rate, by %s', (_, ask) => {
    const limiter = new RateLimiter({ count: COUNT, windowMs: WINDOW }, { algorithm })
    const { admitted, longest, shortest } = drain(() => ask(limiter), 400)
    const perMs = COUNT / WINDOW
    expect(admitted).toBeLessThanOrEqual(COUNT + Math.floor(longest * perMs))
    expect(admitted).toBeGreaterThanOrEqual(COUNT + Math.floor(shortest * perMs) - 1)
  })
})

describe.each(ALGORITHMS)('%s on the real clock', (algorithm) => {
  it('admits its count at once, then denies by allow and check until retryAfterMs is over', () => {
    const limiter = new RateLimiter({ count: 20, windowMs: 100 }, { algorithm })
    // Aligned buckets may turn over meanwhile; in the others nothing ripens within 5 ms.
    const asked = Array.from({ length: 60 }, (_, i) =>
      i % 2 === 0 ? limiter.allow('k') : limiter.check('k').allowed,
    )
    expect(asked.filter(Boolean).length).toBeGreaterThanOrEqual(20)
    const told = limiter.check('k')
    if (told.allowed) return
    const until = performance.now() + told.retryAfterMs
    while (performance.now() < until);
    expect(limiter.allow('k')).toBe(true)
  })

  it('allow and check deny the same, a million times', () => {
    const limiter = new RateLimiter({ count: 3, windowMs: 3_600_000 }, { algorithm })
    limiter.consume('k', 3)
    let admitted = 0
    for (let i = 0; i < 500_000; i++) if (limiter.allow('k')) admitted++
    for (let i = 0; i < 100_000; i++) if (limiter.check('k').allowed) admitted++
    expect(admitted).toBe(0)
    expect(limiter.peek('k').remaining).toBe(0)
  })
})

it('a repeated key is charged correctly, with any calls in between', () => {
  const limiter = new RateLimiter('100/hour', { algorithm: 'fixed-window' })
  const left = (key: string): number => limiter.peek(key).remaining
  limiter.allow('a')
  limiter.allow('a')
  limiter.peek('b')
  limiter.refund('c')
  limiter.block('d', 1_000)
  limiter.reset('d')
  limiter.allow('a')
  limiter.check('b')
  limiter.allow('b')
  limiter.allow('a', 5)
  limiter.allow('a')
  expect([left('a'), left('b'), left('c'), left('d')]).toEqual([91, 98, 100, 100])
  const { allow } = limiter
  expect([allow('a'), allow('b'), allow('b')]).toEqual([true, true, true])
  expect([left('a'), left('b')]).toEqual([90, 96])
})
