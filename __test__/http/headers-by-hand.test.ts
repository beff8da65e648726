import * as everything from 'ratethrottle'
import { createLimiter, type Decision, FakeClock, RateLimiter } from 'ratethrottle'
import { RedisLimiter } from 'ratethrottle/redis'
import { afterEach, describe, expect, test } from 'vitest'
import { startServer } from '../redis/server.ts'
import { serve } from './serve.ts'

type Headers = Record<string, string>
type Hand = (limiter: unknown, decision: unknown, style?: unknown) => Headers
/** What this version may not have. */
const here = everything as unknown as { rateLimitHeaders?: Hand }
const rateLimitHeaders: Hand = here.rateLimitHeaders ?? (() => ({}))
const valueIn = (headers: object, name: string): unknown => Reflect.get(headers, name)

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

/** Values of HTTP fields that a client can read: no `Infinity`, no `NaN`, no `undefined`. */
const READABLE = /^[\x20-\x7e]+$/
const BROKEN = /infinity|nan|undefined|null/i

describe('seconds', () => {
  test('retryAfter is the wait in whole seconds, rounded up, and undefined if waiting does not help', () => {
    const clock = new FakeClock()
    const limiter = new RateLimiter('7/minute', { clock })
    expect(limiter.check('k', 7)).toMatchObject({ allowed: true, retryAfter: 0 })
    for (let i = 0; i < 50; i++) {
      const { retryAfterMs, retryAfter } = limiter.peek('k') as Decision & { retryAfter?: number }
      expect(retryAfter).toBe(Math.ceil(retryAfterMs / 1000))
      clock.advance(171)
    }
    const never = limiter.check('k', 8)
    expect(Object.hasOwn(never, 'retryAfter')).toBe(true)
    expect((never as { retryAfter?: number }).retryAfter).toBeUndefined()
    expect(Object.keys(limiter.peek('new'))).toContain('retryAfter')
  })

  test('retryAfter is right for waits of more than 31 bits of milliseconds', () => {
    const limiter = new RateLimiter(
      { count: 1, windowMs: 40 * 86_400_000 + 1 },
      { clock: new FakeClock() },
    )
    limiter.check('k')
    expect(limiter.check('k')).toMatchObject({ allowed: false, retryAfter: 40 * 86_400 + 1 })
  })

  test('decisions of Redis, of leases and of the fallback have retryAfter', async () => {
    const server = await startServer()
    closing.push(() => server.stop())
    const asked = { url: server.url, deadlineMs: 30_000 }
    const away = { url: 'redis://127.0.0.1:1', connectTimeoutMs: 1, deadlineMs: 20 }
    const open = (options: object): RedisLimiter => {
      const limiter = new RedisLimiter('2/minute', options as never) as RedisLimiter
      closing.push(() => limiter.close())
      return limiter
    }
    const limiters = [
      open({ ...asked, name: 'plain' }),
      open({ ...asked, name: 'leased', lease: { size: 2 } }),
      open({ ...asked, name: 'forgetful', localDenials: false }),
      open({ ...without(away, 'connectTimeoutMs'), onError: 'closed' }),
      open({ ...without(away, 'connectTimeoutMs'), onError: 'local' }),
    ]
    for (const limiter of limiters) {
      for (let i = 0; i < 5; i++) {
        const decision = (await limiter.check('k')) as Decision & { retryAfter?: number }
        expect(decision.retryAfter).toBe(Math.ceil(decision.retryAfterMs / 1000))
      }
      const never = (await limiter.check('k', 9)) as Decision & { retryAfter?: number }
      if (never.retryAfterMs === Number.POSITIVE_INFINITY) expect(never.retryAfter).toBeUndefined()
    }
  })

  test('the decision of a request has retryAfter in every framework', async () => {
    const seen: unknown[] = []
    const running = await serve('node:http', {
      limits: '1/minute',
      handler: (request: { rateLimit?: object }, response: { end(): void }) => {
        seen.push(Object.entries({ ...request.rateLimit }).find(([name]) => name === 'retryAfter'))
        response.end()
      },
    })
    await running.statuses(2)
    expect(seen).toEqual([['retryAfter', 60]])
  })
})

function without(options: object, name: string): object {
  return Object.fromEntries(Object.entries(options).filter(([key]) => key !== name))
}

describe('rateLimitHeaders', () => {
  test.each(['legacy', 'draft', 'both'] as const)(
    '%s: rateLimitHeaders gives the headers that an adapter sets',
    async (headers) => {
      const limits = ['2/minute', '100/hour'] as const
      const running = await serve('node:http', { limits, headers })
      const limiter = new RateLimiter(limits)
      for (let i = 0; i < 3; i++) {
        const sent = (await running.ask()).headers
        const made = rateLimitHeaders(limiter, limiter.check('k'), headers)
        const names = [
          'x-ratelimit-limit',
          'x-ratelimit-remaining',
          'ratelimit-policy',
          'retry-after',
        ]
        for (const name of names)
          expect({ [name]: valueIn(made, name) }).toEqual({ [name]: sent[name] })
        const resets = [made, sent].map((from) => Number(valueIn(from, 'x-ratelimit-reset') ?? 0))
        expect(Math.abs((resets[0] ?? 0) - (resets[1] ?? 0))).toBeLessThan(30)
        // The adapter describes every limit, rateLimitHeaders the deciding one.
        expect(`${valueIn(sent, 'ratelimit')}`.startsWith(`${valueIn(made, 'ratelimit')}`)).toBe(
          true,
        )
        expect(Object.keys(made).length).toBeGreaterThan(i < 2 ? 1 : 2)
      }
    },
  )

  test.each(['token-bucket', 'sliding-window', 'sliding-log', 'fixed-window'] as const)(
    'with %s every header is valid, whatever the cost and the limits',
    (algorithm) => {
      const clock = new FakeClock(1_000)
      const limiter = new RateLimiter(['3/second', '9/hour'], { algorithm, clock, blockFor: '2 s' })
      const names = new Set<string>()
      for (let i = 0; i < 200; i++) {
        const decision = limiter.check('k', [1, 2, 50, 0, 4][i % 5])
        for (const [name, value] of Object.entries(rateLimitHeaders(limiter, decision, 'both'))) {
          names.add(name)
          expect(`${name}: ${value}`).toMatch(READABLE)
          expect(value).not.toMatch(BROKEN)
        }
        const never = decision.retryAfterMs === Number.POSITIVE_INFINITY
        const told = valueIn(rateLimitHeaders(limiter, decision), 'retry-after')
        expect(told).toBe(
          decision.allowed || never ? undefined : `${Math.ceil(decision.retryAfterMs / 1000)}`,
        )
        clock.advance([0, 100, 0, 777, 20_000][i % 5] as number)
      }
      expect([...names].sort()).toEqual([
        'ratelimit',
        'ratelimit-policy',
        'retry-after',
        'x-ratelimit-limit',
        'x-ratelimit-remaining',
        'x-ratelimit-reset',
      ])
    },
  )

  test('the draft headers list every policy and the state of the deciding limit, in every storage', async () => {
    const server = await startServer()
    closing.push(() => server.stop())
    for (const storage of ['memory:', server.url]) {
      const limiter = createLimiter({
        limits: ['5/minute', '2/hour'],
        storage,
        name: 'draft',
        clock: new FakeClock(),
        ...(storage === 'memory:' ? {} : { deadlineMs: 30_000 }),
      } as never) as RedisLimiter
      closing.push(() => limiter.close())
      await limiter.check('k', 2)
      const headers = rateLimitHeaders(limiter, await limiter.check('k'), 'draft')
      expect({ storage: storage.slice(0, 5), ...headers }).toEqual({
        storage: storage.slice(0, 5),
        'ratelimit-policy': '"5-in-1min";q=5;w=60, "2-in-1h";q=2;w=3600',
        ratelimit: '"2-in-1h";r=0;t=1800',
        'retry-after': '1800',
      })
    }
  })

  test('an unknown style is refused with a code', () => {
    const limiter = new RateLimiter('1/s')
    const decision = limiter.check('k')
    for (const style of ['Legacy', 'none', '', null, 5, false, {}]) {
      let code: unknown
      try {
        rateLimitHeaders(limiter, decision, style)
      } catch (error) {
        code = (error as { code?: unknown }).code
      }
      expect({ style, code }).toEqual({ style, code: 'INVALID_ARGUMENT' })
    }
  })

  test('a value that is no decision, such as a promise without await, is refused with a code', async () => {
    const limiter = new RateLimiter('1/s')
    const decision = limiter.check('k')
    const given = [Promise.resolve(decision), undefined, null, {}, true, 'allowed', () => decision]
    for (const style of ['legacy', 'draft', 'both']) {
      for (const [i, wrong] of given.entries()) {
        let code: unknown
        try {
          rateLimitHeaders(limiter, wrong, style)
        } catch (error) {
          code = error instanceof TypeError && (error as { code?: unknown }).code
        }
        expect({ style, i, code }).toEqual({ style, i, code: 'INVALID_ARGUMENT' })
      }
    }
  })

  test.each([
    'token-bucket',
    'leaky-bucket',
    'sliding-window',
    'sliding-log',
    'fixed-window',
  ] as const)('t of rateLimitHeaders is never earlier than that of an adapter, %s', (algorithm) => {
    const clock = new FakeClock(1_000)
    const limiter = new RateLimiter('5/minute', { algorithm, clock })
    const later = new Set<string>()
    for (let i = 0; i < 500; i++) {
      const cost = [1, 2, 1, 0, 1, 3][i % 6] as number
      const decision = limiter.check('k', cost)
      const { moreMs } = limiter.standings('k')[0] ?? { moreMs: Number.NaN }
      const isFull = moreMs === Number.POSITIVE_INFINITY
      const { ratelimit } = rateLimitHeaders(limiter, decision, 'draft')
      const [, t = 'none'] = /;t=(\d+);/.exec(`${ratelimit};`) ?? []
      if (isFull) expect(t).toBe('none')
      else expect(Number(t)).toBeGreaterThanOrEqual(Math.ceil(moreMs / 1000))
      if (Number(t) > Math.ceil(moreMs / 1000)) {
        later.add(decision.allowed ? 'an admission' : cost > 1 ? 'several units' : 'one unit')
      }
      clock.advance([0, 100, 0, 777, 5_000, 12_000, 333][i % 7] as number)
    }
    // As the comment on `rateLimitHeaders` has it.
    const isSliding = algorithm.startsWith('sliding')
    const known = algorithm === 'fixed-window' ? [] : ['several units']
    expect([...later].sort()).toEqual(isSliding ? ['an admission', ...known] : known)
  })
})
