import { type AddressRanges, readRanges } from '../client-ip/cidr.ts'
import { readTrust, type Trust, type TrustInput } from '../client-ip/trust-proxy.ts'
import { type InsightInput, readInsight } from '../counting.ts'
import { REDIS_OPTIONS, type RedisOptions, readOnError } from '../create.ts'
import type { CheckedLimits, LimitInput } from '../limit/limit.ts'
import { readDuration } from '../limit/parse.ts'
import type { RateLimiterOptions } from '../options.ts'
import type * as Open from '../permits/open.ts'
import { isLimiter, SETTINGS, type Settings, withSettings } from '../storage-url.ts'
import * as validate from '../validate.ts'
import type { KeyErrorPolicy, MissingKey } from './client.ts'
import type { ConfigInput } from './config.ts'
import {
  type Counts,
  type CountWhen,
  readCountWhen,
  readMethods,
  type Skip,
} from './counted-requests.ts'
import { readSteps } from './escalating-block.ts'
import type { Hooks } from './events.ts'
import { type HeaderStyle, readHeaderStyle } from './headers.ts'
import { refuseIdle, refuseIdleForAll } from './idle-options.ts'
import { byIp, type KeyFunction } from './key-functions.ts'
import { LASTING, type Lasting } from './lasting.ts'
import { OF_LIMITER, readForRedis, readLimiter } from './limiter-options.ts'
import { type LimitsFunction, readPolicyNames } from './request-limits.ts'
import type { Handler } from './response.ts'
import type { ShieldInput } from './shield.ts'

/** Options of every HTTP adapter: those of a limiter, and which requests count, under which key, how they are answered. */
export interface HttpOptions<Request, Response = never>
  extends Omit<RateLimiterOptions, 'blockFor' | 'shared'>,
    Omit<Hooks<Request>, 'onError'>,
    Omit<RedisSettings, 'onError'>,
    Settings {
  /** One or several limits, of which all are charged or none. Or a function of the request, for plans. */
  readonly limits?: LimitInput | LimitsFunction<Request> | undefined
  /**
   * How many requests of a client are served at a time, or `{ perKey, total, queue, maxWaitMs }`; `false` for any
   * number. Default: `false`.
   */
  readonly concurrent?: Open.ConcurrentInput | false | undefined
  /** What a request is counted by: {@link byIp} (the default), `byUser`, `byHeader`, `firstOf`, or your own function. */
  readonly key?: KeyFunction<Request> | undefined
  /** Units a request costs; 0 asks without charging. Default: 1. */
  readonly cost?: number | ((request: Request) => number | PromiseLike<number>) | undefined
  /** Proxies whose forwarded addresses are trusted, in place of the server's own setting. */
  readonly trust?: TrustInput | undefined
  /** Only requests with these methods count; HEAD is a GET. Default: all. */
  readonly methods?: readonly string[] | undefined
  /** Exempts requests. */
  readonly skip?: Skip<Request> | undefined
  /** Addresses and CIDR ranges that are never limited. */
  readonly allow?: string | readonly string[] | undefined
  /** Addresses and CIDR ranges that are always refused (403). */
  readonly deny?: string | readonly string[] | undefined
  /** Limiters of this process, or of one store, with the same scope share their counters. */
  readonly scope?: string | undefined
  /** Which requests count, decided when the response ends. Default: `'always'`. */
  readonly countWhen?: CountWhen<Request> | undefined
  /** With `countWhen`: longest wait for requests in flight to end, in milliseconds. Default: 30,000. */
  readonly outcomeTimeoutMs?: number | undefined
  /** After a denial, deny the key for this long; a list takes the next step each time. Default: off. */
  readonly blockFor?: string | number | readonly (string | number)[] | undefined
  /** Delays requests over the limit by up to this long; one that would wait longer is refused. Default: off. */
  readonly slowDown?: string | number | undefined
  /** For requests without a key: refuse with 400, count them all together, or by address. Default: `'deny'`. */
  readonly missingKey?: MissingKey | undefined
  /** When the key function fails: count by address, or refuse with 500. Default: `'ip'`. */
  readonly onKeyError?: KeyErrorPolicy | undefined
  /** Longest wait for promises of your functions, in milliseconds. Default: 1,000. */
  readonly keyTimeoutMs?: number | undefined
  /** Headers of every limited response. Default: `'legacy'`. */
  readonly headers?: HeaderStyle | undefined
  /** Names of the limits in `RateLimit-Policy`. Default: from their figures, such as `100-in-1min`. */
  readonly policy?: string | readonly string[] | undefined
  /** Status of a refusal, 400 to 599. Default: 429. */
  readonly status?: number | undefined
  /** Message of a refusal. Default: how long to wait. */
  readonly message?: string | undefined
  /** Answers with `application/problem+json` (RFC 9457). Default: false, the framework's error handling. */
  readonly problem?: boolean | undefined
  /** Answers refused requests in place of the framework's error handling. */
  readonly handler?: Handler<Request, Response> | undefined
  /** Decides and reports, but refuses no request and sends no headers. Default: false. */
  readonly dryRun?: boolean | undefined
  /** Called with errors of your functions and of the store; or, as text, what to do when the store fails. */
  readonly onError?: Hooks<Request>['onError'] | StoreErrorPolicy | undefined
  /** What to do when the store fails, where `onError` is a function. */
  readonly onStoreError?: StoreErrorPolicy | undefined
  /**
   * Where the counters live: `'memory:'`, `'shared:api'` for all processes of this host, a URL, the `storage` of a
   * limiter, or a `Store` of yours. Or a limiter of yours, which has its own limits: then leave out `limits`. The
   * adapter closes it. Default: `'memory:'`.
   */
  readonly storage?: string | object | undefined
  /**
   * Protects the server against floods, scans and stuffing, before its limits: options of a shield, or a guard that
   * several servers share. Default: off.
   */
  readonly shield?: ShieldInput<Request> | undefined
  /** Limiters and routes of a file, in place of `limits`. Options beside it hold for all of them. */
  readonly config?: ConfigInput | undefined
}

/** The options of any framework: what a request is only its adapter knows. */
export type AnyHttpOptions = HttpOptions<never, never>

/** {@link HttpOptions} in which literal limits are checked by the compiler. */
export type CheckedOptions<L extends LimitInput, Request, Response = never> = Omit<
  HttpOptions<Request, Response>,
  'limits'
> & {
  readonly limits?: CheckedLimits<L> | LimitsFunction<Request> | undefined
}

/** Options that only a limiter in Redis has. */
export type RedisSettings = Omit<RedisOptions, keyof RateLimiterOptions>

/** While the store fails: count in this process, admit, or deny. */
export type StoreErrorPolicy = NonNullable<RedisOptions['onError']>

/** The options that are read here; those that a limiter also has, it reads itself. */
type Own = Omit<
  HttpOptions<object, object>,
  keyof Omit<RateLimiterOptions, 'blockFor'> | keyof Omit<RedisSettings, 'onError'> | keyof Settings
>

/** What the readers make of options that are not as they were given. */
interface Read extends Required<Hooks<object>> {
  readonly concurrent: Exclude<Open.ConcurrentInput, number> | undefined
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
  readonly insight: InsightInput | undefined
}

type ReadOptions = Required<Omit<Own, keyof Read>> & Read

/** Options that have been checked, with every default filled in. */
export type ResolvedHttpOptions = ReadOptions & {
  readonly lasting: Lasting | undefined
  /** For the limiter itself. */
  readonly limiter: RateLimiterOptions
  /** For a limiter in Redis. */
  readonly forRedis: RedisSettings
}

/** Each option with its reader: the only list of their names. */
export const READERS: validate.Readers<ReadOptions> = {
  limits: (value) => value as ReadOptions['limits'],
  concurrent: validate.optional((value, name) => {
    if (value === false) return undefined
    // Loaded on demand, as few programs have it.
    return (require('../permits/open.js') as typeof Open).readConcurrent(value, name)
  }),
  key: (value, name) => validate.optionalFunction<KeyFunction<object>>(value, name) ?? byIp(),
  cost: (value, name) =>
    typeof value === 'number'
      ? validate.integer(value, name, 0, Number.MAX_SAFE_INTEGER)
      : validate.optionalFunction(value, name),
  trust: validate.optional(readTrust),
  methods: validate.optional(readMethods),
  skip: validate.optionalFunction,
  allow: validate.optional(readRanges),
  deny: validate.optional(readRanges),
  scope: validate.optional((value, name) => validate.text(value, name, 1, 100)),
  countWhen: readCountWhen,
  outcomeTimeoutMs: (value, name) => validate.integer(value ?? 30_000, name, 1, 600_000),
  blockFor: (value, name) => (Array.isArray(value) ? readSteps(value, name) : undefined),
  slowDown: validate.optional(readDuration),
  missingKey: (value, name) => validate.oneOf(value ?? 'deny', name, ['deny', 'shared', 'ip']),
  onKeyError: (value, name) => validate.oneOf(value ?? 'ip', name, ['ip', 'deny']),
  keyTimeoutMs: (value, name) => validate.integer(value ?? 1_000, name, 1, 60_000),
  headers: readHeaderStyle,
  policy: readPolicyNames,
  status: (value, name) => validate.integer(value ?? 429, name, 400, 599),
  message: validate.optional((value, name) => validate.text(value, name, 1, 1_000)),
  problem: (value = false, name) => validate.boolean(value, name),
  handler: validate.optionalFunction,
  dryRun: (value = false, name) => validate.boolean(value, name),
  onAdmit: validate.optionalFunction,
  onDeny: validate.optionalFunction,
  // A text is what to do when the store fails.
  onError: (value, name) =>
    typeof value === 'string' ? undefined : validate.optionalFunction(value, name),
  onStoreError: validate.optional(readOnError),
  storage: (value) => value as ReadOptions['storage'],
  // Read where the shield and a file's limiters are opened.
  shield: (value) => value as ReadOptions['shield'],
  insight: validate.optional(readInsight),
  config: (value) => value as ReadOptions['config'],
}
const OWN_OPTIONS = [...Object.keys(READERS), ...OF_LIMITER, 'onMismatch']
const KNOWN = [...new Set([...OWN_OPTIONS, ...REDIS_OPTIONS, ...SETTINGS])]

/**
 * The options that are `options`' own, with `RATELIMIT_*` settings, also those of the environment, turned into the
 * options they stand for. Reads the environment: once for a limiter and all that it makes.
 *
 * @throws TypeError or RangeError unless all are known
 */
export function ownHttpOptions<Options extends AnyHttpOptions>(options: Options): Options {
  const own = ownKnown(options)
  refuseIdleForAll(own)
  return withSettings(own) as Options
}

/** `limits: undefined` is a setting that is missing: the server would have no limit without anyone noticing. */
function ownKnown<Options extends AnyHttpOptions>(options: Options): Options {
  const own = validate.ownOptions(options, KNOWN)
  if (!Object.hasOwn(own, 'limits')) {
    return isLimiter(own.storage) ? { ...own, limits: own.storage.limits } : own
  }
  if (own.limits !== undefined) return own
  const accepted = 'a limit, an array of them or a function of the request, or left out'
  throw validate.invalid(TypeError, 'INVALID_OPTION', 'limits', accepted, undefined)
}

/** Whether the options limit anything: how many requests come in a time, or how many are served at a time. */
export function limitsAny({ limits, concurrent }: AnyHttpOptions): boolean {
  return limits !== undefined || (concurrent !== undefined && concurrent !== false)
}

/**
 * The options of a limiter with other limits: all that `options` say, except for what belongs to their own limits.
 * Reads no environment: `options` have its settings already.
 *
 * @param given the limits in any form, alone or among options of their own
 */
export function withLimits<Options extends AnyHttpOptions>(
  { limits: _l, burst: _b, name: _n, scope: _s, policy: _p, ...inherited }: Options,
  given: LimitInput | LimitsFunction<never> | Options,
  name: string,
): Options {
  return { ...inherited, ...asHttpOptions(given, inherited, name) } as Options
}

function asHttpOptions<Options extends AnyHttpOptions>(
  given: LimitInput | LimitsFunction<never> | Options,
  inherited: object,
  name: string,
): object {
  const isObject = typeof given === 'object' && given !== null
  if (isObject && !Array.isArray(given) && !Object.hasOwn(given, 'count')) {
    const own = ownKnown(given as Options)
    refuseIdle(own, { ...inherited, ...own })
    return withSettings(own, {})
  }
  if (isObject || typeof given === 'string' || typeof given === 'function') return { limits: given }
  const accepted = 'a limit string, an array of them or options'
  throw validate.invalid(TypeError, 'INVALID_OPTION', name, accepted, given)
}

/**
 * @param own options as {@link ownHttpOptions} or {@link withLimits} returns them
 * @throws TypeError or RangeError that names the option, its value and what is accepted
 */
export function resolveHttpOptions(own: AnyHttpOptions): ResolvedHttpOptions {
  // Without a prototype: a polluted one must not set an option.
  const given: AnyHttpOptions = Object.assign(Object.create(null), own)
  const read = validate.readEach(given, READERS)
  const { slowDown, blockFor, countWhen } = read
  // A delayed request would wait for its turn and for the outcome of others at the same time.
  if (slowDown !== undefined && (blockFor !== undefined || countWhen !== undefined)) {
    const accepted = 'left out beside countWhen or a blockFor with steps'
    throw validate.invalid(TypeError, 'INVALID_OPTION', 'slowDown', accepted, own.slowDown)
  }
  const { [LASTING]: lasting } = given as { readonly [LASTING]?: Lasting }
  return { ...read, lasting, limiter: readLimiter(given), forRedis: readForRedis(given) }
}
