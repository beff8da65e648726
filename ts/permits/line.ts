import { Chain, type Link } from '../wait-queue/chain.ts'
import type { Entry } from '../wait-queue/heap.ts'
import type { Permit, PermitRefused } from './types.ts'

/** What becomes of a caller that waits. */
export type Outcome = Permit | PermitRefused

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
