import type { Admission } from '../../calls/gate.ts'
import type { MaybePromise } from '../../limiter.ts'
import type { ActualResult } from './cost.ts'
import { Operation } from './operation.ts'

/** An operation that may be executed. The server that executes it says how it ended. */
export class RunningOperation {
  readonly #operation: Operation
  readonly #refund: ((result: ActualResult) => MaybePromise<void>) | undefined
  #isOver = false

  /** @param refund gives back what the operation did not use */
  constructor(
    operation: Operation,
    admission: Admission,
    refund: ((result: ActualResult) => MaybePromise<void>) | undefined,
  ) {
    this.#operation = operation
    this.#refund = refund
    // Also where its client leaves: a permit is not held for a resolver that may never end.
    Operation.onEnd(operation, () => {
      this.#isOver = true
      admission.leave()
    })
  }

  /**
   * The operation is over. The first call counts; after the client has left none does: who hangs up gets nothing back.
   *
   * @param result what was returned, whole; `undefined` where it came in parts, or not at all
   */
  end(result?: ActualResult): MaybePromise<void> {
    if (this.#isOver) return
    Operation.end(this.#operation, 200)
    return result === undefined ? undefined : this.#refund?.(result)
  }
}
