import type { LimitCounter } from '../counting.ts'
import type { Decision } from '../decision.ts'
import type { Mode } from './local-counters.ts'

/** What a limiter in a store has decided in this process, for its `stats()` and for an insight. */
export class Tally {
  admitted = 0
  denied = 0

  /** @param counter of an insight, if there is one */
  constructor(readonly counter: LimitCounter | undefined) {}

  /** A caller gets this decision. Each comes past here once, whatever has made it. */
  note(mode: Mode, key: string, decision: Decision): Decision {
    // One whose `take` is denied waits and asks again, or asks by `check`.
    if (mode === 'peek' || (mode !== 'check' && !decision.allowed)) return decision
    if (decision.allowed) this.admitted++
    else this.denied++
    this.counter?.decided(key, decision)
    return decision
  }

  /** The same for a decision that something has made in place of the store. */
  noteWithout(mode: Mode, key: string, decision: Decision): Decision {
    if (mode !== 'peek') this.counter?.withoutStore()
    return this.note(mode, key, decision)
  }

  /** When a call to the store begins, for {@link took}. */
  begin(): number {
    return this.counter === undefined ? 0 : performance.now()
  }

  /** The store has answered. */
  took(begunAt: number): void {
    this.counter?.storeTook(performance.now() - begunAt)
  }
}
