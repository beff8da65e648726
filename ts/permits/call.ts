import type { Clock } from '../clock.ts'
import type { ConcurrencyReason } from '../errors.ts'
import * as validate from '../validate.ts'
import { readMaxWait, readSignal } from '../wait.ts'
import type { ReadAcquire } from './options.ts'
import { type AcquireOptions, type ConcurrencyLimits, PermitRefused } from './types.ts'

/** @throws TypeError unless it is a string */
export function checkedKey(key: string): string {
  if (typeof key === 'string') return key
  throw validate.invalid(TypeError, 'INVALID_ARGUMENT', 'key', 'a string', key)
}

/** Reads the options of one call. */
export function readAcquire(options: AcquireOptions | undefined, maxWaitMs: number): ReadAcquire {
  if (options === undefined) return { maxWaitMs, signal: undefined }
  const own = validate.ownOptions(options, ['maxWaitMs', 'signal'])
  return {
    maxWaitMs: own.maxWaitMs === undefined ? maxWaitMs : readMaxWait(own.maxWaitMs),
    signal: readSignal(own.signal),
  }
}

/** What callers are told for whom there is no permit. */
export function refusalsOf(
  limits: ConcurrencyLimits,
): Readonly<Record<ConcurrencyReason, PermitRefused>> {
  const { perKey, total } = limits
  const least = Math.min(perKey ?? Number.POSITIVE_INFINITY, total ?? Number.POSITIVE_INFINITY)
  return {
    perKey: new PermitRefused('perKey', perKey ?? least),
    total: new PermitRefused('total', total ?? least),
    capacity: new PermitRefused('capacity', least),
    store: new PermitRefused('store', least),
  }
}

/** The clock, with timers that do not keep the process alive: a permit that is held is no reason to stay. */
export function quiet(clock: Required<Clock>, given: Clock | undefined): Required<Clock> {
  if (given?.setTimer !== undefined) return clock
  const setTimer = (wake: () => void, ms: number): (() => void) => {
    const timer = setTimeout(wake, ms).unref()
    return () => clearTimeout(timer)
  }
  return { now: clock.now, setTimer }
}
