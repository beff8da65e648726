import type { ShieldState, TopSource } from '../../shield/types.ts'
import type { LimitCounts, LimitReport, Times } from '../types.ts'

/*
 * The figures of each part of a report, in the order in which every format shows them.
 */

export const COUNTS = [
  'admitted',
  'denied',
  'dry',
  'refunded',
  'waited',
  'turnedAway',
  'withoutStore',
] as const satisfies readonly (keyof LimitCounts)[]

export const LIMIT_STATE = [
  'algorithm',
  'tier',
  'evictions',
  'liveKeys',
  'waiting',
] as const satisfies readonly (keyof LimitReport)[]

export const TIMES = [
  'count',
  'sumMs',
  'p50Ms',
  'p95Ms',
  'p99Ms',
] as const satisfies readonly (keyof Times)[]

export const SHIELD_STATE = [
  'pressure',
  'alarm',
  'admitted',
  'refused',
  'wouldRefuse',
  'newcomerShare',
  'blocked',
  'evictions',
] as const satisfies readonly (keyof ShieldState)[]

/** What is known of a source, beside its address. */
export const SOURCE = [
  'requestsPerMinute',
  'level',
  'isRegular',
  'blockedMs',
] as const satisfies readonly (keyof TopSource)[]
