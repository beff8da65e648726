/*
 * Whether a notification about a rule is due, as a pure function of what was and what is. Nothing here knows of a clock, of other
 * processes or of a channel.
 */

/** What a rule has been through. Times are those of the caller, in milliseconds. */
export interface RuleState {
  readonly phase: 'quiet' | 'pending' | 'fired'
  /** Since when the rule has held; while it is fired, since before that. */
  readonly since: number | undefined
  /** While it is fired: since when it has not held. */
  readonly clearSince: number | undefined
  readonly firedAt: number
  readonly resolvedAt: number
}

/** How long things must last. */
export interface Durations {
  /** How long the rule must hold before it fires: 0 where its figure is about a window already. */
  readonly holdMs: number
  /** How long it must not hold before it is resolved. */
  readonly clearMs: number
  /** At least so long from one `fired` to the next, and from one `resolved` to the next. */
  readonly cooldownMs: number
}

/** What is to be told. */
export type RuleEvent = 'fired' | 'resolved'

export const QUIET: RuleState = Object.freeze({
  phase: 'quiet',
  since: undefined,
  clearSince: undefined,
  firedAt: Number.NEGATIVE_INFINITY,
  resolvedAt: Number.NEGATIVE_INFINITY,
})

/** One look at a rule. */
export function advance(
  state: RuleState,
  now: number,
  holds: boolean,
  durations: Durations,
): readonly [RuleState, RuleEvent | undefined] {
  return state.phase === 'fired'
    ? whileFired(state, now, holds, durations)
    : beforeFired(state, now, holds, durations)
}

function beforeFired(
  state: RuleState,
  now: number,
  holds: boolean,
  { holdMs, cooldownMs }: Durations,
): readonly [RuleState, RuleEvent | undefined] {
  if (!holds) return [{ ...state, phase: 'quiet', since: undefined }, undefined]
  const since = state.since ?? now
  const isDue = now - since >= holdMs && now - state.firedAt >= cooldownMs
  if (!isDue) return [{ ...state, phase: 'pending', since }, undefined]
  return [{ ...state, phase: 'fired', since, clearSince: undefined, firedAt: now }, 'fired']
}

function whileFired(
  state: RuleState,
  now: number,
  holds: boolean,
  { clearMs, cooldownMs }: Durations,
): readonly [RuleState, RuleEvent | undefined] {
  if (holds) return [{ ...state, clearSince: undefined }, undefined]
  const clearSince = state.clearSince ?? now
  const isDue = now - clearSince >= clearMs && now - state.resolvedAt >= cooldownMs
  if (!isDue) return [{ ...state, clearSince }, undefined]
  return [{ ...QUIET, firedAt: state.firedAt, resolvedAt: now }, 'resolved']
}
