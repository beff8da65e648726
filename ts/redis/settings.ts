import { readDuration } from '../limit/duration.ts'
import type { StoreListener } from '../remote/event.ts'
import { integer, mustBe, ownOptions } from '../validate.ts'
import { readPrefix } from './key.ts'
import type { LeaseOptions, OnError, RedisOptions } from './options.ts'

/** A lease with its default filled in. */
export interface ResolvedLease {
  readonly size: number
  readonly ttlMs: number
}

/** What a limiter in Redis has beside the options of every limiter, with every default filled in. */
export interface ResolvedSettings {
  readonly keyPrefix: string
  readonly onError: OnError
  readonly deadlineMs: number
  readonly connectTimeoutMs: number
  /** 0 is off. */
  readonly localDenialsMs: number
  readonly lease: ResolvedLease | undefined
  readonly processes: number | undefined
  readonly onStoreChange: StoreListener | undefined
}

/** After so long an operator's reset in another process is seen, whatever a denial said. */
const LONGEST_DENIAL_MS = 30_000

/**
 * Checks these options and fills in the defaults. Nothing that talks to Redis is loaded for it: the adapters
 * check them wherever the counters are.
 *
 * @throws TypeError or RangeError that names the option, its value and what is accepted
 */
export function readSettings({
  keyPrefix,
  onError,
  deadlineMs = 50,
  connectTimeoutMs = 2_000,
  localDenials,
  lease,
  processes,
  onStoreChange,
}: RedisOptions): ResolvedSettings {
  return {
    keyPrefix: readPrefix(keyPrefix),
    onError: readOnError(onError, 'onError'),
    deadlineMs: integer(deadlineMs, 'deadlineMs', 1, 60_000),
    connectTimeoutMs: integer(connectTimeoutMs, 'connectTimeoutMs', 1, 60_000),
    localDenialsMs: readLocalDenials(localDenials),
    lease: lease === undefined ? undefined : readLease(lease),
    processes: processes === undefined ? undefined : integer(processes, 'processes', 1, 1_000_000),
    onStoreChange: readListener(onStoreChange),
  }
}

/** @param name what it is called where it was given */
export function readOnError(value: unknown = 'local', name: string): OnError {
  if (value === 'local' || value === 'open' || value === 'closed') return value
  throw new RangeError(mustBe(name, '"local", "open" or "closed"', value))
}

function readLocalDenials(value: unknown = true): number {
  if (value === true) return LONGEST_DENIAL_MS
  return value === false ? 0 : readDuration(value, 'localDenials')
}

function readLease(value: unknown): ResolvedLease {
  if (typeof value !== 'object' || value === null) {
    throw new TypeError(mustBe('lease', 'an object { size, ttl }', value))
  }
  const { size, ttl = 1_000 } = ownOptions(value as LeaseOptions, ['size', 'ttl'])
  return { size: integer(size, 'lease.size', 1, 1_000_000), ttlMs: readDuration(ttl, 'lease.ttl') }
}

function readListener(value: unknown): StoreListener | undefined {
  if (value === undefined || typeof value === 'function') return value as StoreListener | undefined
  throw new TypeError(mustBe('onStoreChange', 'a function', value))
}
