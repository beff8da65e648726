import { withCode } from '../validate.ts'

/** Adds a `tryAcquire` that throws to permits that are given with promises. Their type has none. */
export function refuseTry(limiter: object): void {
  const message =
    'tryAcquire must be called on a ConcurrencyLimiter, got a limiter that answers with promises; use await limiter.acquire(key)'
  const value = function tryAcquire(): never {
    throw withCode(new TypeError(message), 'ASYNC_LIMITER')
  }
  Object.defineProperty(limiter, 'tryAcquire', { configurable: true, writable: true, value })
}
