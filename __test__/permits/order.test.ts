import { ConcurrencyExceeded, ConcurrencyLimiter, FakeClock, type Permit } from 'ratethrottle'
import { expect, it } from 'vitest'
import { byLength } from '../fixtures/long.ts'
import { type Random, randomFrom, SEED } from '../fixtures/random.ts'
import { SlowPermits } from './slow-permits.ts'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

it('admits as a slow model does: the first of those whose key may have one more', async () => {
  for (let seed = 0; seed < byLength(40, 2_000); seed++) await compare(randomFrom(SEED + seed))
})

/** Random callers, releases, aborts and time: the limiter and the model admit the same callers in the same order. */
async function compare(random: Random): Promise<void> {
  const [perKey, total] = [random.integer(1, 3), random.integer(1, 5)]
  const [queue, maxWaiters] = [random.integer(0, 4), random.integer(1, 9)]
  const limits = [{ perKey }, { total }, { perKey, total }][random.integer(0, 2)] as object
  const clock = new FakeClock()
  const limiter = new ConcurrencyLimiter(limits, { queue, maxWaiters, maxWaitMs: 50, clock })
  const model = new SlowPermits(limits, { queue, maxWaiters, maxWaitMs: 50 })
  const permits = new Map<number, Permit>()
  const aborts = new Map<number, AbortController>()
  const told: string[] = []
  for (let step = 0; step < 60; step++) {
    const key = `k${random.integer(0, 3)}`
    const action = random.integer(0, 9)
    if (action < 5) {
      const abort = new AbortController()
      aborts.set(step, abort)
      const admit = (permit: Permit): void => {
        permits.set(step, permit)
        told.push(`${step} in`)
      }
      limiter.acquire(key, { signal: abort.signal }).then(admit, (error) => {
        told.push(error instanceof ConcurrencyExceeded ? `${step} refused` : `${step} gone`)
      })
      model.acquire(step, key)
    } else if (action < 8) {
      const [id, permit] = [...permits][random.integer(0, Math.max(0, permits.size - 1))] ?? []
      if (id === undefined) continue
      permits.delete(id)
      permit?.release()
      model.release(id)
    } else if (action < 9) {
      const [id, abort] = [...aborts][random.integer(0, Math.max(0, aborts.size - 1))] ?? []
      if (id === undefined) continue
      abort?.abort()
      model.abort(id)
    } else {
      clock.advance(20)
      model.advance(20)
    }
    await turn()
    expect(told.sort()).toEqual(model.told.sort())
    expect(limiter.inUse).toBe(model.inUse)
    expect(limiter.stats().waiting).toBe(model.waiting)
  }
}
