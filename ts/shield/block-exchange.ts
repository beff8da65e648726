import type { Warnings } from '../http/events.ts'
import { type BlockEntry, readEntry, sourceOf } from './block-entry.ts'

/** Between two looks at what other hosts have blocked: what begins anywhere has reached all within a second. */
const EVERY_MS = 400
/** Entries of one look, and notes that go with it. */
const NEWS = 512
const NOTES = 128
/** Between two looks while there is more, and while the store is away. */
const [MORE_MS, RETRY_MS] = [10, 200]
/** The most looks in a row that find more: a store must not keep this process busy. */
const MAX_IN_A_ROW = 256
/** What waits for a store that is away. The oldest make room. */
const MAX_WAITING = 10_000
/** A store that does not answer for so long is away. There is one warning of it, and one a minute if it comes and goes. */
const AWAY_MS = 1_500
const WARN_EVERY_MS = 60_000
/** A round trip that took longer says too little of the store's clock. */
const LONG_MS = 1_000
/** How long a shield that is closed goes on with what it has not told yet. */
const FAREWELL_MS = 2_000

/** What is noted about a source in the store. */
interface Note {
  readonly kind: 'b' | 'p'
  readonly begunMs: number
  readonly endsMs: number
  readonly mostMs: number
  readonly source: string
}

/** Where the hosts of a service note their blocks. */
export interface BlockList {
  /** Rejects, after a second at the latest, where the store is away. */
  sync(
    notes: readonly Note[],
    seen: number,
    count: number,
  ): Promise<{
    readonly nowMs: number
    readonly top: number
    readonly entries: readonly (readonly [string, number])[]
  }>
  close(): void
}

/** The blocks of this process. */
export interface OwnBlocks {
  /** For how many milliseconds a source is still blocked, 0 if it is not. */
  left(source: string): number
  block(source: string, ms: number): void
  pardon(source: string): void
}

/** What this process has done and the store does not know. Times are those of `performance.now()`. */
interface Waiting {
  readonly isPardon: boolean
  readonly at: number
  readonly until: number
}

/**
 * Tells other hosts of the blocks and pardons of this one, and learns of theirs. No request waits for it.
 *
 * Times pass between hosts as times of the store's clock. Each conversion errs on the side of an earlier end: a block
 * never ends later than was told where it began.
 */
export class BlockExchange {
  readonly #list: BlockList
  readonly #own: OwnBlocks
  readonly #longestMs: number
  readonly #warnings: Warnings
  readonly #waiting = new Map<string, Waiting>()
  /** How many blocks of others are taken within the time of the longest: a store must not fill the table. */
  readonly #most: number
  #taken = 0
  #takenUntil = 0
  /** The number of the last change that is known. */
  #seen = 0
  /** The store's clock less ours, at least; `undefined` until it has answered, and after it was away. */
  #aheadMs: number | undefined
  #answeredAt = performance.now()
  #timer: NodeJS.Timeout | undefined
  #isAsking = false
  #inARow = 0
  #isAway = false
  #warnedAt = Number.NEGATIVE_INFINITY
  #closesAt = Number.POSITIVE_INFINITY

  /** @param longestMs of all blocks that a shield begins by itself */
  constructor(
    list: BlockList,
    own: OwnBlocks,
    { longestMs, sources }: { readonly longestMs: number; readonly sources: number },
    warnings: Warnings,
  ) {
    this.#list = list
    this.#own = own
    this.#longestMs = longestMs
    this.#most = Math.ceil(sources / 2)
    this.#warnings = warnings
    this.#plan(MORE_MS)
  }

  /** A block has begun here. */
  began(ip: string, ms: number): void {
    const at = performance.now()
    const until = at + Math.min(ms, this.#longestMs)
    const source = sourceOf(ip)
    if (source === undefined) return
    const known = this.#waiting.get(source)
    if (known?.isPardon === false && known.until > until) return
    this.#wait(source, { isPardon: false, at, until })
  }

  /** A source was pardoned here. */
  pardoned(ip: string): void {
    const at = performance.now()
    const source = sourceOf(ip)
    if (source !== undefined) {
      this.#wait(source, { isPardon: true, at, until: at + this.#longestMs })
    }
  }

  /** Goes on for a moment with what it has not told yet. */
  close(): void {
    this.#closesAt = performance.now() + FAREWELL_MS
    this.#plan(0)
  }

  #wait(source: string, what: Waiting): void {
    this.#waiting.delete(source)
    this.#waiting.set(source, what)
    if (this.#waiting.size > MAX_WAITING) {
      const [oldest] = this.#waiting.keys()
      this.#waiting.delete(oldest as string)
    }
    if (this.#aheadMs !== undefined) this.#plan(0)
  }

  get #isClosing(): boolean {
    return this.#closesAt !== Number.POSITIVE_INFINITY
  }

  #plan(ms: number): void {
    clearTimeout(this.#timer)
    // A program that pardons a source and ends has still to tell.
    if (this.#isClosing) this.#timer = setTimeout(() => void this.#look(), ms)
    else this.#timer = BlockExchange.#lookLater(new WeakRef(this), this.#list, ms).unref()
  }

  /** Does not keep the exchange of a guard that the program has dropped without closing it: the list is closed. */
  static #lookLater(held: WeakRef<BlockExchange>, list: BlockList, ms: number): NodeJS.Timeout {
    return setTimeout(() => {
      const exchange = held.deref()
      if (exchange === undefined) list.close()
      else void exchange.#look()
    }, ms)
  }

  async #look(): Promise<void> {
    if (this.#isAsking) return
    if (this.#isClosing && (this.#waiting.size === 0 || performance.now() > this.#closesAt)) {
      this.#list.close()
      return
    }
    this.#isAsking = true
    const result = await this.#exchange()
    this.#isAsking = false
    this.#inARow = result === 'more' ? this.#inARow + 1 : 0
    const isMore = this.#inARow > 0 && this.#inARow < MAX_IN_A_ROW
    if (result === 'failed') this.#plan(RETRY_MS)
    else this.#plan(isMore || this.#isClosing ? MORE_MS : EVERY_MS)
  }

  /** Tells what waits and learns what is new: as much as goes into one look. */
  async #exchange(): Promise<'done' | 'more' | 'failed'> {
    const sentAt = performance.now()
    const told = this.#aheadMs === undefined ? [] : [...this.#waiting].slice(0, NOTES)
    const notes = told.map(([source, what]) => this.#note(source, what, sentAt))
    try {
      const { nowMs, top, entries } = await this.#list.sync(notes, this.#seen, NEWS)
      const receivedAt = performance.now()
      this.#answeredAt = receivedAt
      this.#isAway = false
      this.#aheadMs = receivedAt - sentAt > LONG_MS ? undefined : nowMs - receivedAt
      for (const [source, what] of told) {
        if (this.#waiting.get(source) === what) this.#waiting.delete(source)
      }
      const before = this.#seen
      if (!this.#isClosing) this.#learn(entries, nowMs - sentAt)
      const isMoreToLearn = before < this.#seen && this.#seen < top
      // The store has lost its data, or another has taken over: all that it has may be new.
      if (top < this.#seen) this.#seen = 0
      const isMoreToTell = this.#waiting.size > 0 && this.#aheadMs !== undefined
      return isMoreToLearn || isMoreToTell ? 'more' : 'done'
    } catch (error) {
      this.#aheadMs = undefined
      this.#warnOfOutage(error)
      return 'failed'
    }
  }

  #note(source: string, { isPardon, at, until }: Waiting, now: number): Note {
    const ahead = this.#aheadMs ?? 0
    const left = Math.max(0, Math.floor(until - now))
    const [begunMs, endsMs] = [Math.floor(at + ahead), Math.floor(until + ahead)]
    return { kind: isPardon ? 'p' : 'b', begunMs, endsMs, mostMs: left, source }
  }

  /** @param ahead the store's clock less ours, at most */
  #learn(entries: readonly (readonly [string, number])[], ahead: number): void {
    for (const [text, number] of entries.slice(0, NEWS)) {
      if (!Number.isSafeInteger(number) || number <= this.#seen) return
      this.#seen = number
      const entry = readEntry(text)
      const isTaken = entry !== undefined && this.#take(entry, ahead)
      if (!isTaken) this.#warnOfEntries()
    }
  }

  /** @returns false for an entry that no shield like this one has made */
  #take({ isPardon, begunMs, endsMs, source }: BlockEntry, ahead: number): boolean {
    const own = this.#waiting.get(source)
    // What has happened here since, and the store does not know yet.
    const isOld = own?.isPardon === !isPardon && own.at >= begunMs - ahead
    if (isPardon) {
      if (!isOld) this.#own.pardon(source)
      return true
    }
    const now = performance.now()
    const ms = Math.floor(endsMs - ahead - now)
    if (ms > this.#longestMs) return false
    if (ms <= 0 || isOld || ms <= this.#own.left(source)) return true
    if (now > this.#takenUntil) {
      this.#taken = 0
      this.#takenUntil = now + this.#longestMs
    }
    if (this.#taken >= this.#most) return false
    this.#taken++
    this.#own.block(source, ms)
    return true
  }

  #warnOfOutage(error: unknown): void {
    const now = performance.now()
    if (this.#isAway || this.#isClosing || now - this.#answeredAt < AWAY_MS) return
    this.#isAway = true
    if (now - this.#warnedAt < WARN_EVERY_MS) return
    this.#warnedAt = now
    // A failure of a store names no address and no secret.
    const reason = error instanceof Error ? error.message : 'unknown'
    const message = `the store of the shield's blocks does not answer (${reason}): until it does, this process blocks by itself`
    process.emitWarning(message, {
      type: 'RateThrottleWarning',
      code: 'RATETHROTTLE_SHIELD_ALONE',
    })
  }

  #warnOfEntries(): void {
    this.#warnings.warnOnce(
      'RATETHROTTLE_SHIELD_ENTRIES',
      "the store of the shield's blocks has entries that no shield with these options makes, or too many; they are left out",
    )
  }
}
