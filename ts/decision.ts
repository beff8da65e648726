/** What a limiter answers about one key. Times are whole milliseconds, rounded up. */
export interface Decision {
  /** Whether the cost was charged (for a peek: would be charged now). */
  readonly allowed: boolean
  /** Count of the limit that decides: the one that denies longest, else the one with least left. */
  readonly limit: number
  /** Units that would be admitted right now, one by one, by every limit. */
  readonly remaining: number
  /** Time until the key is as if never seen. */
  readonly resetMs: number
  /** 0 when allowed. Waiting exactly this long is admitted, if nobody else asks; `Infinity` when never. */
  readonly retryAfterMs: number
  /** Index of the limit that decides. */
  readonly policy: number
}

/** Reads what the native call left behind. The order is that of `crate/napi/src/handle.rs`. */
export function readDecision(allowed: boolean, details: Float64Array): Decision {
  return {
    allowed,
    limit: details[0] as number,
    remaining: details[1] as number,
    resetMs: details[2] as number,
    retryAfterMs: details[3] as number,
    policy: details[4] as number,
  }
}
