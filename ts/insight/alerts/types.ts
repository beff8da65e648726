import type { Clock } from '../../clock.ts'
import type { Figures } from '../types.ts'

/** How much a rule matters, for those who are notified. It changes nothing else. */
export type AlertSeverity = 'info' | 'warning' | 'critical'

/** When to notify. */
export interface AlertRule {
  /** Shown in notifications. Default: the text of `when` */
  readonly name?: string | undefined
  /** A figure, a comparison and a number, such as `'denied.share > 0.2'`. docs/reference/alerts.md lists the figures. */
  readonly when: string
  /**
   * The window: `'1 minute'`, or milliseconds; whole seconds up to 10 minutes, whole minutes up to 24 hours. Figures
   * of requests are about this last time. A state, such as `store.available`, must hold for this long. Default: 1 minute.
   */
  readonly for?: string | number | undefined
  /**
   * The least number of requests in the window; of times for `decision.p99` and the like. Below it the rule does not
   * hold. Default: 100 for shares, 20 for times, else 0
   */
  readonly min?: number | undefined
  /** The name of a limiter, for figures that limiters have. Default: all together */
  readonly limit?: string | undefined
  /** Default: `'warning'` */
  readonly severity?: AlertSeverity | undefined
}

/** What a channel is given, and the body of a webhook: plain data. Its shape changes only with `version`. */
export interface AlertNotification {
  readonly version: 1
  /** The same in each try to deliver it: a receiver that has seen it drops it. */
  readonly id: string
  /** The same for all notifications of a rule, from every process: what PagerDuty and Opsgenie group by. */
  readonly dedupKey: string
  readonly status: 'fired' | 'resolved'
  readonly rule: string
  readonly when: string
  readonly severity: AlertSeverity
  /** The figure now, in the process that notifies; `null` if there is none, as without enough requests. */
  readonly value: number | null
  readonly threshold: number
  readonly windowMs: number
  readonly limit: string | null
  readonly host: string
  /** Since when the rule has held, in milliseconds since 1970. */
  readonly since: number
  /** When this was made, in milliseconds since 1970. */
  readonly at: number
}

/** What `webhook()` and `slack()` return. */
export interface AlertChannel {
  readonly kind: 'webhook' | 'slack'
  /** For this package's own use. Rejects if it cannot be delivered. */
  send(notification: AlertNotification): Promise<void>
}

/** A channel of yours. What it throws or rejects with is a failed delivery. It is given 10 seconds. */
export type NotifyFunction = (notification: AlertNotification) => unknown

/** Options of `alerts()`. */
export interface AlertsOptions {
  /** From 1 to 100. */
  readonly rules: readonly AlertRule[]
  /** Where notifications go: a webhook, Slack, a function of yours, or several of these. */
  readonly notify: AlertChannel | NotifyFunction | readonly (AlertChannel | NotifyFunction)[]
  /** At most one `fired` and one `resolved` of a rule in this time; 0 for no such bound. Default: `'5 minutes'` */
  readonly cooldown?: string | number | undefined
  /** Of what is watched. Processes share notifications by it; it begins the dedup key. Default: `'ratethrottle'` */
  readonly name?: string | undefined
  /**
   * Through what processes agree which of them notifies: as `storage` of `createLimiter`, such as `'shared:api'` or
   * a URL of Redis. Default: the shared memory of an insight with `shared: true`; else each process notifies for itself
   */
  readonly storage?: unknown
  /** Begins every key in Redis. */
  readonly keyPrefix?: string | undefined
  /** Shown in notifications. Default: the host's name */
  readonly host?: string | undefined
  /** For tests: then nothing runs on a timer, and `step()` looks at the rules. */
  readonly clock?: Clock | undefined
  /** What to watch, at once. Else `watch()` says it, as `insight({ alerts })` does. */
  readonly insight?: Figures | undefined
}

/** A rule, as it stands in this process. */
export interface AlertRuleState {
  readonly rule: string
  readonly dedupKey: string
  /**
   * `pending`: the rule holds, and no process has notified yet: a state does not hold for long enough, the
   * cooldown is not over, or a delivery is under way.
   */
  readonly status: 'quiet' | 'pending' | 'fired'
  /** The figure at the last look; `undefined` if there is none. */
  readonly value: number | undefined
  /** Since when the rule has held, in milliseconds since 1970; `undefined` while it is quiet. */
  readonly since: number | undefined
}

/** The deliveries through one channel. */
export interface AlertDeliveries {
  readonly channel: 'webhook' | 'slack' | 'function'
  readonly delivered: number
  /** After all tries. */
  readonly failed: number
  /** Too many waited: the oldest made room. */
  readonly dropped: number
  readonly waiting: number
  /** How the last one ended; a reason such as `timeout`, `ECONNREFUSED` or `status 500`, never an address or a secret. */
  readonly last:
    | { readonly at: number; readonly isDelivered: boolean; readonly reason: string | undefined }
    | undefined
}

/** What `alerts().state()` returns. */
export interface AlertsState {
  readonly rules: readonly AlertRuleState[]
  readonly deliveries: readonly AlertDeliveries[]
}

/** What `alerts()` returns, and option `alerts` of `insight()` takes. */
export interface Alerts {
  /**
   * Looks at these figures every second from now on, until `close()`.
   *
   * @param sharing.storage where the processes agree which of them tells, if option `storage` does not say it
   */
  watch(figures: Figures, sharing?: { readonly storage?: string | undefined }): void
  /** Looks at the rules now. Resolves when all that was to be told by it is told, or given up. Never rejects. */
  step(): Promise<void>
  /** What holds, and how deliveries ended. */
  state(): AlertsState
  /** Ends the watch. Deliveries under way go on. */
  close(): void
}
