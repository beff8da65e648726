import { type Decision, RateLimiter } from 'ratethrottle'
import { expect, it } from 'vitest'
import { ALGORITHMS } from '../fixtures/algorithms.ts'
import type { Terms } from '../fixtures/model.ts'
import { type Random, randomFor } from '../fixtures/random.ts'
import { freshName } from './place.ts'

const DAY = 86_400_000
/** Both read the system's clock, one after the other. */
const APART_MS = 5_000

/** Limits so slow that no unit is freed while the test runs. */
function slowTerms(random: Random, algorithm: Terms['algorithm']): Terms {
  const bursts = algorithm === 'token-bucket' || algorithm === 'leaky-bucket'
  const limits = Array.from({ length: random.integer(1, 4) }, () => {
    const count = random.integer(1, 12)
    const limit = { count, windowMs: random.integer(2, 300) * DAY }
    return bursts && random.chance(0.5) ? { ...limit, burst: random.integer(1, 15) } : limit
  })
  return { algorithm, limits, burst: undefined, blockForMs: random.chance(0.4) ? 9 * DAY : 0 }
}

/** The fields that must be equal, and the times, which may differ by the duration of the test. */
function parts(decision: Decision): [object, number[]] {
  const { resetMs, limitResetMs, retryAfterMs, retryAfter, ...exact } = decision
  const seconds = retryAfter ?? Number.POSITIVE_INFINITY
  return [exact, [resetMs, limitResetMs, retryAfterMs, seconds * 1000]]
}

it.each(ALGORITHMS)(
  '%s: a shared limiter gives the decisions of one in memory, in every field',
  (algorithm) => {
    const random = randomFor(`shared answers ${algorithm}`)
    for (let round = 0; round < 12; round++) {
      const { limits, blockForMs } = slowTerms(random, algorithm)
      const options = { algorithm, blockFor: blockForMs, capacity: 64 }
      const memory = new RateLimiter(limits, options)
      const shared = new RateLimiter(limits, { ...options, shared: true, name: freshName() })
      for (let step = 0; step < 30; step++) {
        const cost = random.chance(0.7) ? 1 : random.integer(0, 14)
        const act = random.pick(['check', 'check', 'check', 'peek', 'refund'] as const)
        const where = { limits, blockForMs, step, act, cost }
        if (act === 'refund') for (const one of [memory, shared]) one.refund('k', cost)
        const ask = act === 'peek' ? 'peek' : 'check'
        const [[exact, times], [expected, expectedTimes]] = [
          parts(shared[ask]('k', cost)),
          parts(memory[ask]('k', cost)),
        ]
        expect({ where, exact }).toEqual({ where, exact: expected })
        for (const [i, ms] of times.entries()) {
          const apart = ms === expectedTimes[i] ? 0 : Math.abs(ms - (expectedTimes[i] ?? 0))
          expect({ where, i, isClose: apart < APART_MS }).toEqual({ where, i, isClose: true })
        }
        expect(shared.standings('k').map((one) => one.remaining)).toEqual(
          memory.standings('k').map((one) => one.remaining),
        )
      }
      memory.close()
      shared.close()
    }
  },
)
