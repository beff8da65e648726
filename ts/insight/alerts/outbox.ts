import { codeOf, DeliveryFailure } from './post.ts'
import type { AlertChannel, AlertDeliveries, AlertNotification, NotifyFunction } from './types.ts'

/** What waits for a channel. The oldest make room. */
const MAX_WAITING = 100
/** How long a function of the user's is waited for. */
const FUNCTION_MS = 10_000

interface Waiting {
  readonly notification: AlertNotification
  readonly over: () => void
}

/** Delivers through one channel, one notification after the other. Only `add` is called by those who have work to do. */
export class Outbox {
  readonly #kind: AlertDeliveries['channel']
  readonly #send: (notification: AlertNotification) => Promise<void>
  readonly #queue: Waiting[] = []
  #isSending = false
  #hasWarned = false
  #counts = { delivered: 0, failed: 0, dropped: 0 }
  #last: AlertDeliveries['last']

  constructor(channel: AlertChannel | NotifyFunction) {
    const isFunction = typeof channel === 'function'
    this.#kind = isFunction ? 'function' : channel.kind
    this.#send = isFunction
      ? (notification) => within(FUNCTION_MS, async () => channel(notification))
      : (notification) => channel.send(notification)
  }

  get state(): AlertDeliveries {
    const { delivered, failed, dropped } = this.#counts
    const waiting = this.#queue.length + Number(this.#isSending)
    return { channel: this.#kind, delivered, failed, dropped, waiting, last: this.#last }
  }

  /** Resolves when it is delivered, or given up. Never rejects. */
  add(notification: AlertNotification): Promise<void> {
    return new Promise((over) => {
      this.#queue.push({ notification, over })
      if (this.#queue.length > MAX_WAITING) this.#drop()
      if (!this.#isSending) void this.#work()
    })
  }

  #drop(): void {
    this.#counts.dropped++
    this.#warn('too many notifications wait: the oldest are dropped')
    this.#queue.shift()?.over()
  }

  async #work(): Promise<void> {
    this.#isSending = true
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      await this.#deliver(next.notification)
      next.over()
    }
    this.#isSending = false
  }

  async #deliver(notification: AlertNotification): Promise<void> {
    let reason: string | undefined
    try {
      await this.#send(notification)
      this.#counts.delivered++
    } catch (error) {
      this.#counts.failed++
      reason = error instanceof DeliveryFailure ? error.reason : codeOf(error)
      this.#warn(`a notification was not delivered (${reason})`)
    }
    this.#last = { at: Date.now(), isDelivered: reason === undefined, reason }
  }

  #warn(what: string): void {
    if (this.#hasWarned) return
    this.#hasWarned = true
    process.emitWarning(
      `alerts: ${what}; channel: ${this.#kind}. Later failures are only counted`,
      {
        type: 'RateThrottleWarning',
        code: 'RATETHROTTLE_ALERT_FAILED',
      },
    )
  }
}

/** What a function of the user's does, for so long at most. Keeps no process alive. */
function within(ms: number, act: () => Promise<unknown>): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new DeliveryFailure('timeout')), ms).unref()
    act()
      .then(() => resolve(), reject)
      .finally(() => clearTimeout(timer))
  })
}
