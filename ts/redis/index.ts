/** Limits shared by every host, in Redis, Redis Cluster or Valkey: see {@link RedisLimiter}. */

export {
  type FailureKind,
  type OnError,
  STORE_CHANNEL,
  type StoreChange,
  type StoreListener,
} from '../remote/failure.ts'
export type { LeaseOptions } from '../remote/options.ts'
export { RedisStorage } from './connection.ts'
export type { RedisFailureReason as FailureReason, RefusalWord } from './failure.ts'
export type { RedisClient } from './ioredis.ts'
export type { RedisOptions } from './key.ts'
export { RedisLimiter, type RedisLimiterOptions, type RedisLimiterStats } from './redis-limiter.ts'
