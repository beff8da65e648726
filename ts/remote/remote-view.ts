import { type Decision, deniedFor } from '../decision.ts'
import { closedError } from '../errors.ts'
import { type Limit, MAX_WINDOW_MS } from '../limit/limit.ts'
import type { Limiter, LimitStatus, StoreStatus } from '../limiter.ts'
import { RateLimiter } from '../rate-limiter.ts'
import { type QueuedLimiter, readWaitOptions, type WaitOptions } from '../wait.ts'
import type { Caller, WaitResult } from '../wait-queue/line.ts'
import { type Counters, StoreDecision } from './backend.ts'
import { type FailureKind, failureOf } from './failure.ts'
import { type LeaseSource, Leases } from './leases.ts'
import type { Mode } from './local-counters.ts'
import { Question } from './question.ts'
import type { RemoteState } from './remote-limiter.ts'

const MAX_KEY_LENGTH = 1_048_576

/** Is asked only about arguments that are wrong. */
let judge: RateLimiter | undefined

/**
 * The counters of a store behind a network, as one set of limits sees them. Asks the store, and decides without
 * it where the store has said enough before, or does not answer.
 */
export class RemoteView implements Limiter, QueuedLimiter {
  /** The limits, parsed, with the bursts they were given. All of them are charged, or none. */
  readonly limits: readonly Limit[]
  /** Private at run time too: a limiter that is logged or printed as JSON must not show its connection. */
  readonly #state: RemoteState
  readonly #counters: Counters

  constructor(limits: readonly Limit[], state: RemoteState) {
    this.limits = limits
    this.#state = state
    const { lease, blockForMs } = state.options
    this.#counters = state.backend.counters(limits)
    // Where limits change, units that were taken under some would be unknown to the others.
    if (limits === state.limits && lease !== undefined) {
      const isForeseeable = limits.length === 1 && blockForMs === 0
      state.leases = new Leases(this.#leaseSource(), lease, isForeseeable)
    }
  }

  /** Charges `cost` (default 1) and says in full what that left, or why not. */
  check(key: string, cost = 1): Promise<Decision> {
    try {
      this.#checkArguments(key, cost)
      if (cost === 0) return this.peek(key)
      const { leases, denials, tally } = this.#state
      const known = leases?.serve(key, cost) ?? denials.find(this.limits, key, cost)
      if (known !== undefined) return Promise.resolve(tally.note('check', key, known))
      if (leases?.covers(key, cost)) return leases.take(key, cost)
      leases?.yield(key)
      return this.#decide('check', key, cost)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** What {@link check} would answer now. Changes nothing. */
  async peek(key: string, cost = 1): Promise<Decision> {
    this.#checkArguments(key, cost)
    const units = Math.max(1, cost)
    const { leases, denials } = this.#state
    const known = leases?.peek(key, units) ?? denials.find(this.limits, key, units)
    if (known !== undefined) return known
    leases?.yield(key)
    return this.#decide('peek', key, units)
  }

  /**
   * As {@link check}, but a denial begins no block, and is neither remembered nor taken from memory: the caller
   * waits for its turn.
   *
   * @param isPaced with a leaky bucket, callers are admitted one after the other, evenly. A remembered denial counts
   * then: the caller only has to learn when to ask again
   */
  take(key: string, cost = 1, isPaced = false): Promise<Decision> {
    // Callers that wait learn of the end when it is there.
    if (this.#state.isClosed) return this.#state.refuseLate()
    try {
      this.#checkArguments(key, cost)
      if (cost === 0) return this.#decide('peek', key, 1)
      const { leases, denials, options, tally } = this.#state
      const mode = isPaced && options.algorithm === 'leaky-bucket' ? 'paced' : 'take'
      const denial = isPaced ? denials.find(this.limits, key, cost) : undefined
      // Units at hand were charged already, but not evenly paced.
      const known = denial ?? (mode === 'take' ? leases?.serve(key, cost) : undefined)
      if (known !== undefined) return Promise.resolve(tally.note(mode, key, known))
      leases?.yield(key)
      return this.#decide(mode, key, cost)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** Asks the store; where it does not answer, what takes its place decides. */
  #decide(mode: Mode, key: string, cost: number, since?: number): Promise<Decision> {
    return new Promise((resolve) => {
      const question = new Question(this.#state, this.limits, mode, key, cost, resolve)
      question.ask(this.#counters, since)
    })
  }

  /**
   * Waits until `cost` is admitted: first come, first served for each key among the callers of this limiter. Each
   * process has its own queue. With `leaky-bucket` work leaves evenly paced, for all processes together;
   * callers of {@link check} may overtake.
   *
   * @throws RateLimitExceeded when `maxWaitMs` does not suffice, nothing would, or as many callers wait already as
   * `maxWaitersPerKey` and `maxWaiters` allow; the signal's reason when it is aborted. Nothing is charged in
   * either case.
   */
  async wait(key: string, options: WaitOptions = {}): Promise<Decision> {
    const read = readWaitOptions(options)
    this.#checkArguments(key, read.cost)
    return this.#state.queues.wait(this, key, read)
  }

  /** For adapters: as {@link wait}, but not paced, and says why it refuses. */
  async delay(
    key: string,
    cost: number,
    maxWaitMs: number,
    caller: Caller,
  ): Promise<WaitResult<Decision>> {
    this.#checkArguments(key, cost)
    return this.#state.queues.delay(this, key, cost, maxWaitMs, caller)
  }

  /** For adapters: counts a denial after {@link delay}, which counts none itself. */
  noteDenial(key: string, denial: Decision): void {
    this.#state.tally.note('check', key, denial.allowed ? deniedFor(denial, 1) : denial)
  }

  /** Gives back `units` (default 1) to every limit, never more than the key owes. */
  async refund(key: string, units = 1): Promise<void> {
    this.#checkArguments(key, units, 'refund')
    this.#state.denials.forget(key)
    // To what has charged them: to the store while it answers, else to what decides in its place.
    const isDone = await this.#carryOut((store) => store.refund(key, units))
    if (!isDone) this.#state.fallback.counters?.refund(this.limits, key, units)
    this.#state.tally.counter?.refunded()
    this.#state.queues.wake(key)
  }

  /** Forgets the key, its block included. */
  async reset(key: string): Promise<void> {
    this.#checkArguments(key, 0)
    this.#state.leases?.drop(key)
    this.#state.denials.forget(key)
    this.#state.fallback.counters?.reset(key)
    await this.#carryOut((store) => store.reset(key))
    this.#state.queues.wake(key)
  }

  /**
   * Denies the key for `ms` milliseconds from now on, whatever its limits say; replaces an earlier block.
   *
   * @param ms 1 to 10 years
   */
  async block(key: string, ms: number): Promise<void> {
    this.#checkArguments(key, ms, 'block')
    this.#state.leases?.drop(key)
    this.#state.denials.forget(key)
    const isDone = await this.#carryOut((store) => store.block(key, ms))
    if (!isDone) this.#state.fallback.open()?.block(this.limits, key, ms)
  }

  /** How each limit stood when `decision` was taken, in the order of `limits`. Takes no round trip. */
  standings(key: string, decision: Decision): readonly LimitStatus[] {
    const known =
      StoreDecision.statuses(decision) ?? this.#state.fallback.counters?.standings(this.limits, key)
    if (known !== undefined) return known
    // A fallback's decision speaks for all limits.
    const { remaining, resetMs } = decision
    return this.limits.map(() => ({ remaining, moreMs: resetMs }))
  }

  /** A denial as it reads some milliseconds later, if nothing has happened to the key since. */
  aged(denial: Decision, ms: number): Decision {
    return StoreDecision.aged(denial, ms)
  }

  /**
   * Waits for the first connection, at most `connectTimeoutMs`, and says whether the store decides. Never rejects,
   * and never waits once the store has answered or could not be reached in time.
   */
  async ready(): Promise<StoreStatus> {
    const status = this.#state.isClosed ? undefined : await this.#state.backend.ready()
    if (status === undefined || this.#state.isClosed) return { available: false, reason: 'closed' }
    return status
  }

  /** For the limiter that extends the view. */
  protected get state(): RemoteState {
    return this.#state
  }

  /** A view has nothing to close; its limiter has. */
  close(): void | Promise<void> {}

  /** Wrong arguments are refused by the native core, in the same words wherever the counters live. */
  #checkArguments(key: unknown, amount: unknown, call: 'peek' | 'refund' | 'block' = 'peek'): void {
    if (this.#state.isClosed) throw closedError('the limiter is closed; make a new one')
    const isKey = typeof key === 'string' && key.length <= MAX_KEY_LENGTH
    const isAmount = Number.isSafeInteger(amount) && (amount as number) >= 0
    const isBlock = call === 'block'
    const isDuration = isBlock && 1 <= (amount as number) && (amount as number) <= MAX_WINDOW_MS
    if (isKey && isAmount && isBlock === isDuration) return
    judge ??= new RateLimiter('1/second', { capacity: 1 })
    judge[call](key as string, amount as number)
  }

  /** The store, for one more call. */
  #store(): Counters {
    this.#state.asked++
    return this.#counters
  }

  /**
   * Whether the store has done what a caller asked for.
   *
   * @throws Error with code CLOSED if that is not known, because the limiter was closed meanwhile
   */
  async #carryOut(call: (store: Counters) => Promise<unknown>): Promise<boolean> {
    const isDone = await this.#send(call)
    return isDone || !this.#state.isClosed ? isDone : this.#state.refuseLate()
  }

  /** Whether the store has done it. */
  async #send(call: (store: Counters) => Promise<unknown>): Promise<boolean> {
    try {
      await call(this.#store())
      return true
    } catch (error) {
      if (!this.#state.isClosed) await this.#state.recordFailure(error)
      return false
    }
  }

  #leaseSource(): LeaseSource {
    const state = this.#state
    return {
      acquire: async (key, least, most, since) => {
        const [askedAt, begunAt] = [state.denials.now(), state.tally.begin()]
        let answer: Decision | FailureKind
        try {
          answer = await this.#store().acquire(key, least, most, since)
          state.tally.took(begunAt)
          state.denials.learn(this.limits, key, least, answer, askedAt)
        } catch (error) {
          answer = failureOf(error).kind
          if (!state.isClosed) await state.yieldToEventLoop()
        }
        return state.isClosed ? state.refuseLate() : answer
      },
      check: (key, cost, since) => this.#decide('check', key, cost, since),
      decideAlone: (key, cost, kind) => {
        state.failures[kind]++
        const decision = state.fallback.decide(this.limits, 'check', key, cost)
        return state.tally.noteWithout('check', key, decision)
      },
      note: (key, decision) => state.tally.note('check', key, decision),
      giveBack: async (key, units) => {
        state.denials.forget(key)
        // What the store has charged is given back to the store or not at all.
        await this.#send((store) => store.refund(key, units))
      },
    }
  }
}
