import express from 'express'
import { type Limit, RateLimiter } from 'ratethrottle'
import { rateThrottle as forExpress } from 'ratethrottle/express'
import { FakeClock } from 'ratethrottle/testing'
import { describe, expect, test } from 'vitest'
import { ADAPTERS, listen, serve } from './serve.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

interface Told {
  readonly limit: number
  readonly remaining: number
  readonly reset: number
  readonly retryAfter: number
}

/** The three headers and Retry-After of a response, as numbers; Reset as seconds from now. */
function told(headers: (name: string) => unknown): Told {
  const number = (name: string): number => Number(headers(name) ?? Number.NaN)
  return {
    limit: number('x-ratelimit-limit'),
    remaining: number('x-ratelimit-remaining'),
    reset: number('x-ratelimit-reset') - Date.now() / 1000,
    retryAfter: number('retry-after'),
  }
}

describe('the three legacy headers describe one limit', () => {
  test.each(ADAPTERS)(
    '%s: Reset is the time when the denying limit is full again',
    async (adapter) => {
      const running = await serve(adapter, {
        limits: ['10/minute', '100/2 hours'],
        clock: new FakeClock(),
      })
      await running.statuses(10)
      const { status, headers } = await running.ask()
      const { limit, remaining, reset, retryAfter } = told((name) => headers[name])
      expect({ status, limit, remaining, retryAfter }).toEqual({
        status: 429,
        limit: 10,
        remaining: 0,
        retryAfter: 6,
      })
      // Ten units of the first limit are back within a minute; those of the second take 12 minutes.
      expect(reset).toBeGreaterThan(30)
      expect(reset).toBeLessThan(63)
    },
  )

  test('an admission describes the limit with the least left, and when it is full again', async () => {
    const running = await serve('node:http', { limits: ['20/minute', '4/day', '9/week'] })
    await running.statuses(2)
    const { headers } = await running.ask()
    const { limit, remaining, reset } = told((name) => headers[name])
    expect({ limit, remaining }).toEqual({ limit: 4, remaining: 1 })
    // 3 of 4 a day; 3 of 9 a week would be 56 hours.
    expect(reset / 3600).toBeGreaterThan(17.9)
    expect(reset / 3600).toBeLessThan(18.1)
  })

  test('a denied cost gets what is left of the limit that denies it', async () => {
    const cost = ({ headers }: { headers: { cost?: string } }): number => Number(headers.cost ?? 1)
    const limits = [
      { count: 8, windowMs: MINUTE },
      { count: 10, windowMs: HOUR },
    ]
    const running = await serve('node:http', { limits, cost, algorithm: 'fixed-window' })
    await running.ask('/', { headers: { cost: '6' } })
    const { status, headers } = await running.ask('/', { headers: { cost: '5' } })
    const { limit, remaining, reset } = told((name) => headers[name])
    expect({ status, limit, remaining }).toEqual({ status: 429, limit: 10, remaining: 4 })
    expect(reset / 60).toBeGreaterThan(59)
  })

  test('of stacked limiters the tightest one is described, with its reset', async () => {
    const app = express()
    const clock = new FakeClock()
    app.use(forExpress({ limits: '30/day', clock }))
    app.use(forExpress({ limits: ['5/minute', '1000/week'], clock }))
    app.use(forExpress({ limits: '7/hour', clock }))
    app.get('/', (_, response) => void response.send('done'))
    const base = await listen(app)
    for (let i = 0; i < 3; i++) await (await fetch(base)).text()
    const admitted = await fetch(base)
    const { limit, remaining, reset } = told((name) => admitted.headers.get(name))
    expect({ limit, remaining }).toEqual({ limit: 5, remaining: 1 })
    expect(reset).toBeLessThan(51)
    await fetch(base)
    const denied = await fetch(base)
    const last = told((name) => denied.headers.get(name))
    expect({ ...last, reset: last.reset < 63 }).toEqual({
      limit: 5,
      remaining: 0,
      retryAfter: 12,
      reset: true,
    })
  })

  test('Reset is never earlier than Retry-After, at any fraction of a second', async () => {
    const running = await serve('node:http', { limits: ['1/90100 ms', '1000/hour'] })
    await running.ask()
    const early: number[] = []
    for (let i = 0; i < 60; i++) {
      const asked = Date.now() / 1000
      const { headers } = await running.ask()
      const gap = Number(headers['x-ratelimit-reset']) - (asked + Number(headers['retry-after']))
      if (!(gap >= 0)) early.push(gap)
      await new Promise((resolve) => setTimeout(resolve, 17))
    }
    expect(early).toEqual([])
  })
})

describe('the decision', () => {
  const limits: Limit[] = [
    { count: 6, windowMs: MINUTE },
    { count: 50, windowMs: HOUR },
  ]

  test.each([
    'token-bucket',
    'leaky-bucket',
    'sliding-window',
    'sliding-log',
    'fixed-window',
  ] as const)('limitResetMs of %s is when the deciding limit alone has recovered', (algorithm) => {
    let now = 5_000
    const clock = { now: () => now }
    const both = new RateLimiter(limits, { algorithm, clock })
    const alone = limits.map((limit) => new RateLimiter(limit, { algorithm, clock }))
    for (let step = 0; step < 60; step++) {
      now += [0, 900, 10_000, 25_000][step % 4] as number
      const decision = both.check('k')
      const each = alone.map((one) => (decision.allowed ? one.check('k') : one.peek('k')))
      const { resetMs } = each[decision.policy] as { resetMs: number }
      const where = `step ${step}`
      expect({ where, ...decision }).toMatchObject({ where, limitResetMs: resetMs })
      expect(decision.limitResetMs).toBeGreaterThanOrEqual(decision.retryAfterMs)
    }
  })

  test('under blockFor limitResetMs is never below retryAfterMs', () => {
    const clock = { now: () => 1_000 }
    for (const blockFor of ['5 seconds', '1 minute', '3 hours'] as const) {
      const limiter = new RateLimiter(['2/minute', '50/hour'], { blockFor, clock })
      limiter.check('k', 2)
      for (const decision of [limiter.check('k'), limiter.check('k'), limiter.peek('k')]) {
        const { limitResetMs, retryAfterMs, resetMs } = decision
        expect({ blockFor, isHeld: limitResetMs >= retryAfterMs }).toEqual({
          blockFor,
          isHeld: true,
        })
        expect(resetMs >= limitResetMs).toBe(true)
      }
      expect(limiter.check('k', 1_000)).toMatchObject({
        retryAfterMs: Number.POSITIVE_INFINITY,
        limitResetMs: expect.any(Number),
      })
    }
  })
})
