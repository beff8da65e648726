import type { Waiting } from '../remote/deadlines.ts'
import { StoreFailure } from '../remote/failure.ts'
import type { ServerBreaker } from './nodes.ts'
import type { Script } from './script/index.ts'

/** What a script is asked. */
export interface Question {
  readonly script: Script
  /** Name of the state: the only key the script touches. */
  readonly name: string
  /**
   * Check, peek, refund, block or delete; the units that a check may charge beyond its cost; or take, paced
   * by a limit or not. `script/prelude.ts` says what each does.
   */
  readonly op: 'c' | 'p' | 'r' | 'b' | 'd' | number | 't' | `q${number}`
  readonly amount: number
  /** The arguments that are the same for each call of a limiter. */
  readonly tail: readonly string[]
}

/** A question under way. It is answered once: by Redis, by a failure, or by its deadline. */
export class Call implements Waiting {
  settled = false
  /** Where it was sent, once it was. */
  gate: ServerBreaker | undefined
  /** Whether it was sent a second time, because the first was certain to have done nothing. */
  repeated = false
  sentAt = 0
  /** Whether it had so little time left when it was sent that being late says nothing about the server. */
  isShort = false
  readonly question: Question
  /** `performance.now()` at which its caller waits no more. */
  readonly dueAt: number
  readonly #resolve: (numbers: readonly number[]) => void
  readonly #reject: (failure: StoreFailure) => void

  constructor(
    question: Question,
    dueAt: number,
    resolve: (numbers: readonly number[]) => void,
    reject: (failure: StoreFailure) => void,
  ) {
    this.question = question
    this.dueAt = dueAt
    this.#resolve = resolve
    this.#reject = reject
  }

  answer(numbers: readonly number[]): void {
    if (this.settled) return
    this.settled = true
    this.gate?.succeeded(this.sentAt)
    this.#resolve(numbers)
  }

  fail(failure: StoreFailure): void {
    if (this.settled) return
    this.settled = true
    if (!this.isShort || failure.kind !== 'timeout') {
      this.gate?.callFailed(failure, this.question, this.dueAt - this.sentAt)
    }
    this.#reject(failure)
  }

  expire(): void {
    this.fail(new StoreFailure('timeout'))
  }
}

/** A script's first argument: a check of one unit, which most are, says only until when. */
export function wordsOf(op: Question['op'], amount: number, deadline: string): string {
  return op === 'c' && amount === 1 ? deadline : `${deadline} ${amount} ${op}`
}
