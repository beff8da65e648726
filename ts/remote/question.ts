import type { Decision } from '../decision.ts'
import type { Limit } from '../limit/limit.ts'
import type { Asker, Counters } from './backend.ts'
import type { Mode } from './local-counters.ts'
import type { RemoteState } from './remote-limiter.ts'

/**
 * One call to a store, and its caller. The caller gets the store's decision, or where the store does not answer, that
 * of what takes its place.
 */
export class Question implements Asker {
  /** When the store was asked, in the time of remembered denials. */
  readonly #askedAt: number
  readonly #begunAt: number
  #isOver = false

  constructor(
    private readonly state: RemoteState,
    private readonly limits: readonly Limit[],
    private readonly mode: Mode,
    private readonly key: string,
    private readonly cost: number,
    private readonly resolve: (decision: Decision | Promise<Decision>) => void,
  ) {
    this.#askedAt = state.denials.now()
    this.#begunAt = state.tally.begin()
  }

  /**
   * Asks the store. Never throws.
   *
   * @param since `performance.now()` from which the deadline counts. Default: now
   */
  ask(store: Counters, since: number | undefined): void {
    const { mode, key, cost } = this
    this.state.asked++
    try {
      if (mode !== 'peek' && store.chargeFor !== undefined) {
        store.chargeFor(this, key, cost, mode, since)
        return
      }
      const answer = mode === 'peek' ? store.peek(key, cost) : store.charge(key, cost, mode, since)
      answer.then(
        (decision) => this.answered(decision),
        (error: unknown) => this.failed(error),
      )
    } catch (error) {
      this.failed(error)
    }
  }

  answered(decision: Decision): void {
    if (this.#isOver) return
    const { limits, mode, key, cost } = this
    if (this.state.isClosed) {
      this.failed(undefined)
      return
    }
    try {
      // A caller that waits asks again: its denials are not remembered.
      if (mode === 'check' || (mode !== 'peek' && decision.allowed)) {
        this.state.denials.learn(limits, key, cost, decision, this.#askedAt)
      }
    } catch (error) {
      this.failed(error)
      return
    }
    this.#isOver = true
    this.state.tally.took(this.#begunAt)
    this.resolve(this.state.tally.note(mode, key, decision))
  }

  failed(error: unknown): void {
    if (this.#isOver) return
    this.#isOver = true
    this.resolve(this.#decideWithout(error))
  }

  /** Decides without the store. */
  async #decideWithout(error: unknown): Promise<Decision> {
    const { state, limits, mode, key, cost } = this
    if (!state.isClosed) await state.recordFailure(error)
    if (state.isClosed) return state.refuseLate()
    return state.tally.noteWithout(mode, key, state.fallback.decide(limits, mode, key, cost))
  }
}
