import { createHash } from 'node:crypto'
import { burstOf, type Limit } from '../../limit/limit.ts'
import { type Algorithm, shortestOf } from '../../options.ts'
import type { Order } from '../../remote/backend.ts'

/*
 * The arguments that tell a script which limits count. The scripts count with the numbers of the native core, so
 * that both round alike. The limits are some that the core accepts for the algorithm.
 */

/** The arguments of a script for some limits. */
export interface PolicyArgs {
  readonly tail: readonly string[]
  /** Which of the script's limits paces a leaky bucket: the one with the shortest window. */
  readonly paced: `q${number}`
}

/** Widths of the core's state word (`crate/core/src/algorithm`): they set how finely it tells time. */
const VALUE_BITS = 54
const LOG_FLAG_BITS = 4
const FINE_PER_MS = 2n ** 16n
const MAX_DEPTH = 2n ** 51n

/** Widths where limits change (`crate/core/src/variable`); if need be, a log does without a flag. */
const VARIABLE_LOG_BITS = [53, 54]
const VARIABLE_SLIDING_COUNT_BITS = 20
const MIN_RING = 15
/** Ticks per millisecond of a bucket where limits change. */
const VARIABLE_PER_MS = 2_520

/** The arguments for limits that stay the same, and the hash that stands for the policy in each key. */
export function fixedArgs(
  limits: readonly Limit[],
  algorithm: Algorithm,
  blockForMs: number,
): PolicyArgs & { readonly policyHash: string } {
  const numbers = limits.flatMap((limit) => fixedNumbers(limit, algorithm).map(String))
  const [first, second, third, ...further] = numbers as [string, string, string]
  return {
    tail: [first, second, third, [blockForMs, ...further].join(' ')],
    paced: `q${shortestOf(limits) + 1}`,
    policyHash: hashOf(`${algorithm} ${numbers.join(' ')}`),
  }
}

/** Stands in each key for the policy, where limits change. */
export function variablePolicyHash(algorithm: Algorithm): string {
  return hashOf(`variable ${algorithm}`)
}

function hashOf(policy: string): string {
  return createHash('sha256').update(policy).digest('base64url').slice(0, 10)
}

/** Three numbers for a limit. What they mean stands with each script. */
function fixedNumbers(limit: Limit, algorithm: Algorithm): readonly number[] {
  const { count, windowMs } = limit
  switch (algorithm) {
    case 'token-bucket':
    case 'leaky-bucket':
      return fixedBucket(limit)
    case 'fixed-window':
      return [count, windowMs, finest(8 * windowMs, VALUE_BITS - bits(count))]
    case 'sliding-log': {
      const width = VALUE_BITS - LOG_FLAG_BITS - bits(count - 1) - bits(count)
      return [count, windowMs, finest(8 * windowMs, width)]
    }
    case 'sliding-window':
      return [count, windowMs, 2 ** Math.min(10, 62 - bits(count) - bits(windowMs))]
  }
}

/** Ticks per millisecond, ticks per token, and ticks that a full bucket is worth. */
function fixedBucket(limit: Limit): readonly number[] {
  const { count, windowMs } = limit
  const common = divisor(count, windowMs)
  const perMs = BigInt(count / common)
  const token = BigInt(windowMs / common)
  const depth = BigInt(burstOf(limit)) * token
  const finer = smaller(FINE_PER_MS / perMs, MAX_DEPTH / depth) || 1n
  return [perMs * finer, token * finer, depth * finer].map(Number)
}

/** A limit, its index among the caller's, and the numbers that tell its record from others of its window. */
interface Placed {
  readonly limit: Limit
  readonly index: number
  readonly record: readonly [windowMs: number, which: number]
}

/** The arguments for limits that change, as `crate/core/src/variable/call.rs` counts them, and the script's order of them. */
export function variableArgs(
  limits: readonly Limit[],
  algorithm: Algorithm,
  blockForMs: number,
): PolicyArgs & Order {
  const isBucket = algorithm === 'token-bucket' || algorithm === 'leaky-bucket'
  const placed: Placed[] = []
  const places: number[] = []
  for (const [index, limit] of longestFirst(limits)) {
    const alike = placed.findIndex((other) => other.limit.windowMs === limit.windowMs)
    // Of several limits with one window, the one with the lowest count is exceeded first.
    const isOwn = isBucket || alike < 0
    places[index] = isOwn ? placed.length : alike
    if (isOwn) placed.push({ limit, index, record: recordOf(limit, algorithm, placed) })
  }
  const figures = placed.map(({ limit, record }) =>
    [...variableNumbers(limit, algorithm), ...record].join(' '),
  )
  const [longest] = placed as [Placed]
  return {
    tail: [figures.join(','), `${longest.limit.windowMs}`, '0', `${blockForMs}`],
    paced: `q${placed.length}`,
    size: placed.length,
    places,
    indices: placed.map(({ index }) => index),
  }
}

function longestFirst(limits: readonly Limit[]): (readonly [number, Limit])[] {
  const order = [...limits.entries()]
  return order.sort(([, a], [, b]) => b.windowMs - a.windowMs || a.count - b.count)
}

function recordOf(
  limit: Limit,
  algorithm: Algorithm,
  before: readonly Placed[],
): readonly [number, number] {
  const { windowMs } = limit
  switch (algorithm) {
    case 'token-bucket':
    case 'leaky-bucket': {
      if (before.length === 0) return [0, 0]
      const alike = before.slice(1).filter((other) => other.limit.windowMs === windowMs)
      return [windowMs, alike.length]
    }
    case 'sliding-log':
      return [windowMs, logOf(limit).ring]
    default:
      return [windowMs, 0]
  }
}

function variableNumbers(limit: Limit, algorithm: Algorithm): readonly number[] {
  const { count, windowMs } = limit
  switch (algorithm) {
    case 'token-bucket':
    case 'leaky-bucket':
      return variableBucket(limit)
    case 'fixed-window':
      return [count, windowMs, 1]
    case 'sliding-log':
      return [count, windowMs, logOf(limit).perMs]
    case 'sliding-window': {
      const width = Math.max(0, 62 - VARIABLE_SLIDING_COUNT_BITS - bits(windowMs))
      return [count, windowMs, 2 ** Math.min(10, width)]
    }
  }
}

/** As for limits that stay the same; the token is rounded as the core does. */
function variableBucket(limit: Limit): readonly number[] {
  const { count } = limit
  const window = limit.windowMs * VARIABLE_PER_MS
  const isClose = window % count < VARIABLE_PER_MS && count * count <= window
  const token = Math.max(1, isClose ? Math.floor(window / count) : Math.ceil(window / count))
  return [VARIABLE_PER_MS, token, burstOf(limit) * token]
}

/** The ring that holds the count with others like it, or alone if the window leaves no room; and its ticks. */
function logOf({ count, windowMs }: Limit): { readonly ring: number; readonly perMs: number } {
  const usual = Math.max(MIN_RING, 2 ** bits(count) - 1)
  for (const ring of [usual, count]) {
    for (const word of VARIABLE_LOG_BITS) {
      const width = word - LOG_FLAG_BITS - bits(ring - 1) - bits(ring)
      if (width >= bits(8 * windowMs)) return { ring, perMs: finest(8 * windowMs, width) }
    }
  }
  return { ring: count, perMs: 1 }
}

/** The finest resolution, up to 1024 ticks per millisecond, at which `ms` fits into `width` bits. */
function finest(ms: number, width: number): number {
  return 2 ** Math.min(10, width - bits(ms))
}

function bits(n: number): number {
  return n === 0 ? 0 : Math.floor(Math.log2(n)) + 1
}

function divisor(a: number, b: number): number {
  return b === 0 ? a : divisor(b, a % b)
}

function smaller(a: bigint, b: bigint): bigint {
  return a < b ? a : b
}
