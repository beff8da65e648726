import type { Decision } from './decision.ts'
import { deniedFor } from './decision.ts'
import { RateLimitExceeded, retryMessage } from './errors.ts'
import { invalid, ownOptions } from './validate.ts'
import { callerOf } from './wait-queue/signal.ts'
import { Refused, type WaitQueue } from './wait-queue.ts'

/** Options of `limiter.wait`. */
export interface WaitOptions {
  /** Units to charge. Default: 1. */
  readonly cost?: number | undefined
  /** Longest wait in milliseconds; past it the promise rejects, and nothing is charged. Default: no end. */
  readonly maxWaitMs?: number | undefined
  /** Gives up when aborted; nothing is charged then. Default: none. */
  readonly signal?: AbortSignal | undefined
}

/** Options of a wait with every default filled in. */
export interface ReadWaitOptions {
  readonly cost: number
  readonly maxWaitMs: number
  readonly signal: AbortSignal | undefined
}

/** @throws TypeError or RangeError that names the option; the cost is the limiter's to check */
export function readWaitOptions(options: WaitOptions): ReadWaitOptions {
  const own = ownOptions(options, ['cost', 'maxWaitMs', 'signal'])
  const { cost = 1, maxWaitMs = Number.POSITIVE_INFINITY, signal } = own
  checkMaxWait(maxWaitMs)
  checkSignal(signal)
  return { cost, maxWaitMs, signal }
}

/**
 * Waits in the queue for a caller of `limiter.wait`.
 *
 * @throws RateLimitExceeded when the caller was refused; the signal's reason when it is aborted
 */
export async function admitted(
  queue: Pick<WaitQueue<Decision>, 'join'>,
  key: string,
  { cost, maxWaitMs, signal }: ReadWaitOptions,
): Promise<Decision> {
  signal?.throwIfAborted()
  const caller = signal === undefined ? undefined : callerOf(signal)
  const outcome = await queue.join(key, cost, maxWaitMs, caller)
  if (outcome instanceof Refused) throw refusal(outcome, signal)
  if (!outcome.allowed) throw new RateLimitExceeded(outcome)
  return outcome
}

function refusal({ decision, reason }: Refused, signal: AbortSignal | undefined): unknown {
  if (reason === 'gone') return signal?.reason
  const denied = deniedFor(decision, 1)
  if (reason === 'late') return new RateLimitExceeded(denied)
  const whose = reason === 'crowded' ? 'this limiter' : 'this key'
  const words = `${retryMessage(denied.retryAfterMs)}; as many callers wait for ${whose} as may`
  return new RateLimitExceeded(denied, words)
}

function checkMaxWait(value: unknown): void {
  const accepted = 'milliseconds from 0 on, or Infinity'
  const Kind = typeof value === 'number' ? RangeError : TypeError
  if (typeof value === 'number' && value >= 0) return
  throw invalid(Kind, 'INVALID_ARGUMENT', 'maxWaitMs', accepted, value)
}

function checkSignal(value: unknown): void {
  if (value === undefined || value instanceof AbortSignal) return
  throw invalid(TypeError, 'INVALID_ARGUMENT', 'signal', 'an AbortSignal', value)
}
