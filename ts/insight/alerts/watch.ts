import { createHash } from 'node:crypto'
import { isClosed } from '../../errors.ts'
import { withCode } from '../../validate.ts'
import type { Figures } from '../types.ts'
import { type Claims, OwnClaims, openClaims } from './claims.ts'
import { advance, type Durations, QUIET, type RuleEvent, type RuleState } from './machine.ts'
import { type Measured, Measurement } from './measure.ts'
import { readAlertsOptions, readFigures, type Settings } from './options.ts'
import { Outbox } from './outbox.ts'
import type { Rule } from './rule.ts'
import { Telling } from './telling.ts'
import type { AlertNotification, Alerts, AlertsOptions, AlertsState } from './types.ts'

const EVERY_MS = 1_000
/** A rule that no longer holds is resolved when it has not held for its window, or this. */
const MOST_CLEAR_MS = 60_000
/** A rule may wait for its limiter so long: limiters can be made after the first look. */
const UNKNOWN_LOOKS = 60

/** A rule, and what has become of it in this process. */
interface Watched {
  readonly rule: Rule
  readonly dedupKey: string
  readonly durations: Durations
  readonly telling: Telling
  state: RuleState
  value: number | undefined
  /** When it began to hold, for notifications, by the time of day. */
  since: number | undefined
  unknownLooks: number
}

/** Looks at rules once a second, on a timer that keeps no process alive. */
export class Watch implements Alerts {
  readonly #settings: Settings
  readonly #outboxes: readonly Outbox[]
  readonly #measurement: Measurement
  #claims: Claims
  readonly #watched: readonly Watched[]
  #figures: Figures | undefined
  #timer: NodeJS.Timeout | undefined
  #isClosed = false
  readonly #warned = new Set<string>()

  constructor(options: AlertsOptions) {
    const settings = readAlertsOptions(options)
    this.#settings = settings
    this.#outboxes = settings.notify.map((channel) => new Outbox(channel))
    this.#measurement = new Measurement(settings.rules)
    const now = () => this.#now()
    this.#claims = settings.storage === undefined ? new OwnClaims(now) : openClaims(settings, now)
    this.#watched = settings.rules.map((rule) => this.#toWatched(rule))
    if (settings.insight !== undefined) this.watch(settings.insight)
  }

  watch(figures: Figures, { storage }: { readonly storage?: string | undefined } = {}): void {
    if (this.#figures !== undefined || this.#isClosed) {
      const message = `watch must be called once, got a call after ${this.#isClosed ? 'close' : 'another'}`
      throw withCode(new TypeError(message), 'INVALID_ARGUMENT')
    }
    this.#figures = readFigures(figures, 'figures')
    if (this.#settings.storage === undefined && storage !== undefined) this.#share(storage)
    if (this.#settings.clock !== undefined) return
    this.#timer = setInterval(() => void this.step(), EVERY_MS).unref()
  }

  async step(): Promise<void> {
    if (this.#figures === undefined || this.#isClosed) return
    const now = this.#now()
    const measured = this.#measure(this.#figures, now)
    if (measured === undefined) return
    await Promise.all(this.#watched.map((one, i) => this.#look(one, measured[i] as Measured, now)))
  }

  state(): AlertsState {
    return {
      rules: this.#watched.map(({ rule, dedupKey, state, telling, value, since }) => {
        const unlessTold = state.phase === 'quiet' ? 'quiet' : 'pending'
        const status = telling.isTold ? 'fired' : unlessTold
        return { rule: rule.name, dedupKey, status, value, since }
      }),
      deliveries: this.#outboxes.map(({ state }) => state),
    }
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    clearInterval(this.#timer)
    // A look that is under way may still need its claims.
    void Promise.all(this.#watched.map(({ telling }) => telling.over)).then(() =>
      this.#claims.close(),
    )
  }

  /** Through what the processes share that count together. If it cannot be had, the insight has said so. */
  #share(storage: string): void {
    try {
      this.#claims = openClaims({ ...this.#settings, storage }, () => this.#now())
    } catch {
      // Then each process tells for itself.
    }
  }

  #now(): number {
    return this.#settings.clock?.now() ?? performance.now()
  }

  #timeOfDay(): number {
    return this.#settings.clock?.now() ?? Date.now()
  }

  #measure(figures: Figures, now: number): readonly Measured[] | undefined {
    try {
      return this.#measurement.read(figures, now)
    } catch (error) {
      // The program ends, and has closed what is watched first.
      if (!isClosed(error))
        this.#warn('the figures could not be read; rules are looked at again every second')
      return undefined
    }
  }

  #toWatched(rule: Rule): Watched {
    const { cooldown, name } = this.#settings
    const clearMs = Math.min(rule.windowMs, MOST_CLEAR_MS)
    const durations = { holdMs: holdMsOf(rule), clearMs, cooldownMs: cooldown }
    const dedupKey = `${name}/${rule.hash}`
    const telling = new Telling(
      rule.hash,
      () => this.#claims,
      (status) => this.#tell(watched, status),
      { cooldownMs: cooldown, adoptMs: rule.windowMs + clearMs },
      () => this.#now(),
    )
    const watched: Watched = {
      rule,
      dedupKey,
      durations,
      telling,
      state: QUIET,
      value: undefined,
      since: undefined,
      unknownLooks: 0,
    }
    return watched
  }

  #look(watched: Watched, { value, isKnown }: Measured, now: number): Promise<void> {
    const { rule, telling, durations } = watched
    const holds = value !== undefined && rule.holdsFor(value)
    const [state] = advance(watched.state, now, holds, durations)
    watched.state = state
    watched.value = value
    if (state.phase !== 'quiet') watched.since ??= this.#timeOfDay()
    else if (!telling.isTold && !holds) watched.since = undefined
    watched.unknownLooks = isKnown ? 0 : watched.unknownLooks + 1
    if (watched.unknownLooks === UNKNOWN_LOOKS) {
      this.#warn(
        'a rule names a limiter that has not been there for a minute; state() shows no value for it',
      )
    }
    return telling.look({ isFired: state.phase === 'fired', holds, now })
  }

  async #tell({ rule, dedupKey, value, since }: Watched, status: RuleEvent): Promise<void> {
    const at = this.#timeOfDay()
    const begun = since ?? at
    const { host } = this.#settings
    const notification: AlertNotification = {
      version: 1,
      id: idOf([dedupKey, status, host, process.pid, at]),
      dedupKey,
      status,
      rule: rule.name,
      when: rule.when,
      severity: rule.severity,
      value: value === undefined || !Number.isFinite(value) ? null : value,
      threshold: rule.threshold,
      windowMs: rule.windowMs,
      limit: rule.limit ?? null,
      host,
      since: begun,
      at,
    }
    Object.freeze(notification)
    await Promise.all(this.#outboxes.map((outbox) => outbox.add(notification)))
  }

  #warn(message: string): void {
    if (this.#warned.has(message)) return
    this.#warned.add(message)
    process.emitWarning(`alerts: ${message}`, {
      type: 'RateThrottleWarning',
      code: 'RATETHROTTLE_ALERT_BLIND',
    })
  }
}

/**
 * How long a rule must hold. Most figures are about a window already; a state is not. A rule that holds without any
 * request, such as `admitted.rate < 1`, must not fire because the process has only just started.
 */
function holdMsOf({ unit, windowMs, holdsFor }: Rule): number {
  const isState = unit === 'state' || unit === 'count'
  return isState || (unit === 'rate' && holdsFor(0)) ? windowMs : 0
}

function idOf(parts: readonly (string | number)[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 24)
}
