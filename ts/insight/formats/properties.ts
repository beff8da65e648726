import type { ShieldState, TopSource } from '../../shield/types.ts'
import type { LimitCounts, LimitReport, Times } from '../types.ts'

/*
 * The figures of each part of a report, in the order in which every format shows them.
 */

export const COUNTS: readonly (keyof LimitCounts)[] = [
  'admitted',
  'denied',
  'dry',
  'refunded',
  'waited',
  'gaveUp',
  'withoutStore',
]

export const LIMIT_STATE: readonly (keyof LimitReport)[] = [
  'algorithm',
  'tier',
  'evictions',
  'liveKeys',
  'waiting',
]

export const TIMES: readonly (keyof Times)[] = ['count', 'sumMs', 'p50Ms', 'p95Ms', 'p99Ms']

export const SHIELD_STATE: readonly (keyof ShieldState)[] = [
  'pressure',
  'alarm',
  'admitted',
  'refused',
  'wouldRefuse',
  'newcomerShare',
  'blocked',
  'evictions',
]

/** What is known of a source, beside its address. */
export const SOURCE: readonly Exclude<keyof TopSource, 'source'>[] = [
  'requestsPerMinute',
  'level',
  'isRegular',
  'blockedMs',
]
