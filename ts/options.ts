import type { Clock } from './clock.ts'
import { type InsightInput, readInsight } from './counting.ts'
import { type Limit, ownBurst } from './limit/limit.ts'
import { readDuration } from './limit/parse.ts'
import * as validate from './validate.ts'

export const ALGORITHMS = [
  'token-bucket',
  'leaky-bucket',
  'sliding-window',
  'sliding-log',
  'fixed-window',
] as const

/** How requests are counted. The documentation says what each promises. */
export type Algorithm = (typeof ALGORITHMS)[number]

type Underscored<Name> = Name extends `${infer First}-${infer Second}`
  ? `${First}_${Second}`
  : never

/** An {@link Algorithm}, also as RateThrottle for Python spells it. */
export type AlgorithmInput =
  | Algorithm
  | 'sliding-counter'
  | Underscored<Algorithm | 'sliding-counter'>

/** What to do where there is no shared state that can be trusted. */
export type OnMismatch = 'error' | 'private'

/** Options of a {@link RateLimiter}. */
export interface RateLimiterOptions {
  /** How requests are counted. Default: `'token-bucket'`. */
  readonly algorithm?: AlgorithmInput | undefined
  /**
   * Units that the bucket of the limit with the shortest window holds, from 1 to 1,000,000,000: a burst below the
   * count paces, and 1 admits one unit at a time. Other limits take a `burst` of their own, see `Limit`.
   * For token-bucket and leaky-bucket. Default: the count.
   */
  readonly burst?: number | undefined
  /** After a denial, deny the key for this long: `'5 minutes'`, or milliseconds. Default: 0, off. */
  readonly blockFor?: string | number | undefined
  /**
   * Keys expected to be live at once, up to 134,217,728. Memory is reserved up front and never grows:
   * 32 bytes a key and limit (sliding-log: 16 more for each unit of the count), of which only pages in
   * use are resident. Default: 100,000; for a sliding-log as many as fit 256 MiB, if that is fewer.
   */
  readonly capacity?: number | undefined
  /** One state for all worker_threads of the process that use this name. Default: a state that no other limiter uses. */
  readonly name?: string | undefined
  /**
   * Tier `shared`: one state for all processes of this user on this host that use the same `name` and the
   * same limits. Takes no `clock`: they must all have one time. Default: false.
   */
  readonly shared?: boolean | undefined
  /**
   * When there is no shared state to be had that can be trusted: fail, or count in this process alone,
   * with a warning. Only with `shared`. Default: `'error'`.
   */
  readonly onMismatch?: OnMismatch | undefined
  /** Where the time comes from. Default: the system's monotonic clock. */
  readonly clock?: Clock | undefined
  /**
   * Callers and requests that may wait for one key at once (`wait`, `slowDown`, `countWhen`): further ones are
   * refused at once. Each takes about 1 KB, and a parked request what Node keeps of it besides. From 1 on.
   * Default: 1,000.
   */
  readonly maxWaitersPerKey?: number | undefined
  /** The same for all keys of the limiter together. From 1 on. Default: 10,000. */
  readonly maxWaiters?: number | undefined
  /** Counts what the limiter does: what `insight()` of ratethrottle/insight returns. Default: off. */
  readonly insight?: InsightInput | undefined
}

/** Options with every default filled in. */
export interface ResolvedOptions extends Required<Omit<RateLimiterOptions, 'blockFor'>> {
  readonly algorithm: Algorithm
  readonly blockForMs: number
  readonly shared: boolean
  readonly onMismatch: OnMismatch
  readonly maxWaitersPerKey: number
  readonly maxWaiters: number
}

const ALGORITHMS_IN_WORDS =
  'token-bucket, leaky-bucket, sliding-window, sliding-log or fixed-window (the default is token-bucket)'
const MAX_BURST = 1_000_000_000
const MAX_CAPACITY = 134_217_728
const MAX_NAME_LENGTH = 128
const MAX_WAITERS = 10_000_000

type ReadOptions = Omit<ResolvedOptions, 'blockForMs' | 'onMismatch'> & {
  readonly blockFor: number
  readonly onMismatch: OnMismatch | undefined
}

/** What says who shares a state, of a limiter or a shield. */
export interface Sharing {
  readonly name: string | undefined
  readonly shared: boolean
  readonly onMismatch: OnMismatch | undefined
  readonly clock: Clock | undefined
}

/** Readers of the options that say who shares a state. */
export const SHARING: validate.Readers<Sharing> = {
  name: validate.optional((value, name) => validate.text(value, name, 1, MAX_NAME_LENGTH)),
  shared: (value = false, name) => validate.boolean(value, name),
  onMismatch: validate.optional((value, name) => validate.oneOf(value, name, ['error', 'private'])),
  clock: validate.optional(readClock),
}

/** Each option with its reader: the only list of their names. */
const READERS: validate.Readers<ReadOptions> = {
  algorithm: (value = 'token-bucket', name) => readAlgorithm(value, name),
  burst: validate.optional((value, name) => validate.integer(value, name, 1, MAX_BURST)),
  blockFor: (value = 0, name) => (value === 0 ? 0 : readDuration(value, name)),
  capacity: validate.optional((value, name) => validate.integer(value, name, 1, MAX_CAPACITY)),
  ...SHARING,
  maxWaitersPerKey: (value, name) => validate.integer(value ?? 1_000, name, 1, MAX_WAITERS),
  maxWaiters: (value, name) => validate.integer(value ?? 10_000, name, 1, MAX_WAITERS),
  insight: validate.optional(readInsight),
}

/** Names of the options of every limiter. */
export const LIMITER_OPTIONS: readonly string[] = Object.keys(READERS)

/**
 * Checks options and fills in the defaults. Each is read once; unknown ones are refused, because a
 * misspelt `blockFor` that does nothing is worse than a start that fails.
 */
export function resolveOptions(options: RateLimiterOptions): ResolvedOptions {
  const {
    blockFor: blockForMs,
    onMismatch,
    ...rest
  } = validate.readOptions<ReadOptions>(options, READERS)
  return { ...rest, blockForMs, onMismatch: checkSharing({ ...rest, onMismatch }) }
}

/**
 * Checks that options that say who shares a state fit together.
 *
 * @returns what to do where there is no shared state
 */
export function checkSharing({ name, shared, onMismatch, clock }: Sharing): OnMismatch {
  if (shared && name === undefined) throw optionError('shared: true requires name')
  if (shared && clock !== undefined) {
    throw optionError('shared: true excludes clock: processes must have the same time')
  }
  if (!shared && onMismatch !== undefined) throw optionError('onMismatch requires shared: true')
  return onMismatch ?? 'error'
}

function optionError(message: string): Error {
  return validate.withCode(new TypeError(message), 'INVALID_OPTION')
}

/** @param name what the value was given as */
export function readAlgorithm(value: unknown, name: string): Algorithm {
  const spelled = typeof value === 'string' ? value.replaceAll('_', '-') : undefined
  if (spelled === 'sliding-counter') return 'sliding-window'
  const known = ALGORITHMS.find((algorithm) => algorithm === spelled)
  if (known !== undefined) return known
  throw validate.invalid('string', 'INVALID_OPTION', name, ALGORITHMS_IN_WORDS, value)
}

export function readClock(value: unknown, name: string): Clock {
  // `Date` is a clock too, and a function.
  const isObject = (typeof value === 'object' && value !== null) || typeof value === 'function'
  if (!isObject || !('now' in value) || typeof value.now !== 'function') {
    const accepted = 'an object with now(): number in milliseconds'
    throw validate.invalid(TypeError, 'INVALID_OPTION', name, accepted, value)
  }
  if ('setTimer' in value && !['function', 'undefined'].includes(typeof value.setTimer)) {
    const accepted = 'a function, or absent'
    throw validate.invalid(
      TypeError,
      'INVALID_OPTION',
      `${name}.setTimer`,
      accepted,
      value.setTimer,
    )
  }
  return value as Clock
}

const NO_BURST = 'absent: only token-bucket and leaky-bucket have one'

/**
 * Limits with the burst that each of them has: its own, or option `burst` for the one with the shortest window.
 *
 * @throws RangeError with code INVALID_OPTION for a burst where the algorithm has none, or for two of one limit
 */
export function withBurst(
  limits: readonly Limit[],
  { algorithm, burst }: { readonly algorithm: Algorithm; readonly burst: number | undefined },
): readonly Limit[] {
  if (algorithm !== 'token-bucket' && algorithm !== 'leaky-bucket') {
    const own = limits.findIndex((limit) => ownBurst(limit) !== undefined)
    if (own >= 0) throw burstError(`limits[${own}].burst`, NO_BURST, limits[own]?.burst)
    if (burst !== undefined) throw burstError('burst', NO_BURST, burst)
  }
  if (burst === undefined) return limits
  const shortest = shortestOf(limits)
  if (ownBurst(limits[shortest] as Limit) !== undefined) {
    const once = `absent, as limits[${shortest}], the limit with the shortest window, has a burst already`
    throw burstError('burst', once, burst)
  }
  return Object.freeze(
    limits.map((limit, i) => (i === shortest ? Object.freeze({ ...limit, burst }) : limit)),
  )
}

/** Index of the limit with the shortest window, the first of equals. */
export function shortestOf(limits: readonly Limit[]): number {
  const least = Math.min(...limits.map((limit) => limit.windowMs))
  return limits.findIndex((limit) => limit.windowMs === least)
}

function burstError(name: string, accepted: string, value: unknown): Error {
  return validate.invalid(RangeError, 'INVALID_OPTION', name, accepted, value)
}
