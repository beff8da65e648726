import type { LimitCounter } from '../counting.ts'
import type { Decision } from '../decision.ts'
import { type ConcurrencyReason, PERMIT_MESSAGE, permitDenial } from '../errors.ts'
import { andThen, type MaybePromise, type StoreStatus, undoIfFails } from '../limiter.ts'
import { type ConcurrentInput, openPermits } from '../permits/open.ts'
import { type Permit, PermitRefused, type Permits } from '../permits/types.ts'
import type { LimiterContext } from './charge.ts'
import { type ChargeOwner, type ChargeRecord, type Exchange, refund } from './charge-record.ts'
import type { ResolvedHttpOptions } from './options.ts'
import { permitNames, permitPolicy, shownWith, withoutLimits } from './permit-limits.ts'
import { placeOf } from './permit-place.ts'
import type { Settle } from './provisional-charge.ts'
import type { LimitsSource, RequestLimits } from './request-limits.ts'
import { type DenialTemplate, denialTemplate } from './response.ts'

/*
 * Option `concurrent`: how many requests are served at a time. A request holds its permit until its response is done,
 * or its client has left.
 */

type Concurrent = Exclude<ConcurrentInput, number>

/** Why a request got no permit, and how it is answered. */
export interface RefusedPermit {
  readonly reason: ConcurrencyReason
  readonly template: DenialTemplate
}

/** What asking for a permit came to. */
interface Taken {
  readonly found: Permit | PermitRefused
  /** Whether the request had a place in the queue. */
  readonly hasWaited: boolean
  /** Whether its client left meanwhile, or the server shuts down. */
  readonly isGone: boolean
}

/**
 * Opens the permits, and the limits beside them if there are any.
 *
 * @param name of the permits in a store, if the options give none
 * @param place what an insight calls the limiter
 * @param openLimits opens the counters of the limits
 */
export function openWithPermits(
  options: ResolvedHttpOptions,
  concurrent: Concurrent,
  name: string,
  place: string,
  openLimits: () => LimitsSource,
): { readonly source: LimitsSource; readonly permits: RequestPermits } {
  const permits = openPermits(concurrent, placeOf(options, concurrent, name))
  return undoIfFails(
    () => {
      const limits = options.limits === undefined ? withoutLimits(options, place) : openLimits()
      const requests = new RequestPermits(options, concurrent, permits, limits.counter)
      return { source: shownWith(limits, requests, permitPolicy(concurrent)), permits: requests }
    },
    () => void permits.close(),
  ) as { readonly source: LimitsSource; readonly permits: RequestPermits }
}

/** The permits of one limiter's requests. */
export class RequestPermits {
  readonly #permits: Permits
  readonly #counter: LimitCounter | undefined
  readonly #hasQueue: boolean
  /** Whether a request waits, by its limits, before it may run: then it has no permit yet. */
  readonly #isLast: boolean
  readonly #template: DenialTemplate
  readonly #names: ReturnType<typeof permitNames>
  readonly #isSilent: boolean
  /** Requests under way that hold a permit. */
  #out = 0
  #isClosed = false

  constructor(
    options: ResolvedHttpOptions,
    concurrent: Concurrent,
    permits: Permits,
    counter: LimitCounter | undefined,
  ) {
    const { status, message, slowDown, countWhen, dryRun, limits, headers } = options
    this.#permits = permits
    this.#counter = counter
    // A dry run decides at once.
    this.#hasQueue = (concurrent.queue ?? 0) > 0 && !dryRun
    this.#isLast = (slowDown !== undefined || countWhen !== undefined) && !dryRun
    this.#template = denialTemplate(status, message ?? PERMIT_MESSAGE)
    this.#names = permitNames(concurrent)
    this.#isSilent = limits === undefined && headers === 'legacy'
  }

  /**
   * Takes a permit and charges the limits: both or neither.
   *
   * The permit comes first: a request that gets none has charged nothing, and one that waits for a permit has none of
   * the limits' units meanwhile. Where the limits have requests wait, the permit comes last: one that waits for its turn
   * keeps no other from being served.
   */
  charge(
    context: LimiterContext,
    exchange: Exchange,
    limits: RequestLimits,
    key: string,
    charging: () => MaybePromise<ChargeRecord>,
  ): MaybePromise<ChargeRecord> {
    const concluding = (taken: Taken, act: (permit: Permit) => MaybePromise<ChargeRecord>) => {
      const { found } = taken
      if (found instanceof PermitRefused) {
        return this.#refused(context.owner, exchange, limits, key, found, taken)
      }
      return undoIfFails(
        () => andThen(act(found), (record) => this.#hold(context, exchange, record, found, taken)),
        () => found.release(),
      )
    }
    if (!this.#isLast) {
      return andThen(this.#take(context, exchange, key), (taken) => concluding(taken, charging))
    }
    return andThen(charging(), (record) => {
      if (!record.decision.allowed) return record
      const giveBack = (): void => ignoreFailure(() => refund(record))
      return andThen(
        undoIfFails(() => this.#take(context, exchange, key), giveBack),
        (taken) => {
          if (!(taken.found instanceof PermitRefused)) return concluding(taken, () => record)
          return andThen(refund(record), () => concluding(taken, () => record))
        },
      )
    })
  }

  ready(): Promise<StoreStatus> {
    return this.#permits.ready()
  }

  /** Requests under way keep their permits, as they go on: the last of them closes the counts. */
  close(): void {
    this.#isClosed = true
    this.#closeIfIdle()
  }

  /** The decision about the key as far as permits make it, for a request that its limits would admit. */
  peek(key: string, decision: Decision): MaybePromise<Decision> {
    const permits = this.#permits
    const { perKey = Number.POSITIVE_INFINITY, total = Number.POSITIVE_INFINITY } = permits.limits
    // No permit is taken: another request of this instant would be refused for it.
    return andThen(permits.held(key), (held) => {
      if (held >= perKey) return permitDenial(perKey)
      return permits.stats().held >= total ? permitDenial(total) : decision
    })
  }

  #take(context: LimiterContext, exchange: Exchange, key: string): MaybePromise<Taken> {
    return andThen(this.#permits.take(key), (found) => {
      const canWait = this.#hasQueue && found instanceof PermitRefused
      if (canWait && WAITED_FOR.includes(found.reason)) return this.#wait(context, exchange, key)
      return { found, hasWaited: false, isGone: false }
    })
  }

  /** Waits in the queue, if it has room, until the client leaves or the server shuts down. */
  #wait(
    { waiting, adapter }: LimiterContext,
    { response }: Exchange,
    key: string,
  ): MaybePromise<Taken> {
    const client = waiting.clientOf(adapter, response)
    if (client.isGone) return { found: NONE, hasWaited: false, isGone: true }
    const leave = new AbortController()
    const asked = this.#permits.enter(key, leave.signal)
    if (!(asked instanceof Promise)) return { found: asked, hasWaited: false, isGone: false }
    const stop = client.watch(() => leave.abort())
    return this.#waitFor(asked, key, leave.signal).finally(stop)
  }

  async #waitFor(
    asked: Promise<Permit | PermitRefused>,
    key: string,
    left: AbortSignal,
  ): Promise<Taken> {
    const since = performance.now()
    this.#counter?.queued?.(1)
    try {
      const found = await asked
      // One that waited in vain is a denial like others.
      const hasWaited = !(found instanceof PermitRefused)
      if (hasWaited) this.#counter?.waited(performance.now() - since)
      return { found, hasWaited, isGone: false }
    } catch (error) {
      if (!left.aborted) throw error
      this.#counter?.gaveUp(key)
      return { found: NONE, hasWaited: true, isGone: true }
    } finally {
      this.#counter?.queued?.(-1)
    }
  }

  #refused(
    owner: ChargeOwner,
    { previous }: Exchange,
    limits: RequestLimits,
    key: string,
    { reason, limit }: PermitRefused,
    { hasWaited, isGone }: Taken,
  ): ChargeRecord {
    const decision = permitDenial(limit)
    if (!isGone) limits.limiter.noteDenial?.(key, decision)
    return {
      owner,
      limits: this.#names.refusing(limits, reason, this.#template),
      key,
      cost: undefined,
      decision,
      settle: undefined,
      hasWaited,
      previous,
    }
  }

  /** The request keeps its permit until its response is done: from now on, whatever becomes of it. */
  #hold(
    { adapter, owner }: LimiterContext,
    exchange: Exchange,
    record: ChargeRecord,
    permit: Permit,
    { hasWaited }: Taken,
  ): ChargeRecord {
    if (!record.decision.allowed) {
      permit.release()
      return record
    }
    const release = this.#untilReleased(permit)
    let isOver = false
    adapter.onDone(exchange.response, () => {
      isOver = true
      release()
    })
    if (isOver && !owner.isDryRun) {
      // Its client left before it was asked about, and would be served without a permit. What it was charged stays.
      const gone = { found: NONE, hasWaited, isGone: true }
      return this.#refused(owner, exchange, record.limits, record.key, NONE, gone)
    }
    // Another limiter that denies the request has it give back everything.
    const settle: Settle = () => {
      release()
      return refund(record)
    }
    return {
      ...record,
      owner: this.#isSilent ? { ...owner, isShown: false } : owner,
      settle,
      hasWaited: hasWaited || record.hasWaited,
    }
  }

  /** Counts a permit as out until the function is called that gives it back. */
  #untilReleased(permit: Permit): () => void {
    this.#out++
    let isOut = true
    return () => {
      if (!isOut) return
      isOut = false
      permit.release()
      this.#out--
      this.#closeIfIdle()
    }
  }

  #closeIfIdle(): void {
    if (this.#isClosed && this.#out === 0) ignoreFailure(() => this.#permits.close())
  }
}

/** What a place in the queue can help against. */
const WAITED_FOR: readonly ConcurrencyReason[] = ['perKey', 'total']
/** For a request whose client has left. */
const NONE = new PermitRefused('perKey', 0)

/** A failure leaves units charged, or leases out: that errs towards denial, and passes with time. */
function ignoreFailure(act: () => MaybePromise<void>): void {
  try {
    const done = act()
    if (done instanceof Promise) done.catch(() => {})
  } catch {
    // As above.
  }
}
