/** What a limiter in any store behind a network needs. For writers of stores: see {@link RemoteLimiter}. */

export type { Backend, ChargeMode, Counters, Sharing } from './backend.ts'
export {
  type FailureKind,
  type FailureReason,
  failureOf,
  STORE_CHANNEL,
  type StoreChange,
  StoreFailure,
  type StoreListener,
} from './failure.ts'
export { Guard, type GuardedStore } from './guard.ts'
export {
  type LeaseOptions,
  type OnError,
  type RemoteOptions,
  type ResolvedRemoteOptions,
  resolveRemoteOptions,
} from './options.ts'
export { countableLimits, RemoteLimiter, RemoteVariableLimiter } from './remote-limiter.ts'
export type { RemoteLimiterStats } from './state.ts'
export { type DecisionDetails, storeDecision } from './store-decision.ts'
