import type {
  InjectionToken,
  ModuleMetadata,
  OptionalFactoryDependency,
  Type,
} from '@nestjs/common'
import type { AnyHttpOptions, CheckedOptions, HttpOptions } from '../../http/options.ts'
import type { LimitsFunction } from '../../http/request-limits.ts'
import type { CheckedLimits, LimitInput } from '../../limit/limit.ts'
import { boolean, invalid } from '../../validate.ts'

/**
 * A request: that of the platform, also for what came through a socket it opened. Of a microservice there is only what
 * `contextOf` says.
 */
// biome-ignore lint/suspicious/noExplicitAny: a program knows its platform, and names its requests
export type NestRequest = any
/** A response of the platform, for option `handler`. */
// biome-ignore lint/suspicious/noExplicitAny: as above
export type NestResponse = any

/** Options of the module that are none of a limiter. */
interface OwnModuleOptions {
  /**
   * Whether the guard is asked before every handler. False: only handlers and classes with `@Limit` or
   * `@UseRateThrottle` are limited. Default: true.
   */
  readonly global?: boolean | undefined
  /**
   * Where the counters live, as in other adapters; or the token of a provider that has it, such as a client of ioredis,
   * which `imports` or a global module provides.
   */
  readonly storage?: string | object | symbol | Type | undefined
}

/** Options of `RateThrottleModule.forRoot`. */
export interface RateThrottleModuleOptions
  extends Omit<HttpOptions<NestRequest, NestResponse>, 'storage'>,
    OwnModuleOptions {
  /** Modules that provide `storage`. */
  readonly imports?: ModuleMetadata['imports'] | undefined
}

/** The same, with literal limits that the compiler checks. */
export type CheckedModuleOptions<L extends LimitInput> = Omit<
  RateThrottleModuleOptions,
  'limits'
> & {
  readonly limits?: CheckedLimits<L> | LimitsFunction<NestRequest> | undefined
}

/** What a factory of `RateThrottleModule.forRootAsync` returns. */
export type RateThrottleFactoryOptions = HttpOptions<NestRequest, NestResponse>

/** Options of `RateThrottleModule.forRootAsync`. */
export interface RateThrottleModuleAsyncOptions extends Pick<OwnModuleOptions, 'global'> {
  /** Modules whose providers are injected. */
  readonly imports?: ModuleMetadata['imports'] | undefined
  /** What the factory is called with. */
  readonly inject?: (InjectionToken | OptionalFactoryDependency)[] | undefined
  /** Returns the options, at once or as a promise. */
  // biome-ignore lint/suspicious/noExplicitAny: what is injected
  useFactory(...injected: any[]): RateThrottleFactoryOptions | Promise<RateThrottleFactoryOptions>
}

/** Options of `@Limit` beside limits. */
export interface LimitOptions
  extends Omit<HttpOptions<NestRequest, NestResponse>, 'limits' | 'shield' | 'config'> {
  /** Whether these limits take the place of the module's own, which else apply too. Default: false. */
  readonly replace?: boolean | undefined
}

/** The same with limits among them. */
export type LimitOptionsWithLimits<L extends LimitInput> = Omit<
  CheckedOptions<L, NestRequest, NestResponse>,
  'shield' | 'config'
> &
  Pick<LimitOptions, 'replace'>

/** What `forRoot` was given. */
export interface ReadModuleOptions {
  readonly isGlobal: boolean
  readonly imports: NonNullable<ModuleMetadata['imports']>
  /** Of a provider with the storage. */
  readonly token: InjectionToken | undefined
  readonly options: AnyHttpOptions
}

export function readModuleOptions(given: RateThrottleModuleOptions): ReadModuleOptions {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw invalid(TypeError, 'INVALID_OPTION', 'options', 'an object', given)
  }
  const { global = true, imports = [], storage, ...rest } = given
  const options = rest as AnyHttpOptions
  const isGlobal = boolean(global, 'global')
  const isToken = typeof storage === 'symbol' || typeof storage === 'function'
  if (isToken) return { isGlobal, imports, token: storage as InjectionToken, options }
  const withStorage = storage === undefined ? options : { ...options, storage }
  return { isGlobal, imports, token: undefined, options: withStorage }
}

/** @throws TypeError for the token of a provider: a factory has it injected */
export function refuseToken({ storage }: RateThrottleFactoryOptions): void {
  const given: unknown = storage
  if (typeof given !== 'symbol' && typeof given !== 'function') return
  const accepted = 'a storage: list the token in inject, and use what the factory is called with'
  throw invalid(TypeError, 'INVALID_OPTION', 'storage', accepted, given)
}
