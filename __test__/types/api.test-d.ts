import {
  type AsyncLimiter,
  createLimiter,
  type Decision,
  FakeClock,
  type LimitInput,
  parseLimits,
  RateLimiter,
  type StoreStatus,
} from 'ratethrottle'
import { expectTypeOf, test } from 'vitest'

test('valid uses of the public API compile', () => {
  const limiter = new RateLimiter('100/minute', {
    clock: new FakeClock(),
    burst: 200,
    blockFor: '5 minutes',
  })
  expectTypeOf(limiter.allow('k')).toEqualTypeOf<boolean>()
  expectTypeOf(limiter.check('k', 5)).toEqualTypeOf<Decision>()
  expectTypeOf(limiter.wait('k', { maxWaitMs: 5, signal: AbortSignal.timeout(5) })).toEqualTypeOf<
    Promise<Decision>
  >()
  const input = '5/s' as LimitInput
  const text = '5/s' as string
  expectTypeOf(new RateLimiter(input)).toExtend<RateLimiter>()
  expectTypeOf(new RateLimiter(text)).toExtend<RateLimiter<string>>()
  new RateLimiter(['10/second', '1000/hour'], { algorithm: 'sliding_window' })
  new RateLimiter({ count: 1, windowMs: 1 })
  const created = createLimiter({ limits: '100/minute', storage: 'memory:' })
  expectTypeOf(created).toEqualTypeOf<AsyncLimiter>()
  expectTypeOf(created.check('k')).toEqualTypeOf<Promise<Decision>>()
  expectTypeOf(created.ready()).toEqualTypeOf<Promise<StoreStatus>>()
  expectTypeOf<Decision['retryAfter']>().toEqualTypeOf<number | undefined>()
  parseLimits('1000/hour; 20/second')
})

test('invalid uses of the public API do not compile', () => {
  // @ts-expect-error an unknown unit
  new RateLimiter('10/fortnight')
  // @ts-expect-error an invalid limit
  new RateLimiter('')
  // @ts-expect-error an unknown algorithm
  new RateLimiter('10/s', { algorithm: 'magic' })
  // @ts-expect-error an unknown option
  new RateLimiter('10/s', { max: 5 })
  const limiter = new RateLimiter('10/s')
  // @ts-expect-error a key is a string
  limiter.allow(42)
  // @ts-expect-error decisions are read only
  limiter.check('k').allowed = true
  const created = createLimiter({ limits: '10/s' })
  // @ts-expect-error a limiter that returns promises has no allow
  if (!created.allow('k')) return
  // @ts-expect-error a promise has no allowed
  if (!created.check('k').allowed) return
  // @ts-expect-error a promise is always true
  if (created.check('k')) return
  // @ts-expect-error no limits
  createLimiter({ storage: 'memory:' })
})
