import type { TrustInput } from '../client-ip/trust-proxy.ts'
import type { RateLimitExceeded } from '../errors.ts'
import type { CheckedLimits, LimitInput } from '../limit/limit.ts'
import type { RateLimiterOptions } from '../options.ts'
import type { RedisOptions } from '../redis/index.ts'
import type { Settings } from '../storage-url.ts'
import type { KeyErrorPolicy, MissingKey } from './client.ts'
import type { CountWhen, Skip } from './counted-requests.ts'
import type { Hooks } from './events.ts'
import type { HeaderStyle } from './headers.ts'
import type { KeyFunction } from './key-functions.ts'
import type { LimitsFunction } from './request-limits.ts'

/** Answers a refused request in place of the framework's error handling. */
export type Handler<Request, Response> = (
  request: Request,
  response: Response,
  error: RateLimitExceeded,
) => unknown

/** Options of every HTTP adapter: those of a limiter, and which requests count, under which key, how they are answered. */
export interface HttpOptions<Request, Response = never>
  extends Omit<RateLimiterOptions, 'blockFor' | 'shared'>,
    Omit<Hooks<Request>, 'onError'>,
    Omit<RedisSettings, 'onError'>,
    Settings {
  /** One or several limits, of which all are charged or none. Or a function of the request, for plans. */
  readonly limits?: LimitInput | LimitsFunction<Request> | undefined
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
