import type { Limit } from '../../limit/limit.ts'
import { RateLimiter } from '../../rate-limiter.ts'
import type { Requests } from './in-order.ts'
import type { KeyTable } from './key-table.ts'
import type { Settings } from './settings.ts'

/** A minute, how many requests it had and how many of them were refused. */
export interface Minute {
  /** Minutes since 1970. */
  readonly minute: number
  readonly requests: number
  readonly refused: number
}

/** One of the limits that are tried, and what it did. */
export interface Trial {
  readonly text: string
  readonly limits: readonly Limit[]
  readonly limiter: RateLimiter
  refused: number
  clientsRefused: number
  /** In the minute that is counted now. */
  inMinute: number
  /** Those with most refusals, the worst first. */
  readonly minutes: Minute[]
}

/** Charges each request to the limits that are tried, at the time of the log. */
export class Trials implements Requests {
  requests = 0
  firstMs = 0
  lastMs = 0
  readonly trials: readonly Trial[]
  readonly #clients: KeyTable
  readonly #routes: KeyTable
  readonly #top: number
  #minute = -1
  #inMinute = 0

  /** @throws RangeError for limits and options that do not go together */
  constructor(settings: Settings, clients: KeyTable, routes: KeyTable) {
    this.#clients = clients
    this.#routes = routes
    this.#top = settings.top
    const clock = { now: () => this.lastMs }
    const { algorithm, burst, blockForMs: blockFor } = settings
    // The default of a log fits its memory.
    const capacity = algorithm === 'sliding-log' ? undefined : settings.clients
    this.trials = settings.trials.map(({ text, limits }) => ({
      text,
      limits,
      limiter: new RateLimiter(limits, { algorithm, burst, blockFor, capacity, clock }),
      refused: 0,
      clientsRefused: 0,
      inMinute: 0,
      minutes: [],
    }))
  }

  request(timeMs: number, slot: number, key: string, routeSlot: number, route: string): void {
    if (this.requests++ === 0) this.firstMs = timeMs
    this.lastMs = timeMs
    const minute = Math.floor(timeMs / 60_000)
    if (minute !== this.#minute) this.#nextMinute(minute)
    this.#inMinute++
    const client = this.#clients.again(slot, key)
    const path = this.#routes.again(routeSlot, route)
    this.#clients.count(client, minute)
    this.#routes.count(path, minute)
    for (let i = 0; i < this.trials.length; i++) {
      const trial = this.trials[i] as Trial
      if (trial.limiter.allow(key)) continue
      trial.refused++
      trial.inMinute++
      if (this.#clients.refuse(client, i)) trial.clientsRefused++
      this.#routes.refuse(path, i)
    }
  }

  /** Closes the last minute. */
  end(): void {
    this.#nextMinute(-1)
  }

  close(): void {
    for (const { limiter } of this.trials) limiter.close()
  }

  #nextMinute(minute: number): void {
    for (const trial of this.trials) {
      if (trial.inMinute > 0) this.#enter(trial)
      trial.inMinute = 0
    }
    this.#minute = minute
    this.#inMinute = 0
  }

  /** Enters the minute that ends among the worst, if it is one of them; the earlier of equals comes first. */
  #enter({ minutes, inMinute }: Trial): void {
    const refused = inMinute
    let at = minutes.length
    while (at > 0 && (minutes[at - 1] as Minute).refused < refused) at--
    minutes.splice(at, 0, { minute: this.#minute, requests: this.#inMinute, refused })
    if (minutes.length > this.#top) minutes.pop()
  }
}
