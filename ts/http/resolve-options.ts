import { type AddressRanges, readRanges } from '../client-ip/cidr.ts'
import { readTrust, type Trust } from '../client-ip/trust-proxy.ts'
import type { LimitInput } from '../limit/limit.ts'
import { readDuration } from '../limit/parse.ts'
import { LIMITER_OPTIONS, type RateLimiterOptions, resolveOptions } from '../options.ts'
import { checkRedisOptions, REDIS_OPTIONS } from '../redis/key.ts'
import { readOnError } from '../remote/options.ts'
import { SETTINGS, type Settings, withSettings } from '../settings.ts'
import { isLimiter } from '../storage-url.ts'
import { boolean, integer, invalid, oneOf, optional, ownOptions, text } from '../validate.ts'
import { type Counts, readCountWhen } from './count-when.ts'
import type { Hooks } from './events.ts'
import { countedAs } from './exemptions.ts'
import { readHeaderStyle } from './headers.ts'
import { byIp } from './key-functions.ts'
import type { HttpOptions, RedisSettings } from './options.ts'
import type { LimitsFunction } from './request-limits.ts'

/** Options that are as they were given. */
type Given = 'limits' | 'cost' | 'skip' | 'scope' | 'message' | 'handler' | 'storage'
/** Options that have a default. */
type Filled =
  | 'key'
  | 'missingKey'
  | 'onKeyError'
  | 'keyTimeoutMs'
  | 'outcomeTimeoutMs'
  | 'headers'
  | 'status'
  | 'problem'
  | 'dryRun'

/** Options that have been checked, with every default filled in. */
export type ResolvedHttpOptions<Request, Response> = Required<
  Pick<HttpOptions<Request, Response>, Given>
> & {
  readonly [Name in Filled]: NonNullable<HttpOptions<Request, Response>[Name]>
} & {
  readonly trust: Trust | undefined
  readonly methods: ReadonlySet<string> | undefined
  readonly allow: AddressRanges | undefined
  readonly deny: AddressRanges | undefined
  readonly counts: Counts<Request> | undefined
  readonly stepsMs: readonly number[] | undefined
  readonly slowDownMs: number | undefined
  readonly policy: readonly string[]
  readonly hooks: Hooks<Request>
  /** For the limiter itself. */
  readonly limiter: RateLimiterOptions
  /** For a limiter in Redis. */
  readonly forRedis: RedisSettings
}

/** Checks the value of an option, `undefined` where it is not given, and returns what it stands for. */
type Reader = (value: unknown, name: string) => unknown

const asGiven: Reader = (value) => value
const optionalText = (max: number): Reader => optional((value, name) => text(value, name, 1, max))
const number =
  (byDefault: number, min: number, max: number): Reader =>
  (value, name) =>
    integer(value ?? byDefault, name, min, max)
const word =
  (...words: [byDefault: string, ...others: string[]]): Reader =>
  (value, name) =>
    oneOf(value ?? words[0], name, words)
const onOrOff: Reader = (value = false, name) => boolean(value, name)
const optionalFunction: Reader = optional((value, name) => {
  if (typeof value === 'function') return value
  throw invalid(TypeError, 'INVALID_OPTION', name, 'a function', value)
})

/** The options that are read here; those that a limiter also has, it reads itself. */
type OwnOption =
  | Exclude<
      keyof HttpOptions<unknown>,
      keyof RateLimiterOptions | keyof RedisSettings | keyof Settings
    >
  | 'blockFor'
  | 'onError'

/** Each option with its reader: the only list of their names. */
const READERS: Readonly<Record<OwnOption, Reader>> = {
  limits: asGiven,
  key: (value, name) => optionalFunction(value, name) ?? byIp(),
  cost: (value, name) =>
    typeof value === 'number'
      ? integer(value, name, 0, Number.MAX_SAFE_INTEGER)
      : optionalFunction(value, name),
  trust: optional(readTrust),
  methods: optional(readMethods),
  skip: optionalFunction,
  allow: optional(readRanges),
  deny: optional(readRanges),
  scope: optionalText(100),
  countWhen: readCountWhen,
  outcomeTimeoutMs: number(30_000, 1, 600_000),
  blockFor: (value, name) => (Array.isArray(value) ? readSteps(value, name) : value),
  slowDown: optional(readDuration),
  missingKey: word('deny', 'shared', 'ip'),
  onKeyError: word('ip', 'deny'),
  keyTimeoutMs: number(1_000, 1, 60_000),
  headers: readHeaderStyle,
  policy: readPolicyNames,
  status: number(429, 400, 599),
  message: optionalText(1_000),
  problem: onOrOff,
  handler: optionalFunction,
  dryRun: onOrOff,
  onAdmit: optionalFunction,
  onDeny: optionalFunction,
  onError: (value, name) => (typeof value === 'string' ? value : optionalFunction(value, name)),
  onStoreError: optional(readOnError),
  storage: asGiven,
}
const OF_LIMITERS = [...LIMITER_OPTIONS, ...REDIS_OPTIONS].filter((name) => name !== 'shared')
const KNOWN = [...new Set([...Object.keys(READERS), ...OF_LIMITERS, ...SETTINGS])]

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
export function ownHttpOptions<Request, Response>(
  options: HttpOptions<Request, Response>,
): HttpOptions<Request, Response> {
  return withSettings(ownKnown(options)) as HttpOptions<Request, Response>
}

/** `limits: undefined` is a setting that is missing: the server would have no limit without anyone noticing. */
function ownKnown<Request, Response>(
  options: HttpOptions<Request, Response>,
): HttpOptions<Request, Response> {
  const own = ownOptions(options, KNOWN)
  if (!Object.hasOwn(own, 'limits')) {
    return isLimiter(own.storage) ? { ...own, limits: own.storage.limits } : own
  }
  if (own.limits !== undefined) return own
  const accepted = 'a limit, an array of them or a function of the request, or left out'
  throw invalid(TypeError, 'INVALID_OPTION', 'limits', accepted, undefined)
}

/** Limits in any form, as options, without the environment: {@link inheritedFrom} has its settings already. */
export function asHttpOptions<Request, Response>(
  given: LimitInput | LimitsFunction<Request> | HttpOptions<Request, Response>,
  name: string,
): HttpOptions<Request, Response> {
  if (typeof given === 'string' || typeof given === 'function' || Array.isArray(given)) {
    return { limits: given as LimitInput }
  }
  if (typeof given !== 'object' || given === null) {
    const accepted = 'a limit string, an array of them or options'
    throw invalid(TypeError, 'INVALID_OPTION', name, accepted, given)
  }
  if (Object.hasOwn(given, 'count')) return { limits: given as LimitInput }
  const own = ownKnown(given as HttpOptions<Request, Response>)
  return withSettings(own, {}) as HttpOptions<Request, Response>
}

/** The options that also apply to other limits: not the limits, nor what belongs to them alone. */
export function inheritedFrom<Request, Response>(
  options: HttpOptions<Request, Response>,
): HttpOptions<Request, Response> {
  const { limits: _l, burst: _b, name: _n, scope: _s, policy: _p, ...inherited } = options
  return inherited
}

/**
 * @param own options as {@link ownHttpOptions} or {@link asHttpOptions} returns them
 * @throws TypeError or RangeError that names the option, its value and what is accepted
 */
export function resolveHttpOptions<Request, Response>(
  own: HttpOptions<Request, Response>,
): ResolvedHttpOptions<Request, Response> {
  // Without a prototype: a polluted one must not set an option.
  const given: Record<string, unknown> = Object.assign(Object.create(null), own)
  const read = Object.fromEntries(
    Object.entries(READERS).map(([name, reader]) => [name, reader(given[name], name)]),
  )
  const { countWhen, slowDown, blockFor, onAdmit, onDeny, onError, ...others } = read
  const stepsMs = Array.isArray(blockFor) ? blockFor : undefined
  // A delayed request would wait for its turn and for the outcome of others at the same time.
  if (slowDown !== undefined && (stepsMs !== undefined || countWhen !== undefined)) {
    const accepted = 'left out beside countWhen or a blockFor with steps'
    throw invalid(TypeError, 'INVALID_OPTION', 'slowDown', accepted, own.slowDown)
  }
  const hooks = { onAdmit, onDeny, onError: typeof onError === 'string' ? undefined : onError }
  return {
    ...others,
    counts: countWhen,
    slowDownMs: slowDown,
    stepsMs,
    hooks,
    limiter: readLimiter(given),
    forRedis: readForRedis(given),
    // The readers of the table make each option what its type says.
  } as unknown as ResolvedHttpOptions<Request, Response>
}

function readLimiter(own: HttpOptions<unknown>): RateLimiterOptions {
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
function readForRedis(own: HttpOptions<unknown>): RedisSettings {
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
