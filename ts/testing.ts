import { type Clock, setSystemTimer } from './clock.ts'
import type { CheckedLimits, LimitInput } from './limit/limit.ts'
import { LIMITER_OPTIONS, type RateLimiterOptions } from './options.ts'
import { RateLimiter } from './rate-limiter.ts'
import { ownOptions } from './validate.ts'

export { FakeClock } from './clock.ts'
export {
  type ContractLimiter,
  type ContractTest,
  limiterContract,
  type MakeLimiter,
} from './contract.ts'

/**
 * A clock for tests that fake the timers of JavaScript: vitest, jest (the modern ones) and sinon.
 *
 * A limiter's default clock can't be faked: native code reads the operating system's, and calls no JavaScript.
 * This one calls `Date.now()` and `setTimeout`, looked up in each call, so it follows the fakes that a test
 * installs. `Date` must be among the fakes; by default it is.
 *
 * ```ts
 * vi.useFakeTimers()
 * const limiter = new RateLimiter('1/minute', { clock: timersClock })
 * limiter.allow('k')               // true
 * limiter.allow('k')               // false
 * vi.advanceTimersByTime(60_000)
 * limiter.allow('k')               // true
 * ```
 *
 * Not for production: `Date` jumps when the system's time is corrected.
 */
export const timersClock: Required<Clock> = Object.freeze({
  now: () => Date.now(),
  setTimer: setSystemTimer,
})

/**
 * A limiter that follows fake timers: a `RateLimiter` whose clock is {@link timersClock}, unless the
 * options name another.
 *
 * ```ts
 * vi.useFakeTimers()
 * const limiter = testLimiter('1/second')
 * const second = limiter.wait('k').then(() => limiter.wait('k'))
 * await vi.advanceTimersByTimeAsync(1_000)
 * await second
 * ```
 *
 * @param limits as for a `RateLimiter`
 * @param options as for a `RateLimiter`
 */
export function testLimiter<const L extends LimitInput>(
  limits: CheckedLimits<L>,
  options: RateLimiterOptions = {},
): RateLimiter<L> {
  const { clock = timersClock, ...rest } = ownOptions(options, LIMITER_OPTIONS)
  return new RateLimiter<L>(limits, { ...rest, clock })
}
