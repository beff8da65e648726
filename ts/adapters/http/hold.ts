import type { Decision } from '../../decision.ts'
import type { Answer, Tier } from '../../tier.ts'
import { then } from './answer.ts'

/** A charge that is given back unless the request turns out to count. */
export class Hold {
  readonly #release: (isCounted: boolean) => Answer<void>
  #isSettled = false

  constructor(release: (isCounted: boolean) => Answer<void>) {
    this.#release = release
  }

  /** Only the first call acts. */
  settle(isCounted: boolean): Answer<void> {
    if (this.#isSettled) return
    this.#isSettled = true
    return this.#release(isCounted)
  }

  cancel(): Answer<void> {
    return this.settle(false)
  }
}

/** A decision, and the charge it held if it admitted. */
export interface Held {
  readonly decision: Decision
  readonly hold: Hold | undefined
}

/** Who holds units of a key now, and who waits for one of them to be given back. */
interface Line {
  held: number
  readonly waiting: (() => void)[]
}

/**
 * Charges requests that may turn out not to count.
 *
 * Each is charged before its handler runs, so no number of parallel requests passes a limit. When a key
 * has nothing left but holds, the next request is not refused: it waits until one of them is settled, is
 * admitted if that one did not count, and refused if none is left that might be given back.
 */
export class Holds {
  readonly #now: () => number
  readonly #lines = new WeakMap<Tier, Map<string, Line>>()

  /** @param now milliseconds of the tier's clock */
  constructor(now: () => number) {
    this.#now = now
  }

  /** @param isOver whether the client has gone meanwhile */
  take(tier: Tier, key: string, cost: number | undefined, isOver: () => boolean): Answer<Held> {
    // Looks before it charges: waiting for one's turn is no offence that `blockFor` should punish.
    return then(tier.peek(key, cost), (seen) => {
      const line = this.#linesOf(tier).get(key)
      const canHelp = seen.retryAfterMs !== Number.POSITIVE_INFINITY && !isOver()
      if (seen.allowed || line === undefined || line.held === 0 || !canHelp) {
        return this.#charge(tier, key, cost)
      }
      const turn = new Promise<void>((resolve) => line.waiting.push(resolve))
      return turn
        .then(() => this.take(tier, key, cost, isOver))
        .then(
          (held) => this.#passOn(tier, key, held),
          (error) => {
            this.#wake(tier, key)
            throw error
          },
        )
    })
  }

  #charge(tier: Tier, key: string, cost: number | undefined): Answer<Held> {
    return then(tier.check(key, cost), (decision) => {
      if (!decision.allowed || cost === 0) return { decision, hold: undefined }
      const lines = this.#linesOf(tier)
      const line = lines.get(key) ?? { held: 0, waiting: [] }
      line.held++
      lines.set(key, line)
      return { decision, hold: this.#hold(tier, key, cost, decision) }
    })
  }

  /** After `resetMs` nothing is left of a charge: a later refund would give back what others owe. */
  #hold(tier: Tier, key: string, cost: number | undefined, decision: Decision): Hold {
    const voidAt = this.#now() + decision.resetMs
    return new Hold((isCounted) => {
      const isVoid = isCounted || this.#now() >= voidAt
      if (isVoid) this.#free(tier, key)
      else return freeing(tier.refund.bind(tier, key, cost), () => this.#free(tier, key))
    })
  }

  #free(tier: Tier, key: string): void {
    const line = this.#linesOf(tier).get(key)
    if (line !== undefined) line.held--
    this.#wake(tier, key)
  }

  /** Whoever waited in vain lets the next one try: nobody else would. */
  #passOn(tier: Tier, key: string, held: Held): Held {
    if (held.hold === undefined) this.#wake(tier, key)
    return held
  }

  #wake(tier: Tier, key: string): void {
    const lines = this.#linesOf(tier)
    const line = lines.get(key)
    if (line === undefined) return
    const next = line.waiting.shift()
    if (line.held === 0 && line.waiting.length === 0) lines.delete(key)
    next?.()
  }

  #linesOf(tier: Tier): Map<string, Line> {
    const known = this.#lines.get(tier) ?? new Map<string, Line>()
    this.#lines.set(tier, known)
    return known
  }
}

/** Refunds, and then frees in any case: behind a refund that failed nobody must wait for ever. */
function freeing(refund: () => Answer<void>, free: () => void): Answer<void> {
  let refunded: Answer<void>
  try {
    refunded = refund()
  } catch (error) {
    free()
    throw error
  }
  if (refunded instanceof Promise) return refunded.finally(free)
  free()
}
