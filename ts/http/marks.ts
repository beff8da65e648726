import type { Answer, Tier } from '../limiter.ts'
import { then } from '../maybe-promise.ts'
import type { OpenCompanion } from './companion.ts'

/** What others see of who holds units of a key. */
export interface Sight {
  /** A process holds some, or may. */
  readonly isHeld: boolean
  /** Changes with each mark: if two looks see the same, none was made between them. */
  readonly version: string
}

/**
 * One counter holds both how many marks there are, in units of 1, and how many were ever made, in units of
 * PER_MARK. Marks of one key at once stay far below that: each is a process.
 */
const PER_MARK = 32_768
const MOST = 1_000_000_000
/** A mark is seen for one to two epochs: so long the marks of a process that was killed are believed. */
const SHORT_EPOCH_MS = 60_000
const LONG_EPOCH_MS = 600_000
/** A counter outlives every look at it. */
const EPOCHS_KEPT = 3

/**
 * Marks in the store: a process that holds units of a key, which it may give back, says so before it charges
 * them and until it has given them back.
 *
 * So a process that finds a key exhausted can tell whether units that are only held are to blame.
 */
export class Marks {
  readonly #tier: Tier
  readonly #now: () => number
  readonly #epochMs: number
  readonly #looks: readonly number[]

  /**
   * @param isFar processes on several hosts, whose clocks differ a little, share the marks
   * @param longestMs for so long a process waits for others' units
   */
  constructor(open: OpenCompanion, now: () => number, isFar: boolean, longestMs: number) {
    this.#epochMs = longestMs <= SHORT_EPOCH_MS ? SHORT_EPOCH_MS : LONG_EPOCH_MS
    const limit = { count: MOST, windowMs: EPOCHS_KEPT * this.#epochMs }
    this.#tier = open(`held ${this.#epochMs}`, limit, 'fixed-window')
    this.#now = now
    this.#looks = isFar ? [-1, 0, 1] : [-1, 0]
  }

  get epoch(): number {
    return Math.floor(this.#now() / this.#epochMs)
  }

  /** Whether the mark was made: there is an end to how many an epoch can hold. */
  put(key: string, epoch: number): Answer<boolean> {
    return then(this.#tier.take(nameOf(key, epoch), PER_MARK + 1), ({ allowed }) => allowed)
  }

  remove(key: string, epoch: number): Answer<void> {
    return this.#tier.refund(nameOf(key, epoch), 1)
  }

  look(key: string): Answer<Sight> {
    const { epoch } = this
    const seen = this.#looks.map((ahead) => this.#count(key, epoch + ahead))
    return seen.some((count) => count instanceof Promise)
      ? Promise.all(seen).then(sightOf)
      : sightOf(seen as number[])
  }

  close(): Answer<void> {
    return this.#tier.close()
  }

  #count(key: string, epoch: number): Answer<number> {
    return then(this.#tier.peek(nameOf(key, epoch), 1), ({ remaining }) => MOST - remaining)
  }
}

function sightOf(counts: readonly number[]): Sight {
  const isFull = (count: number): boolean => count > MOST - PER_MARK - 1
  const isHeld = counts.some((count) => isFull(count) || count % PER_MARK > 0)
  return { isHeld, version: counts.join() }
}

function nameOf(key: string, epoch: number): string {
  return `${epoch} ${key}`
}
