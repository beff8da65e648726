import type { Decision } from '../../decision.ts'
import type { Answer } from '../../tier.ts'
import { then } from './answer.ts'
import type { Budget } from './budget.ts'

/** A charge that is given back unless the request turns out to count. */
export class Hold {
  readonly #release: (isCounted: boolean) => Answer<void>
  #isSettled = false

  constructor(release: (isCounted: boolean) => Answer<void>) {
    this.#release = release
  }

  /** Only the first call acts. */
  settle(isCounted: boolean): Answer<void> {
    if (this.#isSettled) return
    this.#isSettled = true
    return this.#release(isCounted)
  }

  cancel(): Answer<void> {
    return this.settle(false)
  }
}

/** A decision, and the charge it held if it admitted. */
export interface Held {
  readonly decision: Decision
  readonly hold: Hold | undefined
}

/** Whoever asks, as far as a line has to know: whether the client is still there. */
export class Asker {
  /** Leaves the line, if it is in one. */
  leave: (() => void) | undefined
  #isGone = false
  #listens = false
  readonly #isOver: () => boolean
  readonly #onGone: (gone: () => void) => void

  constructor(isOver: () => boolean, onGone: (gone: () => void) => void) {
    this.#isOver = isOver
    this.#onGone = onGone
  }

  get isGone(): boolean {
    return this.#isGone || this.#isOver()
  }

  /** From now on it leaves the line when the client goes. */
  listen(): void {
    if (this.#listens) return
    this.#listens = true
    this.#onGone(() => {
      this.#isGone = true
      this.leave?.()
    })
  }
}

/** setTimeout takes no less. */
const SHORTEST_WAIT_MS = 1

/**
 * Charges requests that may turn out not to count.
 *
 * Each is charged before its handler runs, so no number of parallel requests passes a limit. When a key
 * has nothing left but holds, the next request is not refused: it waits until one of them is settled or
 * time has freed a unit, is admitted if there is one, and refused if none is left that might be given back.
 * One whose client goes meanwhile leaves the line at once, and is charged nothing.
 */
export class Holds {
  readonly #now: () => number
  readonly #longestWaitMs: number

  /**
   * @param now milliseconds of the tier's clock
   * @param longestWaitMs whoever has waited so long for others' outcome is refused: some handler hangs
   */
  constructor(now: () => number, longestWaitMs: number) {
    this.#now = now
    this.#longestWaitMs = longestWaitMs
  }

  take(
    budget: Budget,
    key: string,
    cost: number | undefined,
    asker: Asker,
    until: number = performance.now() + this.#longestWaitMs,
  ): Answer<Held> {
    // Looks before it charges: waiting for one's turn is no offence that `blockFor` should punish.
    return then(budget.tier.peek(key, cost), (seen) => {
      const ms = Math.min(seen.retryAfterMs, until - performance.now())
      const canHelp = seen.retryAfterMs !== Number.POSITIVE_INFINITY && ms > 0 && !asker.isGone
      const turn =
        seen.allowed || !canHelp
          ? undefined
          : budget.lines.turn(key, Math.max(ms, SHORTEST_WAIT_MS), asker)
      if (turn === undefined) return this.#charge(budget, key, cost)
      const taken = turn.then(() =>
        asker.isGone
          ? { decision: seen, hold: undefined }
          : this.take(budget, key, cost, asker, until),
      )
      return taken.then(
        (held) => passOn(budget, key, held),
        (error) => {
          budget.lines.wake(key)
          throw error
        },
      )
    })
  }

  #charge(budget: Budget, key: string, cost: number | undefined): Answer<Held> {
    return then(budget.tier.check(key, cost), (decision) => {
      if (!decision.allowed || cost === 0) return { decision, hold: undefined }
      budget.lines.hold(key)
      return { decision, hold: this.#hold(budget, key, cost, decision) }
    })
  }

  /** After `resetMs` nothing is left of a charge: a later refund would give back what others owe. */
  #hold({ tier, lines }: Budget, key: string, cost: number | undefined, decision: Decision): Hold {
    const voidAt = this.#now() + decision.resetMs
    const free = (): void => lines.free(key)
    return new Hold((isCounted) => {
      const isVoid = isCounted || this.#now() >= voidAt
      if (isVoid) free()
      else return freeing(tier.refund.bind(tier, key, cost), free)
    })
  }
}

/** Whoever waited in vain lets the next one try: nobody else would. */
function passOn({ lines }: Budget, key: string, held: Held): Held {
  if (held.hold === undefined) lines.wake(key)
  return held
}

/** Refunds, and then frees in any case: behind a refund that failed nobody must wait for ever. */
function freeing(refund: () => Answer<void>, free: () => void): Answer<void> {
  let refunded: Answer<void>
  try {
    refunded = refund()
  } catch (error) {
    free()
    throw error
  }
  if (refunded instanceof Promise) return refunded.finally(free)
  free()
}
