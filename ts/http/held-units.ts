import type { MaybePromise } from '../maybe-promise.ts'
import { andThen } from '../maybe-promise.ts'
import type { Marks, Sight } from './companions.ts'

/** A queue of those who wait for units that others hold. */
export interface Woken {
  wake(key: string): void
}

/** Units of one key that requests of this process hold. */
interface Held {
  requests: number
  /** Epochs in which the store has a mark of it. */
  epochs: number[]
  /** The last of them, and when the store knows. */
  epoch: number
  told: MaybePromise<void>
}

/** What budgets of one name have in common in this process. */
interface Common {
  readonly held: Map<string, Held>
  readonly queues: Set<Woken>
}

/** Those of a name, for as long as units are held or waited for. */
const COMMON = new Map<string, Common>()

/** Who holds units of which key, in this process and, where others share the budget, elsewhere. */
export class HeldUnits {
  readonly #name: string | undefined
  readonly #own: Common
  readonly #marks: Marks | undefined

  /**
   * @param name of the budget in this process, if others share it
   * @param marks in the store, if other processes or threads may hold units too
   */
  constructor(name: string | undefined, marks: Marks | undefined) {
    this.#name = name
    this.#own = { held: new Map(), queues: new Set() }
    this.#marks = marks
  }

  /** How many names are remembered in this process: those whose units are held or waited for. */
  static get names(): number {
    return COMMON.size
  }

  /** Whether others may hold units of which this process knows only by asking. */
  get isShared(): boolean {
    return this.#marks !== undefined
  }

  /** A request is about to hold units of the key. Others know once this is answered. */
  hold(key: string): MaybePromise<void> {
    const { held } = this.#enter()
    const one = held.get(key) ?? { requests: 0, epochs: [], epoch: Number.NaN, told: undefined }
    held.set(key, one)
    one.requests++
    const marks = this.#marks
    if (marks === undefined || one.epoch === marks.epoch) return one.told
    const { epoch } = marks
    one.epoch = epoch
    one.told = andThen(marks.put(key, epoch), (isMade) => {
      one.told = undefined
      if (isMade) one.epochs.push(epoch)
    })
    return one.told
  }

  /** A request no longer holds units of the key. */
  free(key: string): MaybePromise<void> {
    const common = this.#enter()
    const one = common.held.get(key)
    if (one === undefined) return
    one.requests--
    if (one.requests > 0) return
    common.held.delete(key)
    this.#leave(common)
    return andThen(one.told, () => this.#unmark(key, one.epochs))
  }

  /** The first of each queue may try. */
  wake(key: string): void {
    for (const queue of [...this.#common().queues]) queue.wake(key)
  }

  /** Whether a request of this process holds units of the key. */
  isHeld(key: string): boolean {
    return this.#common().held.has(key)
  }

  /** What the store says of who holds units of the key. */
  look(key: string): MaybePromise<Sight> {
    return this.#marks?.look(key) ?? NO_SIGHT
  }

  /** The queue is woken from now on. */
  join(queue: Woken): void {
    this.#enter().queues.add(queue)
  }

  /** The queue is empty. */
  part(queue: Woken): void {
    const common = this.#common()
    common.queues.delete(queue)
    this.#leave(common)
  }

  close(): MaybePromise<void> {
    return this.#marks?.close()
  }

  #common(): Common {
    return (this.#name === undefined ? undefined : COMMON.get(this.#name)) ?? this.#own
  }

  /** As they are found by all of the name from now on. */
  #enter(): Common {
    const common = this.#common()
    if (this.#name !== undefined) COMMON.set(this.#name, common)
    return common
  }

  #leave({ held, queues }: Common): void {
    if (this.#name !== undefined && held.size === 0 && queues.size === 0) COMMON.delete(this.#name)
  }

  #unmark(key: string, epochs: readonly number[]): MaybePromise<void> {
    const removed = epochs.map((epoch) => this.#marks?.remove(key, epoch))
    if (removed.some((done) => done instanceof Promise)) {
      return Promise.all(removed).then(() => undefined)
    }
  }
}

const NO_SIGHT: Sight = { isHeld: false, version: '' }
