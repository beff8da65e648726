import { openTier, openVariable } from '../create.ts'
import { figuresOf, type LimitInput } from '../limit/limit.ts'
import { readLimits } from '../limit/parse.ts'
import type { Limiter } from '../limiter.ts'
import { isRedis, sharedSpace } from '../storage-url.ts'
import type { VariableLimiter } from '../variable/variable.ts'
import type { LimitsSource } from './charge.ts'
import { companionsOf, Marks, type OpenCompanion } from './companions.ts'
import { Escalation } from './escalating-block.ts'
import { HeldUnits } from './held-units.ts'
import type { RedisSettings } from './options.ts'
import { warnOfSeveralProcesses } from './per-process.ts'
import { budgetOf, LimitsByRequest } from './request-limits.ts'
import type { ReadOptions } from './resolve-options.ts'
import { VariableEscalation } from './variable-escalation.ts'
import type { Warnings } from './warning.ts'

/** Opens the counters that the options ask for. */
export function openCounters<Request, Response>(
  options: ReadOptions<Request, Response>,
  warnings: Warnings,
  identity: string,
): LimitsSource<Request> {
  const { limits, policy, keyTimeoutMs, storage, limiter, dryRun } = options
  warnOfSeveralProcesses(storage, warnings)
  const name = sharedSpace(storage) === undefined ? limiter.name : (limiter.name ?? identity)
  const forRedis = dryRun ? withoutWaiting(options.forRedis) : options.forRedis
  const toOpen = { ...limiter, storage, forRedis, identity, name }
  if (typeof limits === 'function') {
    const around = aroundOf(options, identity, '')
    const counters = withSteps(openVariable(toOpen), options, around)
    return new LimitsByRequest(limits, counters, linesOf(options, around), policy, keyTimeoutMs)
  }
  const parsed = readLimits(limits as LimitInput)
  checkNames(parsed.length, policy)
  const around = aroundOf(options, identity, ` ${figuresOf(parsed)}`)
  const tier = stepped(openTier(parsed, toOpen), options, around)
  return budgetOf(tier, linesOf(options, around), policy)
}

/** A dry run waits no longer for the first connection than for any answer. */
function withoutWaiting(forRedis: RedisSettings): RedisSettings {
  const { deadlineMs = 50, connectTimeoutMs = deadlineMs } = forRedis
  return { ...forRedis, connectTimeoutMs: Math.min(deadlineMs, connectTimeoutMs) }
}

/** What goes with the counters of a guard. */
interface Around {
  /** Opens more in the same place. */
  readonly open: OpenCompanion
  /** Under which name other limiters have the same counters; `undefined` if none can. */
  readonly name: string | undefined
  /** Whether they are on other hosts. */
  readonly isFar: boolean
}

/** @param figures part of the name, where counters with other limits are others */
function aroundOf<Request, Response>(
  { limiter, storage, forRedis }: ReadOptions<Request, Response>,
  identity: string,
  figures: string,
): Around {
  const isFar = isRedis(storage)
  const isOpen = isFar || sharedSpace(storage) !== undefined
  const base = isOpen ? (limiter.name ?? identity) : limiter.name
  const { algorithm = '', burst = '' } = limiter
  const name = base === undefined ? undefined : `${base} ${algorithm} ${burst}${figures}`
  const open = companionsOf({ limiter, storage, forRedis, name })
  return { open, isFar, name: name && `${forRedis.keyPrefix ?? ''}${name}` }
}

function stepped<Request, Response>(
  tier: Limiter,
  { stepsMs, limiter }: ReadOptions<Request, Response>,
  { open }: Around,
): Limiter {
  return stepsMs === undefined ? tier : new Escalation(tier, stepsMs, open, limiter.clock)
}

/** Limits of one function share what is remembered of their offenders. */
function withSteps<Request, Response>(
  counters: VariableLimiter,
  options: ReadOptions<Request, Response>,
  around: Around,
): VariableLimiter {
  if (options.stepsMs === undefined) return counters
  return new VariableEscalation(counters, (tier) => stepped(tier, options, around))
}

/** Those who wait for units that others hold. Where no other limiter has the counters, this process knows all. */
function linesOf<Request, Response>(
  { counts, limiter, storage, outcomeTimeoutMs }: ReadOptions<Request, Response>,
  { open, name, isFar }: Around,
): HeldUnits {
  if (counts === undefined || name === undefined) return new HeldUnits(undefined, undefined)
  const now = (): number => {
    if (isFar) return Date.now()
    return limiter.clock?.now() ?? Number(process.hrtime.bigint()) / 1e6
  }
  const place = typeof storage === 'string' ? storage : ''
  return new HeldUnits(`${place} ${name}`, new Marks(open, now, isFar, outcomeTimeoutMs))
}

function checkNames(limits: number, names: readonly string[]): void {
  if (names.length <= limits) return
  throw new RangeError(`policy has ${names.length} names for ${limits} limits`)
}
