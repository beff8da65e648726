/** Rate limiting for Node: see the README, or start with {@link RateLimiter}. */

export { TRUST_EVERYBODY, type TrustInput } from './client-ip/trust-proxy.ts'
export { type Clock, FakeClock } from './clock.ts'
export { type CreateLimiterOptions, createLimiter } from './create.ts'
export type { Decision } from './decision.ts'
export { ConcurrencyExceeded, InvalidLimit, RateLimitExceeded, RequestRefused } from './errors.ts'
export { rateLimitHeaders } from './http/headers.ts'
export { allOf, byHeader, byIp, byUser, firstOf, type KeyFunction } from './http/key-functions.ts'
export type { CheckedLimits, Limit, LimitInput } from './limit/limit.ts'
export { parseLimits } from './limit/parse.ts'
export type { AsyncLimiter, StoreStatus } from './limiter.ts'
export type { LimiterStats } from './limiter-stats.ts'
export type { Algorithm, AlgorithmInput, OnMismatch, RateLimiterOptions } from './options.ts'
export { ConcurrencyLimiter, type ConcurrencyOptions } from './permits/concurrency-limiter.ts'
export { type CreateConcurrencyOptions, createConcurrencyLimiter } from './permits/create.ts'
export type {
  AcquireOptions,
  AsyncConcurrencyLimiter,
  ConcurrencyLimits,
  ConcurrencyStats,
  Permit,
} from './permits/types.ts'
export { type Charge, RateLimiter } from './rate-limiter.ts'
export type { NothingStored, Store, StoredValue } from './remote/store.ts'
export type { WaitOptions } from './wait.ts'
