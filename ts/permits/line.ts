import type { Clock } from '../clock.ts'
import type { MaybePromise } from '../limiter.ts'
import { Chain, type Link } from '../wait-queue/chain.ts'
import type { Entry } from '../wait-queue/heap.ts'
import type { Permit, PermitRefused } from './types.ts'

/** What becomes of a caller that waits. */
export type Outcome = Permit | PermitRefused

/** What a queue of callers has to know of its limiter. */
export interface QueueSource {
  /** A permit for the key, or why there is none. */
  ask(key: string): MaybePromise<Outcome>
  /** What a caller is told whom others precede that wait for `total`; `undefined` where there is no such limit. */
  readonly beforeAll: PermitRefused | undefined
  /** Whether permits may come free of which this queue is not told. */
  readonly isShared: boolean
  /** Looks for permits that come free so. */
  reap?(): void
  /** Callers that the queue asks for of itself: how often, and how many at most. */
  readonly poll: { readonly everyMs: number; readonly most: number }
  /** A caller begins to wait (1), or does so no more (-1). */
  queued(change: 1 | -1): void
  /** A caller got its permit after this long. */
  waited(ms: number): void
  /** The caller's wait is over. */
  timedOut(): void
  /** The caller has gone. */
  gaveUp(key: string): void
}

/** How many callers may wait, and by which clock. */
export interface Room {
  readonly queue: number
  readonly maxWaiters: number
  readonly clock: Required<Clock>
}

/** A caller who waits for a permit, linked to both neighbours. As an {@link Entry}: when its wait is over. */
export class Waiter implements Entry, Link<Waiter> {
  at = 0
  place = -1
  isWaiting = true
  /** Its wait is over, and a question for it is under way: the answer decides. */
  isDue = false
  before: Waiter | undefined = undefined
  after: Waiter | undefined = undefined
  stopWatching: (() => void) | undefined = undefined

  /**
   * @param number its place among all callers of the limiter
   * @param since when it came
   */
  constructor(
    readonly line: Line,
    readonly number: number,
    readonly since: number,
    readonly resolve: (outcome: Outcome) => void,
    readonly reject: (reason: unknown) => void,
  ) {}
}

/** The callers who wait for permits of one key. As an {@link Entry}: the number of its head. */
export class Line extends Chain<Waiter> implements Entry {
  at = 0
  place = -1
  /** A question for its head is under way. */
  isAsking = false
  /** Something came free meanwhile: the head asks once more. */
  isWoken = false

  /** @param refused why its head waits */
  constructor(
    readonly key: string,
    public refused: PermitRefused,
  ) {
    super()
  }
}
