import type { Alerts, AlertsOptions } from './types.ts'
import { Watch } from './watch.ts'

export { type SlackOptions, slack, type WebhookOptions, webhook } from './channels.ts'
export type {
  AlertChannel,
  AlertDeliveries,
  AlertNotification,
  AlertRule,
  AlertRuleState,
  AlertSeverity,
  Alerts,
  AlertsOptions,
  AlertsState,
  NotifyFunction,
} from './types.ts'

/**
 * Notifies when figures of the last minutes say that something is wrong, and when it is over.
 *
 * ```ts
 * const watch = alerts({
 *   rules: [{ when: 'denied.share > 0.2', for: '1 minute', min: 100 }],
 *   notify: webhook('https://hooks.example.com/limits', { secret }),
 * })
 * const view = insight({ alerts: watch })
 * ```
 *
 * @throws TypeError or RangeError that names the option, or the rule and the position in it
 */
export function alerts(options: AlertsOptions): Alerts {
  return new Watch(options)
}
