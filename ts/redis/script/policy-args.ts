import { createHash } from 'node:crypto'
import { burstOf, type Limit } from '../../limit/limit.ts'
import type { Algorithm } from '../../options.ts'

/** What a script is told of a policy, each number as text. */
export interface Terms {
  /** Three numbers for each limit. What they mean stands with each script. */
  readonly numbers: readonly string[]
  /** Tells policies apart whose states can't be read by one another. Part of every key. */
  readonly mark: string
}

/** Widths of the core's state word (`crate/core/src/algorithm`): they set how finely it tells time. */
const VALUE_BITS = 54
const LOG_FLAG_BITS = 4
const FINE_PER_MS = 2n ** 16n
const MAX_DEPTH = 2n ** 51n

/**
 * The numbers with which the core counts these limits: the scripts count with the same ones, so that both
 * round alike.
 *
 * @param limits limits that the core accepts for this algorithm
 */
export function termsOf(limits: readonly Limit[], algorithm: Algorithm): Terms {
  const numbers = limits.flatMap((limit) => numbersOf(limit, algorithm).map(String))
  return { numbers, mark: markOf(algorithm, numbers) }
}

function numbersOf(limit: Limit, algorithm: Algorithm): readonly number[] {
  const { count, windowMs } = limit
  switch (algorithm) {
    case 'token-bucket':
    case 'leaky-bucket':
      return bucket(limit)
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
function bucket(limit: Limit): readonly number[] {
  const { count, windowMs } = limit
  const common = divisor(count, windowMs)
  const perMs = BigInt(count / common)
  const token = BigInt(windowMs / common)
  const depth = BigInt(burstOf(limit)) * token
  const finer = smaller(FINE_PER_MS / perMs, MAX_DEPTH / depth) || 1n
  return [perMs * finer, token * finer, depth * finer].map(Number)
}

/** The finest resolution, up to 1024 ticks a millisecond, at which so long fits into `width` bits. */
export function finest(ms: number, width: number): number {
  return 2 ** Math.min(10, width - bits(ms))
}

export function bits(n: number): number {
  return n === 0 ? 0 : Math.floor(Math.log2(n)) + 1
}

function divisor(a: number, b: number): number {
  return b === 0 ? a : divisor(b, a % b)
}

function smaller(a: bigint, b: bigint): bigint {
  return a < b ? a : b
}

function markOf(algorithm: Algorithm, numbers: readonly string[]): string {
  const hash = createHash('sha256').update(`${algorithm} ${numbers.join(' ')}`)
  return hash.digest('base64url').slice(0, 10)
}
