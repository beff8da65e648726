import * as validate from '../validate.ts'
import { ConcurrencyLimiter, type ConcurrencyOptions } from './concurrency-limiter.ts'
import type { ConcurrencyLimits, Permits } from './types.ts'

/** What option `concurrent` of adapters takes: permits of each client, or both limits and a queue. */
export type ConcurrentInput =
  | number
  | (ConcurrencyLimits & Pick<ConcurrencyOptions, 'queue' | 'maxWaitMs'>)

/** Reads option `concurrent`. */
export function readConcurrent(value: unknown, name: string): Exclude<ConcurrentInput, number> {
  if (typeof value === 'number') return { perKey: validate.integer(value, name, 1, 1_000_000) }
  if (typeof value === 'object' && value !== null) return value
  const accepted =
    'how many requests of a client are served at a time, or { perKey, total, queue, maxWaitMs }'
  throw validate.invalid(TypeError, 'INVALID_OPTION', name, accepted, value)
}

/** Where an adapter's permits are counted. */
export interface PermitsPlace {
  /** As option `storage` of adapters. */
  readonly storage?: unknown
  /** The limiter's name, or what it is called without one. */
  readonly name?: string | undefined
  readonly keyPrefix?: string | undefined
  readonly capacity?: number | undefined
}

/** Opens permits where the storage says: for adapters, which need not know where that is. */
export function openPermits(
  concurrent: Exclude<ConcurrentInput, number>,
  _place: PermitsPlace,
): Permits {
  const { queue, maxWaitMs, ...limits } = concurrent
  return new ConcurrencyLimiter(limits, { queue, maxWaitMs })
}
