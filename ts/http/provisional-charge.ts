import { type Decision, deniedFor } from '../decision.ts'
import { andThen, type MaybePromise, undoIfFails } from '../limiter.ts'
import * as line from '../wait-queue/line.ts'
import { WaitQueue } from '../wait-queue.ts'
import type { RequestLimits } from './request-limits.ts'

/** Ends a provisional charge, which is refunded unless its request counts. Only the first call has an effect. */
export type Settle = (isCounted: boolean) => MaybePromise<void>

/** A decision, and what ends the charge if it admitted. */
export interface Charged {
  readonly decision: Decision
  readonly settle: Settle | undefined
}

/** How long requests wait for the outcome of others, and how many. */
export interface ProvisionalOptions {
  readonly maxWaitersPerKey: number
  readonly maxWaiters: number
  readonly counter?: line.QueueOptions['counter']
  /** The limiter's clock, in milliseconds. */
  readonly now: () => number
  /** A request that has waited this long is refused: some handler hangs. */
  readonly maxWaitMs: number
}

/** One attempt to charge. */
interface Attempt {
  readonly limits: RequestLimits
  readonly key: string
  readonly cost: number
  /** How many times in a row the head of the line has been denied. */
  readonly pauses: number
}

/** Pauses between two looks at what other processes hold: each longer than the last, and jittered. */
const SHORTEST_PAUSE_MS = 4
const LONGEST_PAUSE_MS = 200
const GROWTH = 1.5

/**
 * Charges requests that may turn out not to count.
 *
 * Each is charged before its handler runs, and refunded if it turns out not to count. These hold within one
 * process and between several:
 *
 * 1. No more requests that count run, at once or in a row, than the limits admit.
 * 2. A request is refused only if units that count deny it, its wait is over, or too many wait already.
 * 3. Units that are only held block no key: a block begins only when no process holds any at that time.
 *
 * So when a key has nothing left, a request waits for as long as any of its units is held, here or elsewhere,
 * and asks again when one is settled or time has freed one. If none is held, units that count deny the request:
 * it is refused, and this is the offence that `blockFor` punishes. Whether other processes hold any is read from
 * {@link Marks} in the store: none did if two looks, one before and one after the limits were asked, show none
 * and the same version.
 */
export class ProvisionalCharges {
  readonly #options: ProvisionalOptions
  readonly #queueOptions: line.QueueOptions
  /** One for each of different limits: a request that waits under one must not be admitted under another. */
  readonly #queues = new WeakMap<RequestLimits, WaitQueue<Charged, RequestLimits>>()
  readonly #source: line.Source<Charged, RequestLimits> = {
    ask: (limits, key, cost, pauses) => this.#ask({ limits, key, cost, pauses }),
    peek: ({ limiter }, key, cost) => limiter.peek(key, cost),
    aged: (_, denial) => denial,
    giveBack: (_, __, ___, { decision, settle }) => {
      ignoreFailure(settle?.(false))
      return decision
    },
    isAdmitted: ({ decision }) => decision.allowed,
  }

  constructor(options: ProvisionalOptions) {
    this.#options = options
    this.#queueOptions = { ...options, clock: undefined, room: { taken: 0 } }
  }

  /** Charges a request, which waits if need be. If its client leaves meanwhile, nothing is charged. */
  charge(
    limits: RequestLimits,
    key: string,
    cost: number | undefined,
    client: line.Caller,
  ): MaybePromise<Charged> {
    const queue = this.#queues.get(limits) ?? new WaitQueue(this.#source, this.#queueOptions)
    this.#queues.set(limits, queue)
    const joined = queue.join(limits, key, cost ?? 1, this.#options.maxWaitMs, client)
    const done = (outcome: line.WaitResult<Charged>): Charged => chargedOf(limits, key, outcome)
    if (!(joined instanceof Promise)) return done(joined)
    limits.held.addQueue(queue)
    const removeIfEmpty = (): void => {
      if (queue.keys === 0) limits.held.removeQueue(queue)
    }
    return joined.then(done).finally(removeIfEmpty)
  }

  /** Charges a request that never waits: a dry run. */
  chargeAtOnce(
    limits: RequestLimits,
    key: string,
    cost: number | undefined,
  ): MaybePromise<Charged> {
    return andThen(this.#ask({ limits, key, cost: cost ?? 1, pauses: 0 }), (asked) =>
      asked instanceof line.Later ? denied(limits, key, deniedFor(asked.denial, 1)) : asked,
    )
  }

  /** Peeks before it marks units as held: others would wait for a request that gets nothing. */
  #ask(attempt: Attempt): MaybePromise<Charged | line.Later> {
    const { limits, key, cost } = attempt
    return andThen(limits.limiter.peek(key, cost), (seen) =>
      seen.allowed ? this.#charge(attempt) : this.#deny(attempt, seen),
    )
  }

  #charge(attempt: Attempt): MaybePromise<Charged | line.Later> {
    const { limits, key, cost } = attempt
    const { limiter, held } = limits
    if (cost === 0) return andThen(limiter.check(key, 0), notCharged)
    return whileHeld(limits, key, () =>
      andThen(limiter.take(key, cost), (decision): MaybePromise<Charged | line.Later> => {
        if (decision.allowed) return this.#charged(attempt, decision)
        return andThen(held.remove(key), () => this.#deny(attempt, decision))
      }),
    )
  }

  #deny(attempt: Attempt, denial: Decision): MaybePromise<Charged | line.Later> {
    const { limits, key, cost, pauses } = attempt
    const { limiter, held } = limits
    if (denial.retryAfterMs === Number.POSITIVE_INFINITY) return denied(limits, key, denial)
    const later = laterOf(held.isShared, denial, pauses)
    if (held.isHeld(key)) return later
    if (!held.isShared) return this.#offend(attempt)
    return andThen(held.look(key), (before) => {
      if (before.isHeld) return later
      return andThen(limiter.peek(key, cost), (seen) =>
        andThen(held.look(key), (after): MaybePromise<Charged | line.Later> => {
          const isUnheld = !after.isHeld && after.version === before.version
          return seen.allowed || !isUnheld ? later : this.#offend(attempt)
        }),
      )
    })
  }

  /** Units that count deny the request. If time has freed one since, it is charged. */
  #offend(attempt: Attempt): MaybePromise<Charged> {
    const { limits, key, cost } = attempt
    return andThen(limits.limiter.check(key, cost), (decision): MaybePromise<Charged> => {
      if (!decision.allowed || cost === 0) return notCharged(decision)
      const charged = this.#charged(attempt, decision)
      return whileHeld(limits, key, () => charged)
    })
  }

  /** After `resetMs` nothing is left of a charge: a later refund would give back what other requests used. */
  #charged({ limits, key, cost }: Attempt, decision: Decision): Charged {
    const { now } = this.#options
    const { limiter, held } = limits
    const voidAt = now() + decision.resetMs
    const release = (): MaybePromise<void> => {
      const removed = held.remove(key)
      held.wake(key)
      return removed
    }
    let isSettled = false
    const settle: Settle = (isCounted) => {
      if (isSettled) return
      isSettled = true
      const isVoid = isCounted || now() >= voidAt
      return isVoid ? release() : refundThenRelease(() => limiter.refund(key, cost), release)
    }
    return { decision, settle }
  }
}

function chargedOf(limits: RequestLimits, key: string, outcome: line.WaitResult<Charged>): Charged {
  if (!(outcome instanceof line.Refused)) return outcome
  const denial = deniedFor(outcome.decision, 1)
  return outcome.reason === 'gone' ? notCharged(denial) : denied(limits, key, denial)
}

/** Counts a denial that no call of the limiter has made. */
function denied({ limiter }: RequestLimits, key: string, denial: Decision): Charged {
  limiter.noteDenial?.(key, denial)
  return notCharged(denial)
}

function notCharged(decision: Decision): Charged {
  return { decision, settle: undefined }
}

/** Marks units of the key as held, and removes the mark if `act` fails. */
function whileHeld<T>(
  { held }: RequestLimits,
  key: string,
  act: () => MaybePromise<T>,
): MaybePromise<T> {
  return undoIfFails(
    () => andThen(held.add(key), act),
    () => ignoreFailure(held.remove(key)),
  )
}

/** Releases even if the refund fails, so that no request waits for ever. */
function refundThenRelease(
  refund: () => MaybePromise<void>,
  release: () => MaybePromise<void>,
): MaybePromise<void> {
  let refunded: MaybePromise<void>
  try {
    refunded = refund()
  } catch (error) {
    ignoreFailure(release())
    throw error
  }
  return refunded instanceof Promise ? refunded.finally(release) : release()
}

/** A failure leaves a unit charged or a mark in place: that errs towards denial, and passes with time. */
function ignoreFailure(done: MaybePromise<void>): void {
  if (done instanceof Promise) done.catch(() => {})
}

/** With growing pauses where other processes hold units, so that a long wait costs little. */
function laterOf(isShared: boolean, denial: Decision, pauses: number): line.Later {
  const ms = Math.max(1, denial.retryAfterMs)
  const grown = Math.min(LONGEST_PAUSE_MS, SHORTEST_PAUSE_MS * GROWTH ** pauses)
  const jittered = grown * (0.5 + Math.random() / 2)
  return new line.Later(denial, isShared ? Math.min(ms, jittered) : ms, 0, () => 0)
}
