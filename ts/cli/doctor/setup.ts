import type { Limit } from '../../limit/limit.ts'
import { readLimits } from '../../limit/parse.ts'

/** Options as a file has them: not yet known to be right. */
export interface Options {
  readonly limits?: unknown
  readonly limiters?: unknown
  readonly routes?: unknown
  readonly shield?: unknown
  readonly insight?: unknown
  readonly storage?: unknown
  readonly algorithm?: unknown
  readonly burst?: unknown
  readonly capacity?: unknown
  readonly dryRun?: unknown
  readonly allow?: unknown
  readonly cost?: unknown
  readonly trust?: unknown
  readonly key?: unknown
  readonly headers?: unknown
  readonly onError?: unknown
  readonly onStoreError?: unknown
}

/** A limiter, as a file or a process describes it. */
export interface LimiterSetup {
  /** Such as `limits.yaml: limiters.api`. */
  readonly where: string
  /** Empty where the limits cannot be read. */
  readonly limits: readonly Limit[]
  readonly options: Options
}

/** What a configuration file says. */
export interface FileSetup {
  readonly where: string
  readonly options: Options
  readonly limiters: readonly LimiterSetup[]
}

/** The limiters of a configuration file: each with the options of the file itself, where it has none of its own. */
export function setupOf(where: string, options: Options): FileSetup {
  const { limiters, routes: _routes, shield: _shield, insight: _insight, ...common } = options
  const own = Object.hasOwn(options, 'limits') ? [limiterOf(where, common)] : []
  const named = Object.entries(isObject(limiters) ? limiters : {}).map(([name, given]) =>
    limiterOf(`${where}: limiters.${name}`, { ...common, ...withLimits(given) }),
  )
  return { where, options, limiters: [...own, ...named] }
}

function withLimits(given: unknown): Options {
  return isObject(given) && !Object.hasOwn(given, 'count') ? given : { limits: given }
}

function limiterOf(where: string, options: Options): LimiterSetup {
  return { where, options, limits: limitsOf(options.limits) }
}

/** Limits that cannot be read are an error of the file, which its check reports. */
export function limitsOf(given: unknown): readonly Limit[] {
  try {
    return readLimits(given)
  } catch {
    return []
  }
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
