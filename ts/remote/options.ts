import { readDuration } from '../limit/parse.ts'
import {
  LIMITER_OPTIONS,
  type RateLimiterOptions,
  type ResolvedOptions,
  resolveOptions,
} from '../options.ts'
import * as validate from '../validate.ts'
import type { OnError, StoreListener } from './failure.ts'

/** Units taken from the store ahead of need. */
export interface LeaseOptions {
  /** Most units of a key that a process holds at once: 1 to 1,000,000. */
  readonly size: number
  /** Longest a process holds them: `'1 second'`, or milliseconds. Default: 1 second. */
  readonly ttl?: string | number | undefined
}

/** Options of a limiter whose counters live in a store behind a network. */
export interface RemoteOptions extends RateLimiterOptions {
  /** What decides while the store does not. Default: `'local'`. */
  readonly onError?: OnError | undefined
  /**
   * Longest a decision takes once there was a connection, in milliseconds, whatever happens to the store: 1 to
   * 60,000. Default: 50.
   */
  readonly deadlineMs?: number | undefined
  /**
   * Longest a decision waits for the first connection of the process, in milliseconds: 1 to 60,000.
   * Default: 2,000. Afterwards `deadlineMs` holds. As many calls wait as `maxWaitersPerKey` and `maxWaiters` let.
   */
  readonly connectTimeoutMs?: number | undefined
  /**
   * Denies a denied key again without asking the store, until the time that the store named, but no longer than
   * 30 seconds. A duration sets another maximum, false always asks. Another process's refund or reset of the key is
   * seen no later than that. Default: true.
   */
  readonly localDenials?: boolean | string | number | undefined
  /** Takes units from the store in batches, so that most checks need no round trip. Default: off. */
  readonly lease?: LeaseOptions | undefined
  /**
   * Processes that share the limits, for `onError: 'local'`. Default: as many as were seen alive while the
   * store answered, 1 if it never has.
   */
  readonly processes?: number | undefined
  /** Is called when the store stops or begins to decide. */
  readonly onStoreChange?: StoreListener | undefined
}

/** A lease with its default filled in. */
export interface ResolvedLease {
  readonly size: number
  readonly ttlMs: number
}

/** What {@link RemoteOptions} add to the options of every limiter, with every default filled in. */
export interface RemoteSettings {
  readonly onError: OnError
  readonly deadlineMs: number
  readonly connectTimeoutMs: number
  /** 0 is off. */
  readonly localDenialsMs: number
  readonly lease: ResolvedLease | undefined
  readonly processes: number | undefined
  readonly onStoreChange: StoreListener | undefined
}

/** Options with every default filled in. */
export interface ResolvedRemoteOptions extends ResolvedOptions, RemoteSettings {}

/** After this long an operator's reset in another process is seen, whatever a denial said. */
const MAX_DENIAL_MS = 30_000
const MAX_TIMEOUT_MS = 60_000
const MAX_LEASE = 1_000_000
const MAX_PROCESSES = 1_000_000

type ReadOptions = Omit<RemoteSettings, 'localDenialsMs'> & { readonly localDenials: number }

/** Each option with its reader: the only list of their names. */
const READERS: validate.Readers<ReadOptions> = {
  onError: (value = 'local', name) => readOnError(value, name),
  deadlineMs: (value = 50, name) => validate.integer(value, name, 1, MAX_TIMEOUT_MS),
  connectTimeoutMs: (value = 2_000, name) => validate.integer(value, name, 1, MAX_TIMEOUT_MS),
  localDenials: readLocalDenials,
  lease: validate.optional(readLease),
  processes: validate.optional((value, name) => validate.integer(value, name, 1, MAX_PROCESSES)),
  onStoreChange: validate.optional(readListener),
}

/** Names of the options that a limiter in a store has beside those of every limiter. */
export const REMOTE_OPTIONS: readonly string[] = Object.keys(READERS)

/**
 * Checks the options of a limiter in a store, and fills in the defaults.
 *
 * @param others names of options that the store has beside these
 * @throws TypeError or RangeError that names the option, its value and what is accepted
 */
export function resolveRemoteOptions(
  options: RemoteOptions,
  others: readonly string[] = [],
): ResolvedRemoteOptions {
  const own = validate.ownOptions(options, [...LIMITER_OPTIONS, ...REMOTE_OPTIONS, ...others])
  if (own.shared !== undefined && own.shared !== false) {
    const accepted = 'absent, as it is for processes of one host, which share no store'
    throw validate.invalid(TypeError, 'INVALID_OPTION', 'shared', accepted, own.shared)
  }
  const ofLimiter = Object.entries(own).filter(([name]) => LIMITER_OPTIONS.includes(name))
  return { ...resolveOptions(Object.fromEntries(ofLimiter)), ...readRemoteSettings(own) }
}

/** Checks these options and fills in the defaults: see {@link resolveRemoteOptions}. */
export function readRemoteSettings(options: RemoteOptions): RemoteSettings {
  const { localDenials: localDenialsMs, ...read } = validate.readEach<ReadOptions>(options, READERS)
  return { ...read, localDenialsMs }
}

/** @param name what it is called where it was given */
export function readOnError(value: unknown, name: string): OnError {
  return validate.oneOf(value, name, ['local', 'open', 'closed'])
}

function readLocalDenials(value: unknown = true, name: string): number {
  if (value === true) return MAX_DENIAL_MS
  return value === false ? 0 : readDuration(value, name)
}

function readLease(value: unknown, name: string): ResolvedLease {
  if (typeof value !== 'object' || value === null) {
    throw validate.invalid(TypeError, 'INVALID_OPTION', name, 'an object { size, ttl }', value)
  }
  const { size, ttl = 1_000 } = validate.ownOptions(value as LeaseOptions, ['size', 'ttl'])
  return {
    size: validate.integer(size, `${name}.size`, 1, MAX_LEASE),
    ttlMs: readDuration(ttl, `${name}.ttl`),
  }
}

function readListener(value: unknown, name: string): StoreListener {
  if (typeof value === 'function') return value as StoreListener
  throw validate.invalid(TypeError, 'INVALID_OPTION', name, 'a function', value)
}
