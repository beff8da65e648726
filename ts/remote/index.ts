/** What a limiter in any store behind a network needs. For writers of stores: see {@link RemoteLimiter}. */

export {
  type Backend,
  type ChargeMode,
  type Counters,
  type DecisionDetails,
  type Sharing,
  storeDecision,
} from './backend.ts'
export {
  type FailureKind,
  type FailureReason,
  failureOf,
  type OnError,
  STORE_CHANNEL,
  type StoreChange,
  StoreFailure,
  type StoreListener,
} from './failure.ts'
export { Guard, type GuardedCall, type GuardedStore, type GuardedWork } from './guard.ts'
export {
  type LeaseOptions,
  type RemoteOptions,
  type ResolvedRemoteOptions,
  resolveRemoteOptions,
} from './options.ts'
export {
  countableLimits,
  RemoteLimiter,
  type RemoteLimiterStats,
  RemoteVariableLimiter,
} from './remote-limiter.ts'
export {
  type NothingStored,
  type Store,
  type StoredValue,
  StoreLimiter,
  type StoreOptions,
} from './store.ts'
