import { andThen, andThenAll, type Limiter, type MaybePromise } from '../limiter.ts'
import type { OpenCompanion } from './request-limits.ts'

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
    return andThenAll(removed, () => undefined)
  }
}

const NOTHING_SEEN: Sight = { isHeld: false, version: '' }

/** What a process sees of provisional charges to a key, made by any process. */
interface Sight {
  /** A process holds units, or may. */
  readonly isHeld: boolean
  /** Changes with each mark: if two looks see the same version, no mark was made between them. */
  readonly version: string
}

/**
 * One counter holds two numbers: the marks there are, in units of 1, and the marks ever made, in units of
 * PER_MARK. The marks of one key at one time stay far below that, because each is a process.
 */
const PER_MARK = 32_768
const MAX_COUNT = 1_000_000_000
/** A mark is seen for one to two epochs, which is how long the marks of a killed process count. */
const SHORT_EPOCH_MS = 60_000
const LONG_EPOCH_MS = 600_000
/** A counter outlives every look at it. */
const EPOCHS_KEPT = 3

/**
 * Marks in the store: a process that charges units of a key which it may refund marks the key before the
 * charge, until the refund.
 *
 * So a process that finds a key exhausted can tell whether only provisional charges are to blame.
 */
export class Marks {
  readonly #tier: Limiter
  readonly #now: () => number
  readonly #epochMs: number
  readonly #looks: readonly number[]

  /**
   * @param isFar whether processes of several hosts, whose clocks differ a little, share the marks
   * @param longestMs longest wait of a process for units that another holds
   */
  constructor(open: OpenCompanion, now: () => number, isFar: boolean, longestMs: number) {
    this.#epochMs = longestMs <= SHORT_EPOCH_MS ? SHORT_EPOCH_MS : LONG_EPOCH_MS
    const limit = { count: MAX_COUNT, windowMs: EPOCHS_KEPT * this.#epochMs }
    this.#tier = open(`held ${this.#epochMs}`, limit, 'fixed-window')
    this.#now = now
    this.#looks = isFar ? [-1, 0, 1] : [-1, 0]
  }

  get epoch(): number {
    return Math.floor(this.#now() / this.#epochMs)
  }

  /** Whether the mark was made: an epoch holds a bounded number of them. */
  put(key: string, epoch: number): MaybePromise<boolean> {
    return andThen(this.#tier.take(markKey(key, epoch), PER_MARK + 1), ({ allowed }) => allowed)
  }

  remove(key: string, epoch: number): MaybePromise<void> {
    return this.#tier.refund(markKey(key, epoch), 1)
  }

  look(key: string): MaybePromise<Sight> {
    const { epoch } = this
    const seen = this.#looks.map((ahead) => this.#count(key, epoch + ahead))
    return andThenAll(seen, sightOf)
  }

  close(): MaybePromise<void> {
    return this.#tier.close()
  }

  #count(key: string, epoch: number): MaybePromise<number> {
    return andThen(
      this.#tier.peek(markKey(key, epoch), 1),
      ({ remaining }) => MAX_COUNT - remaining,
    )
  }
}

function sightOf(counts: readonly number[]): Sight {
  const isFull = (count: number): boolean => count > MAX_COUNT - PER_MARK - 1
  const isHeld = counts.some((count) => isFull(count) || count % PER_MARK > 0)
  return { isHeld, version: counts.join() }
}

function markKey(key: string, epoch: number): string {
  return `${epoch} ${key}`
}
