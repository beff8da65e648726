import { createLimiter, RateLimiter } from 'ratethrottle'
import { limiterContract } from 'ratethrottle/testing'
import { describe, it } from 'vitest'

describe('a RateLimiter', () => {
  for (const { title, run } of limiterContract(
    (limits, options) => new RateLimiter(limits, options),
  ))
    it(title, run)
})

describe('createLimiter with "memory:"', () => {
  const make = limiterContract((limits, options) =>
    createLimiter({ limits, storage: 'memory:', ...options }),
  )
  for (const { title, run } of make) it(title, run)
})

describe('a limiter that processes share', () => {
  const options = { realTime: true }
  const make = limiterContract(
    (limits, { clock: _, ...rest }) =>
      new RateLimiter(limits, { ...rest, shared: true, capacity: 100 }),
    options,
  )
  for (const { title, run } of make) it(title, run)
})
