import { type AddressRanges, readRanges } from '../client-ip/cidr.ts'
import { readTrust, type Trust } from '../client-ip/trust-proxy.ts'
import type { LimitInput } from '../limit/limit.ts'
import { readDuration } from '../limit/parse.ts'
import { LIMITER_OPTIONS, type RateLimiterOptions, resolveOptions } from '../options.ts'
import { checkRedisOptions, REDIS_OPTIONS } from '../redis/key.ts'
import { readOnError } from '../remote/options.ts'
import { isLimiter, SETTINGS, type Settings, withSettings } from '../storage-url.ts'
import {
  boolean,
  integer,
  invalid,
  oneOf,
  optional,
  ownOptions,
  type Readers,
  readEach,
  text,
} from '../validate.ts'
import type { KeyErrorPolicy, MissingKey } from './client.ts'
import { type Counts, countedAs, readCountWhen } from './counted-requests.ts'
import type { Hooks } from './events.ts'
import { type HeaderStyle, readHeaderStyle } from './headers.ts'
import { byIp, type KeyFunction } from './key-functions.ts'
import type { AnyHttpOptions, HttpOptions, RedisSettings } from './options.ts'
import type { LimitsFunction } from './request-limits.ts'

/** The options that are read here; those that a limiter also has, it reads itself. */
type Own = Omit<
  HttpOptions<object, object>,
  keyof Omit<RateLimiterOptions, 'blockFor'> | keyof Omit<RedisSettings, 'onError'> | keyof Settings
>

/** What the readers make of options that are not as they were given. */
interface Read extends Required<Hooks<object>> {
  readonly key: KeyFunction<object>
  readonly trust: Trust | undefined
  readonly methods: ReadonlySet<string> | undefined
  readonly allow: AddressRanges | undefined
  readonly deny: AddressRanges | undefined
  readonly countWhen: Counts | undefined
  readonly outcomeTimeoutMs: number
  /** Several steps, in milliseconds. A single block is the limiter's own. */
  readonly blockFor: readonly number[] | undefined
  /** In milliseconds. */
  readonly slowDown: number | undefined
  readonly missingKey: MissingKey
  readonly onKeyError: KeyErrorPolicy
  readonly keyTimeoutMs: number
  readonly headers: HeaderStyle
  readonly policy: readonly string[]
  readonly status: number
  readonly problem: boolean
  readonly dryRun: boolean
}

type ReadOptions = Required<Omit<Own, keyof Read>> & Read

/** Options that have been checked, with every default filled in. */
export type ResolvedHttpOptions = ReadOptions & {
  /** For the limiter itself. */
  readonly limiter: RateLimiterOptions
  /** For a limiter in Redis. */
  readonly forRedis: RedisSettings
}

/** Each option with its reader: the only list of their names. */
const READERS: Readers<ReadOptions> = {
  limits: (value) => value as ReadOptions['limits'],
  key: (value, name) => readFunction<KeyFunction<object>>(value, name) ?? byIp(),
  cost: (value, name) =>
    typeof value === 'number'
      ? integer(value, name, 0, Number.MAX_SAFE_INTEGER)
      : readFunction(value, name),
  trust: optional(readTrust),
  methods: optional(readMethods),
  skip: readFunction,
  allow: optional(readRanges),
  deny: optional(readRanges),
  scope: optional((value, name) => text(value, name, 1, 100)),
  countWhen: readCountWhen,
  outcomeTimeoutMs: (value, name) => integer(value ?? 30_000, name, 1, 600_000),
  blockFor: (value, name) => (Array.isArray(value) ? readSteps(value, name) : undefined),
  slowDown: optional(readDuration),
  missingKey: (value, name) => oneOf(value ?? 'deny', name, ['deny', 'shared', 'ip']),
  onKeyError: (value, name) => oneOf(value ?? 'ip', name, ['ip', 'deny']),
  keyTimeoutMs: (value, name) => integer(value ?? 1_000, name, 1, 60_000),
  headers: readHeaderStyle,
  policy: readPolicyNames,
  status: (value, name) => integer(value ?? 429, name, 400, 599),
  message: optional((value, name) => text(value, name, 1, 1_000)),
  problem: (value = false, name) => boolean(value, name),
  handler: readFunction,
  dryRun: (value = false, name) => boolean(value, name),
  onAdmit: readFunction,
  onDeny: readFunction,
  // A text is what to do when the store fails.
  onError: (value, name) => (typeof value === 'string' ? undefined : readFunction(value, name)),
  onStoreError: optional(readOnError),
  storage: (value) => value as ReadOptions['storage'],
}
const OF_LIMITERS = [...LIMITER_OPTIONS, ...REDIS_OPTIONS].filter((name) => name !== 'shared')
const KNOWN = [...new Set([...Object.keys(READERS), ...OF_LIMITERS, ...SETTINGS])]

function readFunction<T>(value: unknown, name: string): T | undefined {
  if (value === undefined || typeof value === 'function') return value as T | undefined
  throw invalid(TypeError, 'INVALID_OPTION', name, 'a function', value)
}

/** Steps of `blockFor`, in milliseconds. */
function readSteps(steps: readonly unknown[], name: string): readonly number[] {
  if (steps.length > 0) return steps.map((step, i) => readDuration(step, `${name}[${i}]`))
  throw invalid(RangeError, 'INVALID_OPTION', name, 'a duration, or at least one step', steps)
}

function readMethods(methods: unknown, name: string): ReadonlySet<string> {
  const accepted = 'an array of methods such as ["POST"]'
  if (!Array.isArray(methods) || methods.length === 0) {
    throw invalid(TypeError, 'INVALID_OPTION', name, accepted, methods)
  }
  const read = methods.map((value: unknown, i) => {
    const method = typeof value === 'string' ? value.toUpperCase() : ''
    if (/^[A-Z][A-Z-]*$/.test(method)) return countedAs(method)
    throw invalid(TypeError, 'INVALID_OPTION', `${name}[${i}]`, 'a method', value)
  })
  return new Set(read)
}

function readPolicyNames(value: unknown, name: string): readonly string[] {
  if (value === undefined) return []
  const names = [value].flat()
  return names.map((one, i) => readPolicyName(one, names.length > 1 ? `${name}[${i}]` : name))
}

/**
 * The options that are `options`' own, with `RATELIMIT_*` settings, also those of the environment, turned into the
 * options they stand for. Reads the environment: once for a limiter and all that it makes.
 *
 * @throws TypeError or RangeError unless all are known
 */
export function ownHttpOptions<Options extends AnyHttpOptions>(options: Options): Options {
  return withSettings(ownKnown(options)) as Options
}

/** `limits: undefined` is a setting that is missing: the server would have no limit without anyone noticing. */
function ownKnown<Options extends AnyHttpOptions>(options: Options): Options {
  const own = ownOptions(options, KNOWN)
  if (!Object.hasOwn(own, 'limits')) {
    return isLimiter(own.storage) ? { ...own, limits: own.storage.limits } : own
  }
  if (own.limits !== undefined) return own
  const accepted = 'a limit, an array of them or a function of the request, or left out'
  throw invalid(TypeError, 'INVALID_OPTION', 'limits', accepted, undefined)
}

/** Limits in any form, as options, without the environment: {@link inheritedFrom} has its settings already. */
export function asHttpOptions<Options extends AnyHttpOptions>(
  given: LimitInput | LimitsFunction<never> | Options,
  name: string,
): Options {
  if (typeof given === 'string' || typeof given === 'function' || Array.isArray(given)) {
    return { limits: given } as Options
  }
  if (typeof given !== 'object' || given === null) {
    const accepted = 'a limit string, an array of them or options'
    throw invalid(TypeError, 'INVALID_OPTION', name, accepted, given)
  }
  if (Object.hasOwn(given, 'count')) return { limits: given as LimitInput } as Options
  return withSettings(ownKnown(given as Options), {}) as Options
}

/** The options that also apply to other limits: not the limits, nor what belongs to them alone. */
export function inheritedFrom<Options extends AnyHttpOptions>(options: Options): Options {
  const { limits: _l, burst: _b, name: _n, scope: _s, policy: _p, ...inherited } = options
  return inherited as Options
}

/**
 * @param own options as {@link ownHttpOptions} or {@link asHttpOptions} returns them
 * @throws TypeError or RangeError that names the option, its value and what is accepted
 */
export function resolveHttpOptions(own: AnyHttpOptions): ResolvedHttpOptions {
  // Without a prototype: a polluted one must not set an option.
  const given: AnyHttpOptions = Object.assign(Object.create(null), own)
  const read = readEach(given, READERS)
  const { slowDown, blockFor, countWhen } = read
  // A delayed request would wait for its turn and for the outcome of others at the same time.
  if (slowDown !== undefined && (blockFor !== undefined || countWhen !== undefined)) {
    const accepted = 'left out beside countWhen or a blockFor with steps'
    throw invalid(TypeError, 'INVALID_OPTION', 'slowDown', accepted, own.slowDown)
  }
  return { ...read, limiter: readLimiter(given), forRedis: readForRedis(given) }
}

function readLimiter(own: AnyHttpOptions): RateLimiterOptions {
  const { name, scope, blockFor, onMismatch } = own
  if (name !== undefined && scope !== undefined) {
    const accepted = 'left out beside scope, which is a name for the counters, too'
    throw invalid(TypeError, 'INVALID_OPTION', 'name', accepted, name)
  }
  const { algorithm, burst, capacity, maxWaitersPerKey, maxWaiters, clock } = own
  const limiter: RateLimiterOptions = {
    algorithm,
    burst,
    blockFor: Array.isArray(blockFor) ? undefined : (blockFor as string | number | undefined),
    capacity,
    maxWaitersPerKey,
    maxWaiters,
    name: scope === undefined ? name : `scope:${scope}`,
    clock,
  }
  resolveOptions(limiter)
  return onMismatch === undefined ? limiter : { ...limiter, onMismatch }
}

/** Checked wherever the counters are: a wrong one should not surface on the day of the move to Redis. */
function readForRedis(own: AnyHttpOptions): RedisSettings {
  const { onError, onStoreError } = own
  const policy = typeof onError === 'string' ? onError : onStoreError
  const named = REDIS_OPTIONS.map((name) => [name, own[name as keyof typeof own]] as const)
  const given = [...named.filter(([name]) => name !== 'onError'), ['onError', policy] as const]
  const forRedis = Object.fromEntries(given.filter(([, value]) => value !== undefined))
  checkRedisOptions(forRedis)
  return forRedis
}

const MAX_POLICY_NAME_LENGTH = 64

/** @throws TypeError or RangeError unless it can be sent as a String of RFC 9651: printable ASCII */
function readPolicyName(value: unknown, name: string): string {
  const isText = typeof value === 'string'
  if (isText && value.length <= MAX_POLICY_NAME_LENGTH && /^[\x20-\x7e]+$/.test(value)) return value
  const accepted = `1 to ${MAX_POLICY_NAME_LENGTH} printable ASCII characters`
  throw invalid(isText ? RangeError : TypeError, 'INVALID_OPTION', name, accepted, value)
}
