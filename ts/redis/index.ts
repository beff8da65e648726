/** Limits shared by every host, in Redis, Redis Cluster or Valkey: see {@link RedisLimiter}. */
export type { RedisClient } from './client.ts'
export { STORE_CHANNEL, type StoreChange, type StoreListener } from './event.ts'
export type { FailureKind, FailureReason, RefusalWord } from './failure.ts'
export { RedisLimiter } from './limiter.ts'
export type { LeaseOptions, OnError, RedisLimiterOptions, RedisOptions } from './options.ts'
export { RedisStorage } from './storage.ts'
export type { RedisLimiterStats } from './tally.ts'
