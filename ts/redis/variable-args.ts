import { createHash } from 'node:crypto'
import { burstOf, type Limit } from '../limit/limit.ts'
import type { Algorithm } from '../options.ts'
import type { Order } from '../remote/store-decision.ts'
import { bits, finest } from './script/policy-args.ts'

/** The arguments of the scripts for limits that change, for one set of limits. */
export interface VariableArgs extends Order {
  /** As the caller has them. */
  readonly limits: readonly Limit[]
  /** The arguments beside the question. */
  readonly tail: readonly string[]
}

/** Widths of the core's words (`crate/core/src/algorithm`) where limits change; a log does without a mark if need be. */
const LOG_BITS = [53, 54]
const LOG_FLAG_BITS = 4
const SLIDING_COUNT_BITS = 20
const LEAST_RING = 15
/** Ticks to a millisecond, for buckets. */
const PER_MS = 2_520

/** A limit, which of the caller's it is, and the number that tells its record from others of its window. */
interface Placed {
  readonly limit: Limit
  readonly index: number
  readonly record: readonly [windowMs: number, which: number]
}

/**
 * The numbers with which the core counts limits that change: see `crate/core/src/variable/call.rs`.
 *
 * @param limits limits that the core accepts for this algorithm
 */
export function variableArgs(
  limits: readonly Limit[],
  algorithm: Algorithm,
  blockForMs: number,
): VariableArgs {
  const isBucket = algorithm === 'token-bucket' || algorithm === 'leaky-bucket'
  const placed: Placed[] = []
  const places: number[] = []
  for (const [index, limit] of sorted(limits)) {
    const alike = placed.findIndex((other) => other.limit.windowMs === limit.windowMs)
    // Of one window the lowest count is over no later than the others.
    const isOwn = isBucket || alike < 0
    places[index] = isOwn ? placed.length : alike
    if (isOwn) placed.push({ limit, index, record: recordOf(limit, algorithm, placed) })
  }
  const figures = placed.map(({ limit, record }) => [...numbersOf(limit, algorithm), ...record])
  const [longest] = placed as [Placed]
  return {
    limits,
    size: placed.length,
    places,
    indices: placed.map(({ index }) => index),
    tail: [
      figures.map((own) => own.join(' ')).join(','),
      `${longest.limit.windowMs}`,
      '0',
      `${blockForMs}`,
    ],
  }
}

/** Stands in the name of a state where policies of fixed limits have theirs. */
export function variablePolicyHash(algorithm: Algorithm): string {
  const hash = createHash('sha256').update(`variable ${algorithm}`)
  return hash.digest('base64url').slice(0, 10)
}

function sorted(limits: readonly Limit[]): (readonly [number, Limit])[] {
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

function numbersOf(limit: Limit, algorithm: Algorithm): readonly number[] {
  const { count, windowMs } = limit
  switch (algorithm) {
    case 'token-bucket':
    case 'leaky-bucket':
      return bucket(limit)
    case 'fixed-window':
      return [count, windowMs, 1]
    case 'sliding-log':
      return [count, windowMs, logOf(limit).perMs]
    case 'sliding-window': {
      const room = Math.max(0, 62 - SLIDING_COUNT_BITS - bits(windowMs))
      return [count, windowMs, 2 ** Math.min(10, room)]
    }
  }
}

/** Ticks per millisecond, ticks per token and ticks of a full bucket, the token rounded as the core does. */
function bucket(limit: Limit): readonly number[] {
  const { count } = limit
  const window = limit.windowMs * PER_MS
  const isClose = window % count < PER_MS && count * count <= window
  const token = Math.max(1, isClose ? Math.floor(window / count) : Math.ceil(window / count))
  return [PER_MS, token, burstOf(limit) * token]
}

/** The size of ring that holds the count with others like it, or alone if the window leaves no room; its ticks. */
function logOf({ count, windowMs }: Limit): { readonly ring: number; readonly perMs: number } {
  const usual = Math.max(LEAST_RING, 2 ** bits(count) - 1)
  for (const ring of [usual, count]) {
    for (const word of LOG_BITS) {
      const width = word - LOG_FLAG_BITS - bits(ring - 1) - bits(ring)
      if (width >= bits(8 * windowMs)) return { ring, perMs: finest(8 * windowMs, width) }
    }
  }
  return { ring: count, perMs: 1 }
}
