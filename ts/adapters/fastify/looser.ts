import { withBurst } from '../../burst.ts'
import { burstOf, type Limit, type LimitInput } from '../../limit/limit.ts'
import { readLimits } from '../../limit/parse.ts'
import type { Options, RouteLimit } from './routes.ts'

/** The most a limit admits in a time: a number at once, and a number more with each millisecond. */
interface Line {
  readonly atOnce: number
  readonly perMs: number
}

/** Of two figures that are computed in different ways. */
const ROUNDING = 1e-9

/**
 * Whether limits admit more than those that they replace: at once, in the long run, or in some time between.
 * Limits from a function are not known before there is a request, so of those it is not said.
 */
export function isLooser(
  given: RouteLimit | Options | undefined,
  replaced: readonly Options[],
): boolean {
  const lines = linesOf(limitsOf(given) ?? [])
  const before = linesOf(replaced.flatMap((options) => limitsOf(options) ?? []))
  if (lines.length === 0 || before.length === 0) return false
  const times = [0, ...crossings(lines), ...crossings(before)]
  return (
    isMore(slowest(lines), slowest(before)) ||
    times.some((ms) => isMore(mostIn(ms, lines), mostIn(ms, before)))
  )
}

function isMore(one: number, other: number): boolean {
  return one > other * (1 + ROUNDING)
}

function linesOf(limits: readonly Limit[]): readonly Line[] {
  return limits.map((limit) => ({
    atOnce: burstOf(limit),
    perMs: limit.count / limit.windowMs,
  }))
}

function slowest(lines: readonly Line[]): number {
  return Math.min(...lines.map(({ perMs }) => perMs))
}

/** All of the limits hold. */
function mostIn(ms: number, lines: readonly Line[]): number {
  return Math.min(...lines.map(({ atOnce, perMs }) => atOnce + perMs * ms))
}

/** When one limit takes over from another: between these times all is straight. */
function crossings(lines: readonly Line[]): number[] {
  return lines
    .flatMap((one) => lines.map((other) => (other.atOnce - one.atOnce) / (one.perMs - other.perMs)))
    .filter((ms) => Number.isFinite(ms) && ms > 0)
}

/** Limits that are known before there is a request, with the burst beside them. */
function limitsOf(given: RouteLimit | Options | undefined): readonly Limit[] | undefined {
  const { limits, burst } = isOptions(given) ? given : { limits: given, burst: undefined }
  if (limits === undefined || limits === false || typeof limits === 'function') return undefined
  return withBurst(readLimits(limits as LimitInput), { algorithm: 'token-bucket', burst })
}

/** Whether it is options, and not a limit. */
export function isOptions(given: RouteLimit | Options | undefined): given is Options {
  const isObject = typeof given === 'object' && given !== null && !Array.isArray(given)
  return isObject && !Object.hasOwn(given, 'count')
}
