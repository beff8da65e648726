import { andThen, type MaybePromise } from '../maybe-promise.ts'
import type { Marks, Sight } from './companions.ts'

/** A queue of requests that wait for units that others hold. */
interface WaitingQueue {
  wake(key: string): void
}

/** Units of one key that requests of this process hold. */
interface Units {
  requests: number
  /** Epochs in which the store has a mark of them. */
  epochs: number[]
  /** The last of them; and until the store has its mark, when it does. */
  epoch: number
  marking: MaybePromise<void>
}

/** What limiters of one name have in common in this process. */
interface Common {
  readonly units: Map<string, Units>
  readonly queues: Set<WaitingQueue>
}

/** By name, for as long as units are held or waited for. */
const COMMON = new Map<string, Common>()

/**
 * Which keys have units that requests hold provisionally: in this process, and by marks in the store in others
 * that share the counters.
 */
export class HeldUnits {
  readonly #name: string | undefined
  readonly #own: Common
  readonly #marks: Marks | undefined

  /**
   * @param name of the counters in this process, if other limiters share them
   * @param marks in the store, if other processes or threads may hold units too
   */
  constructor(name: string | undefined, marks: Marks | undefined) {
    this.#name = name
    this.#own = { units: new Map(), queues: new Set() }
    this.#marks = marks
  }

  /** How many names have units that are held or waited for in this process. */
  static get names(): number {
    return COMMON.size
  }

  /** Whether others may hold units, of which only the marks tell. */
  get isShared(): boolean {
    return this.#marks !== undefined
  }

  /** A request is about to hold units of the key. Others can see it once this is done. */
  add(key: string): MaybePromise<void> {
    const { units } = this.#register()
    const own = units.get(key) ?? { requests: 0, epochs: [], epoch: Number.NaN, marking: undefined }
    units.set(key, own)
    own.requests++
    const marks = this.#marks
    if (marks === undefined || own.epoch === marks.epoch) return own.marking
    const { epoch } = marks
    own.epoch = epoch
    own.marking = andThen(marks.put(key, epoch), (isMarked) => {
      own.marking = undefined
      if (isMarked) own.epochs.push(epoch)
    })
    return own.marking
  }

  /** A request no longer holds units of the key. */
  remove(key: string): MaybePromise<void> {
    const common = this.#register()
    const own = common.units.get(key)
    if (own === undefined) return
    own.requests--
    if (own.requests > 0) return
    common.units.delete(key)
    this.#forgetIfEmpty(common)
    return andThen(own.marking, () => this.#unmark(key, own.epochs))
  }

  /** Lets the first request of each queue try again. */
  wake(key: string): void {
    for (const queue of [...this.#common().queues]) queue.wake(key)
  }

  /** Whether a request of this process holds units of the key. */
  isHeld(key: string): boolean {
    return this.#common().units.has(key)
  }

  /** What the marks in the store say of the key. */
  look(key: string): MaybePromise<Sight> {
    return this.#marks?.look(key) ?? NOTHING_SEEN
  }

  /** From now on the queue is woken. */
  addQueue(queue: WaitingQueue): void {
    this.#register().queues.add(queue)
  }

  removeQueue(queue: WaitingQueue): void {
    const common = this.#common()
    common.queues.delete(queue)
    this.#forgetIfEmpty(common)
  }

  close(): MaybePromise<void> {
    return this.#marks?.close()
  }

  #common(): Common {
    return (this.#name === undefined ? undefined : COMMON.get(this.#name)) ?? this.#own
  }

  /** Makes it findable by name. */
  #register(): Common {
    const common = this.#common()
    if (this.#name !== undefined) COMMON.set(this.#name, common)
    return common
  }

  #forgetIfEmpty({ units, queues }: Common): void {
    if (this.#name !== undefined && units.size === 0 && queues.size === 0) COMMON.delete(this.#name)
  }

  #unmark(key: string, epochs: readonly number[]): MaybePromise<void> {
    const removed = epochs.map((epoch) => this.#marks?.remove(key, epoch))
    if (removed.some((done) => done instanceof Promise)) {
      return Promise.all(removed).then(() => undefined)
    }
  }
}

const NOTHING_SEEN: Sight = { isHeld: false, version: '' }
