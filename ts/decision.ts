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

/** Where the native call leaves numbers behind: as integers below 2^31, or all of them as doubles. */
export interface Details {
  readonly small: Int32Array
  readonly wide: Float64Array
}

/** Reads what the native call left behind. The order is that of `crate/napi/src/handle.rs`. */
export function readDecision(allowed: boolean, { small, wide }: Details): Decision {
  if (small[5] !== 0) return readWide(allowed, wide)
  return {
    allowed,
    limit: small[0] as number,
    remaining: small[1] as number,
    resetMs: small[2] as number,
    retryAfterMs: small[3] as number,
    policy: small[4] as number,
  }
}

/**
 * In another order, so that V8 takes it for another kind of object: one decision with a double in it would
 * have it keep the numbers of all decisions as doubles, each allocated apart.
 */
function readWide(allowed: boolean, wide: Float64Array): Decision {
  return {
    policy: wide[4] as number,
    allowed,
    limit: wide[0] as number,
    remaining: wide[1] as number,
    resetMs: wide[2] as number,
    retryAfterMs: wide[3] as number,
  }
}
