/** What a limiter answers about one key. Times are rounded up: waiting that long is never too short. */
export interface Decision {
  /** Whether the cost was charged (for a peek: would be charged now). */
  readonly allowed: boolean
  /** Count of the limit that decides: the one that denies longest, else the one with least left. */
  readonly limit: number
  /** Whole units that would be admitted right now, one by one, by every limit. */
  readonly remaining: number
  /** Milliseconds until the key has recovered completely, under all limits. */
  readonly resetMs: number
  /** Milliseconds until the limit that decides has recovered; never less than a finite `retryAfterMs`. */
  readonly limitResetMs: number
  /** Milliseconds. 0 when allowed. Waiting exactly this long is admitted, if no other caller asks; `Infinity` when never. */
  readonly retryAfterMs: number
  /** The same in whole seconds, for a `Retry-After` header. 0 when allowed; `undefined` when never. */
  readonly retryAfter: number | undefined
  /** Index of the limit that decides. */
  readonly policy: number
}

/** The numbers of the last native call: as integers below 2^31, or all of them as doubles. */
export interface DecisionBuffer {
  readonly small: Int32Array
  readonly wide: Float64Array
}

/** The decision of the last native call. The order of the numbers is that of `crate/napi/src/handle.rs`. */
export function readDecision(allowed: boolean, { small, wide }: DecisionBuffer): Decision {
  if (small[7] !== 0) return readWide(allowed, wide)
  return {
    allowed,
    limit: small[0] as number,
    remaining: small[1] as number,
    resetMs: small[2] as number,
    limitResetMs: small[3] as number,
    retryAfterMs: small[4] as number,
    retryAfter: small[5] as number,
    policy: small[6] as number,
  }
}

/**
 * In another order, so that V8 takes it for another kind of object: one decision with a double in it would
 * have it keep the numbers of all decisions as doubles, each allocated apart.
 */
function readWide(allowed: boolean, wide: Float64Array): Decision {
  const retryAfterMs = wide[4] as number
  return {
    policy: wide[6] as number,
    allowed,
    limit: wide[0] as number,
    remaining: wide[1] as number,
    resetMs: wide[2] as number,
    limitResetMs: wide[3] as number,
    retryAfterMs,
    retryAfter: retryAfterOf(retryAfterMs),
  }
}

/** The value of `Retry-After` for these milliseconds: whole seconds, rounded up; undefined when never. */
export function retryAfterOf(ms: number): number | undefined {
  return ms === Number.POSITIVE_INFINITY ? undefined : Math.ceil(ms / 1000)
}

/** The decision as a denial that lasts for at least `ms`, as under a block. */
export function deniedFor(decision: Decision, ms: number): Decision {
  return denialWith(decision, (time) => Math.max(time, ms))
}

/** A denial as it reads some time later, if nothing has happened to the key since. */
export function agedDenial(denial: Decision, ms: number): Decision {
  return denialWith(denial, (time) => Math.max(1, Math.ceil(time - ms)))
}

function denialWith(decision: Decision, changed: (ms: number) => number): Decision {
  const retryAfterMs = changed(decision.retryAfterMs)
  return {
    ...decision,
    allowed: false,
    resetMs: changed(decision.resetMs),
    limitResetMs: changed(decision.limitResetMs),
    retryAfterMs,
    retryAfter: retryAfterOf(retryAfterMs),
  }
}
