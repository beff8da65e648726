import type { InsightInput } from '../counting.ts'
import type { RemotePermitsOptions } from '../remote/permits/options.ts'
import { isRemote, sharedName } from '../storage-url.ts'
import * as validate from '../validate.ts'
import { openAnywhere, storageOf } from './create.ts'
import { MAX_CAPACITY, readConcurrencyLimits, readWaiting, type WaitingOptions } from './options.ts'
import { ROW } from './tally.ts'
import type { ConcurrencyLimits, Permits } from './types.ts'

/** What option `concurrent` of adapters takes: permits of each client, or both limits and a queue. */
export type ConcurrentInput =
  | number
  | (ConcurrencyLimits & Pick<WaitingOptions, 'queue' | 'maxWaitMs' | 'maxHoldMs'>)

const WAITING = ['queue', 'maxWaitMs', 'maxHoldMs']
const ACCEPTED =
  'how many requests of a client are served at a time, or { perKey, total, queue, maxWaitMs, maxHoldMs }'

/**
 * Reads option `concurrent`.
 *
 * @throws TypeError or RangeError that names the option, its value and what is accepted
 */
export function readConcurrent(value: unknown, name: string): Exclude<ConcurrentInput, number> {
  if (typeof value === 'number') return readConcurrencyLimits(value, name)
  if (typeof value !== 'object' || value === null) {
    throw validate.invalid(TypeError, 'INVALID_OPTION', name, ACCEPTED, value)
  }
  const known = ['perKey', 'total', ...WAITING]
  const own = validate.ownOptions(value as Exclude<ConcurrentInput, number>, known)
  const { perKey, total, ...waiting } = own
  readWaiting(waiting)
  return { ...readConcurrencyLimits({ perKey, total }, name), ...waiting }
}

/** Where an adapter's permits are counted. */
export interface PermitsPlace {
  /** As option `storage` of adapters. */
  readonly storage?: unknown
  /** Limiters of this name share their permits. */
  readonly name?: string | undefined
  /** What they are called without a name where other limiters count too. */
  readonly identity?: string | undefined
  readonly keyPrefix?: string | undefined
  readonly capacity?: number | undefined
  readonly maxWaiters?: number | undefined
  readonly insight?: InsightInput | undefined
  /** Options of a limiter in a store, such as `onError`. */
  readonly forRedis?: RemotePermitsOptions | undefined
}

/** Opens permits where the storage says: for adapters, which need not know where that is. */
export function openPermits(
  { perKey, total, ...waiting }: Exclude<ConcurrentInput, number>,
  { storage, name, identity, capacity: keys, forRedis = {}, ...place }: PermitsPlace,
): Permits {
  const limits = readConcurrencyLimits({ perKey, total })
  const at = storageOf(storage)
  const isInStore = isRemote(at)
  // In memory, permits without a name are this adapter's own.
  const isCommon = isInStore || sharedName(at) !== undefined
  // A table for the keys of limits may have room for more.
  const capacity = keys && Math.min(keys, MAX_CAPACITY)
  const named = name ?? (isCommon ? identity : undefined)
  const insight =
    place.insight && named === undefined ? inRowOf(place.insight, identity) : place.insight
  const options = { ...place, ...waiting, capacity, name: named, insight }
  if (!isInStore) return openAnywhere(limits, at, options)
  const { onError, deadlineMs, connectTimeoutMs, processes, onStoreChange } = forRedis
  const ofStore = { onError, deadlineMs, connectTimeoutMs, processes, onStoreChange }
  return openAnywhere(limits, at, { ...options, ...ofStore })
}

/** Permits in memory have no name there, and in an insight that of their adapter. */
function inRowOf(insight: InsightInput, identity: string | undefined): InsightInput {
  if (identity === undefined) return insight
  const name = `${identity} ${ROW}`
  return {
    counter: (about) => insight.counter({ ...about, name }),
    shielded: (shielded, shield) => insight.shielded(shielded, shield),
  }
}
