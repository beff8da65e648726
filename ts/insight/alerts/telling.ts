import { type Claims, LEASE_MS } from './claims.ts'
import type { RuleEvent } from './machine.ts'

/** A rule that has fired stays open for so long at most, if no process is there that could resolve it. */
const OPEN_MS = 7 * 86_400_000
/** What is asked of a storage may take effect so much later. */
const ON_ITS_WAY_MS = 500
/** A process that has not fired looks so rarely whether another has, and has died. */
const LOOKS_BETWEEN = 10

/** A rule as this process sees it. */
export interface Seen {
  /** Whether a notification is due, by what this process sees. */
  readonly isFired: boolean
  /** Whether it holds right now. */
  readonly holds: boolean
  readonly now: number
}

/** How long this is kept apart, and how long a process must have watched before it resolves what another fired. */
export interface TellingTimes {
  readonly cooldownMs: number
  readonly adoptMs: number
}

/**
 * Has one of all processes tell of a rule, and another take over when that one dies. The keys that they agree by:
 *
 *   claim   whose turn it is to tell, for 3 s at a time
 *   open    the rule has been told as fired, and not yet as resolved
 *   hold    the rule holds in a process
 *   cool    a `fired` was told within the cooldown
 *   rest    a `resolved` was told within the cooldown
 *
 * What is told is looked up only by the process whose turn it is. One that dies while it tells has told nothing that
 * others know of: another tells it again. So a notification may come twice then, and never not at all.
 */
export class Telling {
  readonly #key: string
  readonly #claims: () => Claims
  readonly #tell: (status: RuleEvent) => Promise<void>
  readonly #times: TellingTimes
  readonly #clock: () => number
  #isTold = false
  #ownUntil = { cool: Number.NEGATIVE_INFINITY, rest: Number.NEGATIVE_INFINITY }
  #adoptedAt = Number.NEGATIVE_INFINITY
  #looks = 0
  #claimedAt: number | undefined
  #busy: Promise<void> | undefined

  constructor(
    key: string,
    claims: () => Claims,
    tell: (status: RuleEvent) => Promise<void>,
    times: TellingTimes,
    clock: () => number,
  ) {
    this.#key = key
    this.#claims = claims
    this.#tell = tell
    this.#times = times
    this.#clock = clock
  }

  /** Whether the rule was told as fired, by any process, and not yet as resolved. */
  get isTold(): boolean {
    return this.#isTold
  }

  /** When the look that is under way has ended. */
  get over(): Promise<void> {
    return this.#busy ?? Promise.resolve()
  }

  /** Tells what is to be told. One look at a time: while one is under way, this renews its claim. */
  look(seen: Seen): Promise<void> {
    if (this.#busy !== undefined) {
      void this.#renew(seen)
      return this.#busy
    }
    this.#busy = this.#look(seen)
      // A storage that fails: the next look tries again.
      .catch(() => {})
      .finally(() => {
        this.#busy = undefined
      })
    return this.#busy
  }

  async #look(seen: Seen): Promise<void> {
    await this.#hold(seen)
    if (seen.isFired && !this.#isTold) return this.#fire()
    if (seen.isFired) {
      // Another has told that it is resolved: it is to fire again, after the cooldown.
      this.#isTold = await this.#isKept('open')
      return
    }
    if (this.#isTold) return this.#resolve(seen)
    if (this.#looks++ % LOOKS_BETWEEN !== 0) return
    if (!(await this.#isKept('open'))) return
    this.#isTold = true
    this.#adoptedAt = seen.now
  }

  #fire(): Promise<void> {
    return this.#inTurn(async () => {
      if (await this.#isKept('open')) {
        this.#isTold = true
        return
      }
      if (await this.#isCooling('cool')) return
      const begun = this.#clock()
      await this.#tell('fired')
      this.#isTold = true
      await this.#claims().keep(`${this.#key} open`, OPEN_MS)
      await this.#cool('cool', begun)
    })
  }

  async #resolve({ now }: Seen): Promise<void> {
    if (!(await this.#isKept('open'))) {
      this.#isTold = false
      return
    }
    if (now - this.#adoptedAt < this.#times.adoptMs) return
    if (await this.#isKept('hold')) return
    await this.#inTurn(async () => {
      if (await this.#isKept('open')) {
        if (await this.#isCooling('rest')) return
        const begun = this.#clock()
        await this.#tell('resolved')
        await this.#claims().release(`${this.#key} open`)
        await this.#cool('rest', begun)
      }
      this.#isTold = false
    })
  }

  /** Only one process at a time. One whose turn it is not tries again at its next look. */
  async #inTurn(act: () => Promise<void>): Promise<void> {
    if (!(await this.#claims().take(`${this.#key} claim`))) return
    this.#claimedAt = this.#clock()
    try {
      await act()
    } finally {
      const isOurs = this.#isClaimOurs()
      this.#claimedAt = undefined
      if (isOurs) await this.#claims().release(`${this.#key} claim`)
    }
  }

  async #renew(seen: Seen): Promise<void> {
    await this.#hold(seen)
    if (!this.#isClaimOurs()) return
    this.#claimedAt = this.#clock()
    await this.#claims().keep(`${this.#key} claim`, LEASE_MS)
  }

  async #hold({ holds }: Seen): Promise<void> {
    if (holds && !this.#claims().isAlone) await this.#claims().keep(`${this.#key} hold`, LEASE_MS)
  }

  /** After a pause of the process the claim may be another's, and must be left alone. */
  #isClaimOurs(): boolean {
    return (
      this.#claimedAt !== undefined && this.#clock() - this.#claimedAt < LEASE_MS - ON_ITS_WAY_MS
    )
  }

  #isKept(what: 'open' | 'hold'): Promise<boolean> {
    return this.#claims().isKept(`${this.#key} ${what}`)
  }

  /** Also by what this process knows: a storage may have lost its data. */
  async #isCooling(what: 'cool' | 'rest'): Promise<boolean> {
    if (this.#clock() < this.#ownUntil[what]) return true
    return this.#claims().isKept(`${this.#key} ${what}`)
  }

  async #cool(what: 'cool' | 'rest', begun: number): Promise<void> {
    this.#ownUntil[what] = begun + this.#times.cooldownMs
    const left = this.#ownUntil[what] - this.#clock()
    if (left > 0) await this.#claims().keep(`${this.#key} ${what}`, left)
  }
}
