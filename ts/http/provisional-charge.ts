import { type Decision, deniedFor } from '../decision.ts'
import type { MaybePromise } from '../maybe-promise.ts'
import { andThen } from '../maybe-promise.ts'
import {
  type Caller,
  Later,
  type QueueOptions,
  Refused,
  type Room,
  WaitQueue,
} from '../wait-queue.ts'
import type { RequestLimits } from './request-limits.ts'

/** A charge that is given back unless the request turns out to count. */
export class ProvisionalCharge {
  readonly #release: (isCounted: boolean) => MaybePromise<void>
  #isSettled = false

  constructor(release: (isCounted: boolean) => MaybePromise<void>) {
    this.#release = release
  }

  /** Only the first call acts. */
  settle(isCounted: boolean): MaybePromise<void> {
    if (this.#isSettled) return
    this.#isSettled = true
    return this.#release(isCounted)
  }

  cancel(): MaybePromise<void> {
    return this.settle(false)
  }
}

/** A decision, and the charge it held if it admitted. */
export interface Held {
  readonly decision: Decision
  readonly hold: ProvisionalCharge | undefined
}

/** How long requests wait for others' outcome, and how many. */
export interface HoldOptions extends Omit<QueueOptions, 'clock' | 'room'> {
  /** The tier's clock, in milliseconds. */
  readonly now: () => number
  /** A request that has waited this long is refused: some handler hangs. */
  readonly longestWaitMs: number
}

/** Pauses between two looks at what other processes hold: each longer than the last, and none quite alike. */
const SHORTEST_PAUSE_MS = 4
const LONGEST_PAUSE_MS = 200
const GROWTH = 1.5

/**
 * Charges requests that may turn out not to count.
 *
 * Each is charged before its handler runs, and given back if it turns out not to count. What holds, in one
 * process and between several:
 *
 * 1. Never do more requests that count run at once or in a row than the limits admit.
 * 2. A request is refused only if units that count deny it, or its wait is over, or too many wait already.
 * 3. Units that are only held block no key: a block begins only when no process holds any at that time.
 *
 * So when a key has nothing left, a request waits as long as any unit of it is held, here or elsewhere, and
 * asks again when one is settled or time has freed one. If none is held, the units that count deny it: the
 * request is refused, and this is the offence that `blockFor` punishes. Whether any is held elsewhere, {@link
 * Marks} in the store say: none was when two looks at them, one before and one after the limits were asked,
 * see the same and none.
 */
export class ProvisionalCharges {
  readonly #options: HoldOptions
  readonly #room: Room = { taken: 0 }
  readonly #queues = new WeakMap<RequestLimits, WaitQueue<Held>>()

  constructor(options: HoldOptions) {
    this.#options = options
  }

  /** Charges a request, which waits if need be. A request whose client goes meanwhile is charged nothing. */
  take(
    budget: RequestLimits,
    key: string,
    cost: number | undefined,
    client: Caller,
  ): MaybePromise<Held> {
    const queue = this.#queueOf(budget)
    const joined = queue.join(key, cost ?? 1, this.#options.longestWaitMs, client)
    if (!(joined instanceof Promise)) return heldOf(joined)
    budget.lines.join(queue)
    const parted = (): void => {
      if (queue.size === 0) budget.lines.part(queue)
    }
    return joined.then(heldOf).finally(parted)
  }

  /** Charges a request that never waits: a dry run. */
  takeAtOnce(budget: RequestLimits, key: string, cost: number | undefined): MaybePromise<Held> {
    return andThen(this.#ask(budget, key, cost ?? 1, 0), (asked) => {
      return asked instanceof Later ? withoutHold(deniedFor(asked.denial, 1)) : asked
    })
  }

  #queueOf(budget: RequestLimits): WaitQueue<Held> {
    const known = this.#queues.get(budget)
    if (known !== undefined) return known
    const queue = new WaitQueue<Held>(
      {
        ask: (key, cost, pauses) => this.#ask(budget, key, cost, pauses),
        peek: (key, cost) => budget.tier.peek(key, cost),
        aged: (denial) => denial,
        giveBack: (_, __, { decision, hold }) => {
          settled(hold?.cancel())
          return decision
        },
      },
      { ...this.#options, clock: undefined, room: this.#room },
    )
    this.#queues.set(budget, queue)
    return queue
  }

  /** Looks before it says that it holds: others would wait for one who gets nothing. */
  #ask(
    budget: RequestLimits,
    key: string,
    cost: number,
    pauses: number,
  ): MaybePromise<Held | Later> {
    return andThen(budget.tier.peek(key, cost), (seen) =>
      seen.allowed
        ? this.#charge(budget, key, cost, pauses)
        : this.#denied(budget, key, cost, seen, pauses),
    )
  }

  #charge(
    budget: RequestLimits,
    key: string,
    cost: number,
    pauses: number,
  ): MaybePromise<Held | Later> {
    if (cost === 0) return andThen(budget.tier.check(key, 0), withoutHold)
    return holding(budget, key, () =>
      andThen(budget.tier.take(key, cost), (decision): MaybePromise<Held | Later> => {
        if (decision.allowed) return { decision, hold: this.#hold(budget, key, cost, decision) }
        const freed = budget.lines.free(key)
        return andThen(freed, () => this.#denied(budget, key, cost, decision, pauses))
      }),
    )
  }

  #denied(
    budget: RequestLimits,
    key: string,
    cost: number,
    denial: Decision,
    pauses: number,
  ): MaybePromise<Held | Later> {
    const { tier, lines } = budget
    if (denial.retryAfterMs === Number.POSITIVE_INFINITY) return withoutHold(denial)
    const later = (seen: Decision): Later => this.#later(lines.isShared, seen, pauses)
    if (lines.isHeld(key)) return later(denial)
    if (!lines.isShared) return this.#offend(budget, key, cost)
    return andThen(lines.look(key), (before) => {
      if (before.isHeld) return later(denial)
      return andThen(tier.peek(key, cost), (seen) =>
        andThen(lines.look(key), (after): MaybePromise<Held | Later> => {
          const isUnheld = !after.isHeld && after.version === before.version
          if (seen.allowed || !isUnheld) return later(denial)
          return this.#offend(budget, key, cost)
        }),
      )
    })
  }

  /** Units that count deny the request. Should time have freed one since, it is charged. */
  #offend(budget: RequestLimits, key: string, cost: number): MaybePromise<Held> {
    return andThen(budget.tier.check(key, cost), (decision): MaybePromise<Held> => {
      if (!decision.allowed || cost === 0) return withoutHold(decision)
      const hold = this.#hold(budget, key, cost, decision)
      return holding(budget, key, () => ({ decision, hold }))
    })
  }

  #later(isShared: boolean, denial: Decision, pauses: number): Later {
    const ms = Math.max(1, denial.retryAfterMs)
    const pauseMs = isShared ? Math.min(ms, pauseAfter(pauses)) : ms
    return new Later(denial, pauseMs, 0, () => 0)
  }

  /** After `resetMs` nothing is left of a charge: a later refund would give back what others owe. */
  #hold(
    { tier, lines }: RequestLimits,
    key: string,
    cost: number,
    decision: Decision,
  ): ProvisionalCharge {
    const { now } = this.#options
    const voidAt = now() + decision.resetMs
    const free = (): MaybePromise<void> => {
      const freed = lines.free(key)
      lines.wake(key)
      return freed
    }
    return new ProvisionalCharge((isCounted) => {
      const isVoid = isCounted || now() >= voidAt
      return isVoid ? free() : freeing(() => tier.refund(key, cost), free)
    })
  }
}

function heldOf(outcome: Held | Refused): Held {
  if (!(outcome instanceof Refused)) return outcome
  return withoutHold(deniedFor(outcome.decision, 1))
}

function withoutHold(decision: Decision): Held {
  return { decision, hold: undefined }
}

/** Marks the key as held, and takes the mark away if what follows fails. */
function holding<T>(
  { lines }: RequestLimits,
  key: string,
  act: () => MaybePromise<T>,
): MaybePromise<T> {
  const failed = (error: unknown): never => {
    settled(lines.free(key))
    throw error
  }
  try {
    const done = andThen(lines.hold(key), act)
    return done instanceof Promise ? done.catch(failed) : done
  } catch (error) {
    return failed(error)
  }
}

/** Refunds, and then frees in any case: behind a refund that failed no request must wait for ever. */
function freeing(
  refund: () => MaybePromise<void>,
  free: () => MaybePromise<void>,
): MaybePromise<void> {
  let refunded: MaybePromise<void>
  try {
    refunded = refund()
  } catch (error) {
    settled(free())
    throw error
  }
  return refunded instanceof Promise ? refunded.finally(free) : free()
}

/** One that fails leaves a unit charged or a mark in place: that errs towards denial, and passes with time. */
function settled(done: MaybePromise<void>): void {
  if (done instanceof Promise) done.catch(() => {})
}

/** Growing, so that a long wait costs little, and jittered, so that processes do not ask in step. */
function pauseAfter(pauses: number): number {
  const ms = Math.min(LONGEST_PAUSE_MS, SHORTEST_PAUSE_MS * GROWTH ** pauses)
  return ms * (0.5 + Math.random() / 2)
}
