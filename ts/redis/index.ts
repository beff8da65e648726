/** Limits shared by every host, in Redis, Redis Cluster or Valkey: see {@link RedisLimiter}. */

export { STORE_CHANNEL, type StoreChange, type StoreListener } from '../remote/event.ts'
export type { FailureKind, FailureReason, RefusalWord } from '../remote/failure.ts'
export type { RedisClient } from './ioredis.ts'
export type { LeaseOptions, OnError, RedisLimiterOptions, RedisOptions } from './options.ts'
export { RedisLimiter } from './redis-limiter.ts'
export { RedisStorage } from './shared-connection.ts'
export type { RedisLimiterStats } from './tally.ts'
