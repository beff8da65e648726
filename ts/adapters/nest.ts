export { TRUST_EVERYBODY } from '../client-ip/trust-proxy.ts'
export { ConcurrencyExceeded, RateLimitExceeded, RequestRefused } from '../errors.ts'
export { allOf, byHeader, byIp, byUser, firstOf } from '../http/key-functions.ts'
export { contextOf } from './nest/calls.ts'
export { type HandlerDecorator, Limit, SkipLimit, UseRateThrottle } from './nest/decorators.ts'
export { RateThrottleGuard, RateThrottleInterceptor } from './nest/guard.ts'
export { RateThrottleModule } from './nest/module.ts'
export type {
  LimitOptions,
  NestRequest,
  NestResponse,
  RateThrottleFactoryOptions,
  RateThrottleModuleAsyncOptions,
  RateThrottleModuleOptions,
} from './nest/options.ts'
export { type NamedLimits, RateThrottleService } from './nest/service.ts'
