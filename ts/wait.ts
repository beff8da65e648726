import { agedDenial, type Decision, deniedFor } from './decision.ts'
import { closedError, RateLimitExceeded, retryMessage } from './errors.ts'
import type { Limit } from './limit/limit.ts'
import { andThen, type Limiter, type LimitStatus, type MaybePromise } from './limiter.ts'
import { type Algorithm, shortestOf } from './options.ts'
import { type InputErrorCode, invalid, ownOptions } from './validate.ts'
import { callerOf } from './wait-queue/caller.ts'
import {
  type Caller,
  Later,
  type QueueOptions,
  Refused,
  type Source,
  type WaitResult,
} from './wait-queue/line.ts'
import { WaitQueue } from './wait-queue.ts'

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
export type ReadWaitOptions = Required<WaitOptions> & {
  readonly cost: number
  readonly maxWaitMs: number
}

/** @throws TypeError or RangeError that names the option; the limiter checks the cost */
export function readWaitOptions(options: WaitOptions): ReadWaitOptions {
  const own = ownOptions(options, ['cost', 'maxWaitMs', 'signal'])
  const { cost = 1, maxWaitMs = Number.POSITIVE_INFINITY, signal } = own
  return { cost, maxWaitMs: readMaxWait(maxWaitMs), signal: readSignal(signal) }
}

/** Checks the longest time of a wait. */
export function readMaxWait(ms: unknown, code: InputErrorCode = 'INVALID_ARGUMENT'): number {
  if (typeof ms === 'number' && ms >= 0) return ms
  const accepted = 'milliseconds from 0 on, or Infinity'
  throw invalid('number', code, 'maxWaitMs', accepted, ms)
}

/** Checks a signal, if there is one. */
export function readSignal(signal: unknown): AbortSignal | undefined {
  if (signal === undefined || signal instanceof AbortSignal) return signal
  throw invalid(TypeError, 'INVALID_ARGUMENT', 'signal', 'an AbortSignal', signal)
}

/** A limiter as its wait queues see it. Keys and costs have been checked. */
export interface QueuedLimiter extends Pick<Limiter, 'limits' | 'peek' | 'refund'> {
  /** Charges, and begins no block when it denies. */
  take(key: string, cost: number, isPaced: boolean): MaybePromise<Decision>
  /** Counts a denial that a queue has decided. */
  noteDenial(key: string, denial: Decision): void
  /** How each limit stood at a denial. */
  standings(key: string, denial: Decision): readonly LimitStatus[]
  /** A denial as it reads `ms` later, if nothing has happened to the key since. Default: {@link agedDenial}. */
  aged?(denial: Decision, ms: number): Decision
}

/**
 * The two queues before a limiter: callers of `limiter.wait`, whom a leaky bucket paces, and requests that an
 * adapter delays. Limiters whose limits change have these queues in common: see {@link WaitQueue.join}.
 */
export class LimiterQueues {
  readonly #open: (isPaced: boolean) => LimiterQueue
  #waiting: LimiterQueue | undefined
  #delayed: LimiterQueue | undefined

  constructor(algorithm: Algorithm, options: QueueOptions) {
    this.#open = (isPaced) => queueBefore(algorithm, options, isPaced)
  }

  /**
   * Waits for a caller of `limiter.wait`.
   *
   * @throws RateLimitExceeded when the caller was refused; the signal's reason when it is aborted
   */
  async wait(
    limiter: QueuedLimiter,
    key: string,
    { cost, maxWaitMs, signal }: ReadWaitOptions,
  ): Promise<Decision> {
    signal?.throwIfAborted()
    const caller = signal === undefined ? undefined : callerOf(signal)
    this.#waiting ??= this.#open(true)
    const outcome = await this.#waiting.join(limiter, key, cost, maxWaitMs, caller)
    if (outcome instanceof Refused) {
      if (outcome.reason !== 'gone') limiter.noteDenial(key, outcome.decision)
      throw refusalError(outcome, signal)
    }
    if (noted(limiter, key, outcome).allowed) return outcome
    throw new RateLimitExceeded(outcome)
  }

  /** Waits for an adapter, which counts a refusal itself. */
  delay(
    limiter: QueuedLimiter,
    key: string,
    cost: number,
    maxWaitMs: number,
    caller: Caller,
  ): MaybePromise<WaitResult<Decision>> {
    this.#delayed ??= this.#open(false)
    const joined = this.#delayed.join(limiter, key, cost, maxWaitMs, caller)
    return andThen(joined, (outcome) => {
      return outcome instanceof Refused ? outcome : noted(limiter, key, outcome)
    })
  }

  wake(key: string): void {
    this.#waiting?.wake(key)
    this.#delayed?.wake(key)
  }

  /** Rejects all waiters: the limiter was closed. */
  close(): void {
    const reason = closedError('the limiter was closed while waiting')
    this.#waiting?.close(reason)
    this.#delayed?.close(reason)
  }
}

/** Counts the denial of a cost that no wait would admit. */
function noted(limiter: QueuedLimiter, key: string, decision: Decision): Decision {
  if (!decision.allowed) limiter.noteDenial(key, decision)
  return decision
}

type LimiterQueue = WaitQueue<Decision, QueuedLimiter>

/** @param isPaced with a leaky bucket, callers leave one after the other, evenly */
function queueBefore(algorithm: Algorithm, options: QueueOptions, isPaced: boolean): LimiterQueue {
  const source: Source<Decision, QueuedLimiter> = {
    ask: (limiter, key, cost) =>
      andThen(limiter.take(key, cost, isPaced), (decision) => {
        const isFinal = decision.allowed || decision.retryAfterMs === Number.POSITIVE_INFINITY
        return isFinal ? decision : laterOf(limiter, algorithm, isPaced, key, decision)
      }),
    peek: (limiter, key, cost) => limiter.peek(key, cost),
    aged: (limiter, denial, ms) => limiter.aged?.(denial, ms) ?? agedDenial(denial, ms),
    giveBack: (limiter, key, cost, decision) => {
      const refunded = decision.allowed && cost > 0 ? limiter.refund(key, cost) : undefined
      // If it fails the unit stays charged: that errs towards denial, and the caller has gone.
      if (refunded instanceof Promise) refunded.catch(() => {})
      return decision
    },
    isAdmitted: ({ allowed }) => allowed,
  }
  return new WaitQueue(source, options)
}

/**
 * When the head of a line asks again after a denial, and how long each place behind it lasts at least, by
 * position and pace.
 */
function laterOf(
  limiter: QueuedLimiter,
  algorithm: Algorithm,
  isPaced: boolean,
  key: string,
  denial: Decision,
): Later {
  const { limits } = limiter
  const { retryAfterMs } = denial
  const gapMs = isPaced && algorithm === 'leaky-bucket' ? gapOf(limits) : 0
  let known: readonly LimitStatus[] | undefined
  const placeMs = (ahead: number, cost: number): number => {
    known ??= limiter.standings(key, denial)
    const places = limits.map((limit, i) => {
      const { remaining = 0, moreMs = 0 } = known?.[i] ?? {}
      const missing = ahead + cost - remaining
      return missing > 0 ? missingMs(limit, algorithm, missing, moreMs) : 0
    })
    return Math.max(retryAfterMs, gapMs > 0 ? retryAfterMs + ahead * gapMs : 0, ...places)
  }
  return new Later(denial, retryAfterMs, retryAfterMs, placeMs)
}

/** How long `missing` units take at least, the first of which is there after `firstMs`. */
function missingMs(
  { count, windowMs }: Limit,
  algorithm: Algorithm,
  missing: number,
  firstMs: number,
): number {
  const isInSteps = algorithm === 'fixed-window' || algorithm === 'sliding-log'
  const stepMs = isInSteps ? windowMs : windowMs / count
  const steps = isInSteps ? Math.floor((missing - 1) / count) : missing - 1
  return (Number.isFinite(firstMs) ? firstMs : stepMs) + steps * stepMs
}

/** The pace of the limit with the shortest window. */
function gapOf(limits: readonly Limit[]): number {
  const { windowMs, count } = limits[shortestOf(limits)] as Limit
  return windowMs / count
}

function refusalError({ decision, reason }: Refused, signal: AbortSignal | undefined): unknown {
  if (reason === 'gone') return signal?.reason
  const denied = deniedFor(decision, 1)
  if (reason === 'late') return new RateLimitExceeded(denied)
  const full = reason === 'crowded' ? 'this limiter as maxWaiters' : 'this key as maxWaitersPerKey'
  const words = `${retryMessage(Math.ceil(denied.retryAfterMs / 1000))}; as many callers wait for ${full} allows`
  return new RateLimitExceeded(denied, words)
}
