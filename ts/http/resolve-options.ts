import { type AddressRanges, readRanges } from '../client-ip/cidr.ts'
import { readTrust, type Trust } from '../client-ip/trust-proxy.ts'
import type { LimitInput } from '../limit/limit.ts'
import { readDuration } from '../limit/parse.ts'
import { LIMITER_OPTIONS, type RateLimiterOptions, resolveOptions } from '../options.ts'
import { REDIS_OPTIONS, readSettings } from '../redis/options.ts'
import { readOnError } from '../remote/options.ts'
import { SETTINGS, type Settings, withSettings } from '../settings.ts'
import { integer, invalid, mustBe, ownOptions } from '../validate.ts'
import type { KeyErrorPolicy, MissingKey } from './client-key.ts'
import { type Counts, readCountWhen } from './count-when.ts'
import type { Hooks } from './events.ts'
import type { Skip } from './exemptions.ts'
import { type HeaderStyle, readHeaderStyle } from './headers.ts'
import { byIp, type KeyFunction } from './key-functions.ts'
import type { Handler, HttpOptions, RedisSettings } from './options.ts'
import type { LimitsFunction } from './request-limits.ts'
import {
  oneOf,
  readBoolean,
  readCost,
  readFunction,
  readMethods,
  readPolicyNames,
  readSteps,
  readText,
} from './values.ts'

/** Options that have been checked, with every default filled in. */
export interface ReadOptions<Request, Response> {
  readonly limits: LimitInput | LimitsFunction<Request> | undefined
  readonly key: KeyFunction<Request>
  readonly cost: HttpOptions<Request>['cost']
  readonly trust: Trust | undefined
  readonly methods: ReadonlySet<string> | undefined
  readonly skip: Skip<Request> | undefined
  readonly allow: AddressRanges | undefined
  readonly deny: AddressRanges | undefined
  readonly scope: string | undefined
  readonly counts: Counts<Request> | undefined
  readonly outcomeTimeoutMs: number
  readonly stepsMs: readonly number[] | undefined
  readonly slowDownMs: number | undefined
  readonly missingKey: MissingKey
  readonly onKeyError: KeyErrorPolicy
  readonly keyTimeoutMs: number
  readonly headers: HeaderStyle
  readonly policy: readonly string[]
  readonly status: number
  readonly message: string | undefined
  readonly problem: boolean
  readonly handler: Handler<Request, Response> | undefined
  readonly dryRun: boolean
  readonly hooks: Hooks<Request>
  /** For the limiter itself. */
  readonly limiter: RateLimiterOptions
  readonly storage: unknown
  /** For a limiter in Redis. */
  readonly forRedis: RedisSettings
}

/** What adapters have beside the options of limiters, and what they read themselves of those. */
type OwnOption =
  | Exclude<
      keyof HttpOptions<unknown>,
      keyof RateLimiterOptions | keyof RedisSettings | keyof Settings
    >
  | 'blockFor'
  | 'onError'

/** Checks the value of an option, `undefined` where it is not given, and says what it is then. */
type Reader = (value: unknown, name: string) => unknown

const asGiven = (value: unknown): unknown => value
/** Of an option that has no default. */
const optional =
  (read: Reader): Reader =>
  (value, name) =>
    value === undefined ? undefined : read(value, name)
const integerFrom =
  (byDefault: number, max: number, min = 1): Reader =>
  (value, name) =>
    integer(value ?? byDefault, name, min, max)
const word =
  (...words: [byDefault: string, ...others: string[]]): Reader =>
  (value, name) =>
    oneOf(value ?? words[0], words, name)
const text = (max: number): Reader => optional((value, name) => readText(value, max, name))

/**
 * Each option of {@link HttpOptions} with what reads it: the only list of their names. What a limiter itself
 * takes, that limiter reads.
 */
const READERS: Readonly<Record<OwnOption, Reader>> = {
  limits: asGiven,
  key: (value, name) => readFunction(value, name) ?? byIp(),
  cost: readCost,
  trust: optional(readTrust),
  methods: optional(readMethods),
  skip: readFunction,
  allow: optional(readRanges),
  deny: optional(readRanges),
  scope: text(100),
  countWhen: readCountWhen,
  outcomeTimeoutMs: integerFrom(30_000, 600_000),
  blockFor: (value) => (Array.isArray(value) ? readSteps(value) : value),
  slowDown: optional(readDuration),
  missingKey: word('deny', 'shared', 'ip'),
  onKeyError: word('ip', 'deny'),
  keyTimeoutMs: integerFrom(1_000, 60_000),
  headers: readHeaderStyle,
  policy: readPolicyNames,
  status: integerFrom(429, 599, 400),
  message: text(1_000),
  problem: readBoolean,
  handler: readFunction,
  dryRun: readBoolean,
  onAdmit: readFunction,
  onDeny: readFunction,
  onError: (value, name) => (typeof value === 'string' ? value : readFunction(value, name)),
  onStoreError: optional(readOnError),
  storage: asGiven,
}
const OF_LIMITERS = [...LIMITER_OPTIONS, ...REDIS_OPTIONS].filter((name) => name !== 'shared')
const KNOWN = [...new Set([...Object.keys(READERS), ...OF_LIMITERS, ...SETTINGS])]

/**
 * The options that are `options`' own, `RATELIMIT_*` settings turned into what they stand for, those of the
 * environment as well.
 *
 * @throws TypeError or RangeError unless all are known
 */
export function ownHttpOptions<Request, Response>(
  options: HttpOptions<Request, Response>,
): HttpOptions<Request, Response> {
  return withSettings(ownKnown(options)) as HttpOptions<Request, Response>
}

/** Limits that are there but undefined are a setting that is missing: a server without a limit is not what it means. */
function ownKnown<Request, Response>(
  options: HttpOptions<Request, Response>,
): HttpOptions<Request, Response> {
  const own = ownOptions(options, KNOWN)
  if (!Object.hasOwn(own, 'limits') || own.limits !== undefined) return own
  const accepted = 'a limit, an array of them or a function of the request, or left out'
  throw invalid(TypeError, 'INVALID_OPTION', 'limits', accepted, undefined)
}

/** Limits in whatever form, as options. The environment is in those that they are beside. */
export function asHttpOptions<Request, Response>(
  given: LimitInput | LimitsFunction<Request> | HttpOptions<Request, Response>,
  name: string,
): HttpOptions<Request, Response> {
  if (typeof given === 'string' || typeof given === 'function' || Array.isArray(given)) {
    return { limits: given as LimitInput }
  }
  if (typeof given !== 'object' || given === null) {
    throw new TypeError(mustBe(name, 'a limit string, an array of them or options', given))
  }
  if (Object.hasOwn(given, 'count')) return { limits: given as LimitInput }
  const own = ownKnown(given as HttpOptions<Request, Response>)
  return withSettings(own, {}) as HttpOptions<Request, Response>
}

/**
 * What holds for limits apart from those of the options: all but the limits, and what was written beside
 * them. A burst is for some limits, and a name or a scope for one budget.
 */
export function inheritedFrom<Request, Response>(
  options: HttpOptions<Request, Response>,
): HttpOptions<Request, Response> {
  const { limits: _l, burst: _b, name: _n, scope: _s, policy: _p, ...inherited } = options
  return inherited
}

/**
 * @param own options as {@link ownHttpOptions} or {@link asHttpOptions} gives them
 * @throws TypeError or RangeError that names the option, its value and what is accepted
 */
export function readHttpOptions<Request, Response>(
  own: HttpOptions<Request, Response>,
): ReadOptions<Request, Response> {
  // Without a prototype: a polluted one must not set an option.
  const given: Record<string, unknown> = Object.assign(Object.create(null), own)
  const read = Object.fromEntries(
    Object.entries(READERS).map(([name, reader]) => [name, reader(given[name], name)]),
  )
  const { countWhen, slowDown, blockFor, onAdmit, onDeny, onError, ...others } = read
  const stepsMs = Array.isArray(blockFor) ? blockFor : undefined
  // A delayed request would be one that waits for its turn and for its outcome at once.
  if (slowDown !== undefined && (stepsMs !== undefined || countWhen !== undefined)) {
    throw new TypeError('slowDown excludes countWhen and a blockFor with steps')
  }
  const hooks = { onAdmit, onDeny, onError: typeof onError === 'string' ? undefined : onError }
  const more = { counts: countWhen, slowDownMs: slowDown, stepsMs, hooks }
  // The table's readers are what makes each of them what its type says.
  return {
    ...others,
    ...more,
    ...readLimiter(given as HttpOptions<Request, Response>),
  } as unknown as ReadOptions<Request, Response>
}

function readLimiter<Request, Response>(own: HttpOptions<Request, Response>) {
  const { algorithm, burst, blockFor, capacity, name, clock, scope } = own
  const { maxWaitersPerKey, maxWaiters } = own
  if (name !== undefined && scope !== undefined) {
    throw new TypeError('name and scope exclude each other: a scope is a name for a budget')
  }
  const checked: RateLimiterOptions = {
    algorithm,
    burst,
    blockFor: Array.isArray(blockFor) ? undefined : (blockFor as string | number | undefined),
    capacity,
    maxWaitersPerKey,
    maxWaiters,
    name: scope === undefined ? name : `scope:${scope}`,
    clock,
  }
  resolveOptions(checked)
  const { onMismatch } = own
  const limiter = onMismatch === undefined ? checked : { ...checked, onMismatch }
  return { limiter, storage: own.storage, forRedis: readForRedis(own) }
}

/** Those that were given, checked wherever the counters are: a wrong one would wait for the day of the move to Redis. */
function readForRedis<Request, Response>(own: HttpOptions<Request, Response>): RedisSettings {
  const { onError, onStoreError } = own
  const policy = typeof onError === 'string' ? onError : onStoreError
  const given = REDIS_OPTIONS.map((name) => [name, own[name as keyof typeof own]] as const)
  const known = given.filter(([name, value]) => name !== 'onError' && value !== undefined)
  const forRedis = {
    ...Object.fromEntries(known),
    ...(policy === undefined ? {} : { onError: policy }),
  }
  readSettings(forRedis)
  return forRedis
}
