import type { Clock } from '../clock.ts'
import { type InsightInput, readInsight } from '../counting.ts'
import { SHARING } from '../options.ts'
import * as validate from '../validate.ts'
import { readMaxWait } from '../wait.ts'
import type { ConcurrencyLimits } from './types.ts'

/** How callers wait for a permit, and how long one is held: the same wherever permits are counted. */
export interface WaitingOptions {
  /** Most callers of one key who wait for a permit. Default: 0, callers are refused at once. */
  readonly queue?: number | undefined
  /** Longest wait for a permit, in milliseconds. Default: no end. */
  readonly maxWaitMs?: number | undefined
  /** Most callers who wait for a permit, of all keys together. From 1 on. Default: 10,000. */
  readonly maxWaiters?: number | undefined
  /**
   * Longest time that a permit is held, in milliseconds: 1 to one day. Then it ends, and another caller may have it.
   * Default: no end.
   */
  readonly maxHoldMs?: number | undefined
  /** Most keys that hold permits at a time: 1 to 1,000,000. Memory is reserved for that many. Default: 10,000. */
  readonly capacity?: number | undefined
  /** Counts what the limiter does: what `insight()` of ratethrottle/insight returns. Default: off. */
  readonly insight?: InsightInput | undefined
}

/** Options of {@link ConcurrencyLimiter}. */
export interface ConcurrencyOptions extends WaitingOptions {
  /** Limiters of this name share their permits, in this process or, with `shared`, on this host. */
  readonly name?: string | undefined
  /** Whether all processes of this user on this host share the permits. Needs a name. Default: false. */
  readonly shared?: boolean | undefined
  /** Where the time of waits comes from. Default: the system's monotonic clock. */
  readonly clock?: Clock | undefined
}

/** What has a meaning in a store alone: those who give it to a limiter of this host want the other one. */
export const OF_STORE: readonly string[] = [
  'leaseMs',
  'onError',
  'deadlineMs',
  'connectTimeoutMs',
  'processes',
  'onStoreChange',
]

/** {@link WaitingOptions} with every default filled in. */
export interface ResolvedWaiting {
  readonly queue: number
  readonly maxWaitMs: number
  readonly maxWaiters: number
  readonly maxHoldMs: number
  readonly capacity: number | undefined
  readonly insight: InsightInput | undefined
}

/** {@link ConcurrencyOptions} with every default filled in. */
export interface ResolvedConcurrency extends ResolvedWaiting {
  readonly name: string | undefined
  readonly shared: boolean
  readonly clock: Clock | undefined
}

const MAX_PERMITS = 1_000_000
const MAX_QUEUE = 1_000_000
const MAX_WAITERS = 10_000_000
/** Most keys that can hold permits at a time. */
export const MAX_CAPACITY = 1_000_000
const DAY_MS = 86_400_000
const NEVER: number = Number.POSITIVE_INFINITY

/** Each option with its reader: the only list of their names. */
const WAITING: validate.Readers<ResolvedWaiting> = {
  queue: (value = 0, name) => validate.integer(value, name, 0, MAX_QUEUE),
  maxWaitMs: (value = NEVER) => readMaxWait(value, 'INVALID_OPTION'),
  maxWaiters: (value = 10_000, name) => validate.integer(value, name, 1, MAX_WAITERS),
  maxHoldMs: (value, name) => (value === undefined ? NEVER : readHold(value, name)),
  capacity: validate.optional((value, name) => validate.integer(value, name, 1, MAX_CAPACITY)),
  insight: validate.optional(readInsight),
}

const { name: readName, shared: readShared, clock: readClock } = SHARING
const ALL: validate.Readers<ResolvedConcurrency> = {
  ...WAITING,
  name: readName,
  shared: readShared,
  clock: readClock,
}

/** Names of the options that a limiter of permits has wherever they are counted. */
export const WAITING_OPTIONS: readonly string[] = Object.keys(WAITING)
/** Names of the options of a limiter of this process or host. */
export const CONCURRENCY_OPTIONS: readonly string[] = Object.keys(ALL)

function readHold(value: unknown, name: string): number {
  return validate.integer(value, name, 1, DAY_MS)
}

/**
 * Checks options and fills in the defaults.
 *
 * @throws TypeError or RangeError that names the option, its value and what is accepted
 */
export function resolveConcurrency(options: ConcurrencyOptions): ResolvedConcurrency {
  refuseMisplaced(
    options,
    ['perKey', 'total'],
    'limits are the first argument, as in new ConcurrencyLimiter({ perKey: 4 })',
  )
  refuseStore(options)
  const resolved = validate.readOptions<ResolvedConcurrency>(options, ALL)
  const { name, shared, clock } = resolved
  if (shared && name === undefined) throw optionError('shared: true requires name')
  if (shared && clock !== undefined) {
    throw optionError('shared: true excludes clock: processes must have the same time')
  }
  return resolved
}

/** The same for {@link WaitingOptions} alone, among others. */
export function readWaiting(options: WaitingOptions): ResolvedWaiting {
  return validate.readEach<ResolvedWaiting>(options, WAITING)
}

/** @throws TypeError for an option of a store: a limiter of this host has none */
function refuseStore(options: unknown): void {
  refuseMisplaced(
    options,
    ['storage', 'keyPrefix', ...OF_STORE],
    'permits in a store are those of createConcurrencyLimiter({ perKey, storage })',
  )
}

/** @throws TypeError that says where options belong which are given in another place */
function refuseMisplaced(options: unknown, names: readonly string[], where: string): void {
  if (typeof options !== 'object' || options === null) return
  const found = names.find((name) => Object.hasOwn(options, name))
  if (found !== undefined)
    throw optionError(`unknown option ${validate.printable(found)}: ${where}`)
}

function optionError(message: string): Error {
  return validate.withCode(new TypeError(message), 'INVALID_OPTION')
}

/** What is accepted as limits, in words. */
const LIMITS = 'how many permits a key may hold, or { perKey, total } with at least one of the two'

/**
 * Reads the limits: a number stands for `perKey`.
 *
 * @param name what they were given as
 * @throws TypeError or RangeError that names the limit, its value and what is accepted
 */
export function readConcurrencyLimits(
  value: unknown,
  name = 'limits',
): Readonly<ConcurrencyLimits> {
  if (typeof value === 'number') return Object.freeze({ perKey: readPermits(value, name) })
  if (typeof value !== 'object' || value === null) {
    throw validate.invalid(TypeError, 'INVALID_OPTION', name, LIMITS, value)
  }
  refuseMisplaced(
    value,
    CONCURRENCY_OPTIONS,
    'options are the second argument, as in new ConcurrencyLimiter({ perKey: 4 }, { queue: 16 })',
  )
  refuseStore(value)
  const { perKey, total } = validate.ownOptions(value as ConcurrencyLimits, ['perKey', 'total'])
  if (perKey === undefined && total === undefined) {
    throw validate.invalid(TypeError, 'INVALID_OPTION', name, LIMITS, value)
  }
  const limits = {
    ...(perKey === undefined ? {} : { perKey: readPermits(perKey, 'perKey') }),
    ...(total === undefined ? {} : { total: readPermits(total, 'total') }),
  }
  return Object.freeze(limits)
}

/** @param most as many permits as can be counted there */
export function readPermits(value: unknown, name: string, most: number = MAX_PERMITS): number {
  return validate.integer(value, name, 1, most)
}

/** Options of one call of `acquire`. */
export interface ReadAcquire {
  readonly maxWaitMs: number
  readonly signal: AbortSignal | undefined
}
