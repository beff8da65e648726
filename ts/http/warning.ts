/** What is most likely a mistake in how a service is set up. docs/reference/warnings.md explains each code. */
export type WarningCode =
  | 'RATETHROTTLE_PERMISSIVE_PROXY'
  | 'RATETHROTTLE_HOP_COUNT'
  | 'RATETHROTTLE_STRAY_FORWARDED_FOR'
  | 'RATETHROTTLE_NO_CONNECTION'
  | 'RATETHROTTLE_LATE'
  | 'RATETHROTTLE_PER_PROCESS'
  | 'RATETHROTTLE_HOOK_FAILED'
  | 'RATETHROTTLE_FAILED'
  | 'RATETHROTTLE_KEY_MISSING'
  | 'RATETHROTTLE_NOT_AWAITED'
  | 'RATETHROTTLE_UNKNOWN_ROUTE_CONFIG'
  | 'RATETHROTTLE_LOOSER_ROUTE'

/** Tells each thing once: a server under attack must not spend its time on logging. */
export class Warnings {
  readonly #told = new Set<WarningCode>()

  has(code: WarningCode): boolean {
    return this.#told.has(code)
  }

  /** @param message nothing that a client sent may reach a log through it */
  warnOnce(code: WarningCode, message: string): void {
    if (this.#told.has(code)) return
    this.#told.add(code)
    process.emitWarning(message, { type: 'RateThrottleWarning', code })
  }
}
