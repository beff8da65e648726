import type { LimitCounter } from '../counting.ts'
import { type AdapterLimiterOptions, createForAdapter, createVariable } from '../create.ts'
import { hashText } from '../key-hash.ts'
import { figuresOf, type Limit, type LimitInput } from '../limit/limit.ts'
import { readLimits } from '../limit/parse.ts'
import {
  type Limiter,
  type MaybePromise,
  readiness,
  type StoreStatus,
  toPromise,
  type VariableLimiter,
  withTimeout,
} from '../limiter.ts'
import type { Algorithm } from '../options.ts'
import { isLimiter, isRemote, sharedName } from '../storage-url.ts'
import { invalid } from '../validate.ts'
import type { OpenedRow } from './counted-limits.ts'
import { EscalatingBlock, withBlocks } from './escalating-block.ts'
import { type Warnings, warnOfSeveralProcesses } from './events.ts'
import { policyHeader, policyNames } from './headers.ts'
import { HeldUnits, Marks } from './held-units.ts'
import type { RedisSettings, ResolvedHttpOptions } from './options.ts'
import type { RefusedPermit } from './permits.ts'
import { Recent } from './recent.ts'

/** Limits that depend on the request, such as on a customer's plan; `false` for none at all. */
export type LimitsFunction<Request> = (
  request: Request,
) => LimitInput | false | PromiseLike<LimitInput | false>

/** What requests ask of a limiter: its source resets and closes it. */
export type Counting = Omit<Limiter, 'reset' | 'wait' | 'ready' | 'close'>

/** Counters under limits that are always the same, or change from one request to the next. */
export interface Counters extends Omit<VariableLimiter, 'with'> {
  with(limits: readonly Limit[]): Counting
}

/** The limits that apply to a request, their counters, and what headers say about them. */
export interface RequestLimits {
  readonly limiter: Counting
  /** The names of the limits that clients see. */
  readonly names: readonly string[]
  /** The `RateLimit-Policy` header. */
  readonly policyText: string
  /** Units of these counters that requests hold provisionally. */
  readonly held: HeldUnits
  /** In place of the limits, where there was no permit: see option `concurrent`. */
  readonly refused?: RefusedPermit | undefined
}

/** Where a request's limits come from: always the same, or a function of the request. */
export interface LimitsSource {
  /** The limits, if they are the same for all requests. */
  readonly fixed: RequestLimits | undefined
  /** `undefined` for a request that is exempt. Throws or rejects as the function does. */
  of(request: object): MaybePromise<RequestLimits | undefined>
  /** Forgets the key, whatever its limits were. */
  reset(key: string): MaybePromise<void>
  ready(): Promise<StoreStatus>
  close(): void
  /** Where an insight counts what these counters decide. */
  readonly counter: LimitCounter | undefined
}

/**
 * Opens the counters that the options ask for, under `identity` if the options have no name.
 *
 * @param place what an insight calls them then
 */
export function openLimits(
  options: ResolvedHttpOptions,
  warnings: Warnings,
  identity: string,
  place: string,
): LimitsSource {
  const { limits, policy, storage, limiter, dryRun, blockFor, keyTimeoutMs, lasting } = options
  warnOfSeveralProcesses(storage, warnings)
  const parsed = typeof limits === 'function' ? undefined : readFixed(limits, options)
  const name = sharedName(storage) === undefined ? limiter.name : (limiter.name ?? identity)
  const forRedis = dryRun ? withoutWaiting(options.forRedis) : options.forRedis
  const toOpen = { ...limiter, storage, forRedis, identity, name }
  const isVariable = parsed === undefined || lasting !== undefined
  const make = (own: AdapterLimiterOptions): Counters =>
    isVariable ? createVariable(own) : openFixed(parsed, own)
  const { counter, counters: opened } = openCounted(options, parsed, place, toOpen, make)
  const commonName = commonNameOf(options, identity, isVariable ? undefined : parsed)
  const open = companionsOf(options, commonName)
  const counters =
    blockFor === undefined
      ? opened
      : withBlocks(opened, new EscalatingBlock(blockFor, open, limiter.clock))
  const held = heldUnitsOf(options, commonName, open)
  const limitsOf = (own: readonly Limit[]): RequestLimits => {
    const names = policyNames(own, policy)
    return { limiter: counters.with(own), held, names, policyText: policyHeader(own, names) }
  }
  const fixed = parsed && limitsOf(parsed)
  // An insight is to ask with the limits and the blocks, which what is opened inside may not know.
  if (parsed !== undefined) counter?.serve(opened, parsed, counters)
  return {
    fixed,
    of: typeof limits === 'function' ? byRequest(limits, limitsOf, keyTimeoutMs) : () => fixed,
    reset: (key) => counters.reset(key),
    ready: () => readiness(counters),
    close: () => {
      void counters.close()
      void held.close()
      counter?.end()
    },
    counter: counter?.row,
  }
}

/**
 * Reads option `policy`.
 *
 * @throws TypeError or RangeError unless each name can be sent as a String of RFC 9651: printable ASCII
 */
export function readPolicyNames(value: unknown, name: string): readonly string[] {
  const names: readonly unknown[] = value === undefined ? [] : [value].flat()
  return names.map((one, i) => {
    const isText = typeof one === 'string'
    if (isText && /^[\x20-\x7e]{1,64}$/.test(one)) return one
    const Kind = isText ? RangeError : TypeError
    const place = names.length > 1 ? `${name}[${i}]` : name
    throw invalid(Kind, 'INVALID_OPTION', place, '1 to 64 printable ASCII characters', one)
  })
}

/** @throws as {@link readLimits} does, and for more names than limits */
function readFixed(
  limits: LimitInput | undefined,
  { storage, policy }: ResolvedHttpOptions,
): readonly Limit[] {
  const isOwn = isLimiter(storage) && limits === storage.limits
  const parsed = isOwn ? storage.limits : readLimits(limits as LimitInput)
  if (policy.length <= parsed.length) return parsed
  const accepted = `at most one name per limit (${parsed.length})`
  throw invalid(RangeError, 'INVALID_OPTION', 'policy', accepted, policy.length)
}

/** Counters under limits that are always the same. */
export function openFixed(limits: readonly Limit[], toOpen: AdapterLimiterOptions): Counters {
  const limiter = createForAdapter(limits, toOpen)
  return {
    with: () => limiter,
    reset: (key) => limiter.reset(key),
    ready: () => readiness(limiter),
    // A limiter that was passed in belongs to the caller: others may use it.
    close: () => (limiter === toOpen.storage ? undefined : limiter.close()),
  }
}

/** Limits by a function of the request. They share one state: see {@link VariableLimiter}. */
function byRequest(
  ask: LimitsFunction<object>,
  limitsOf: (limits: readonly Limit[]) => RequestLimits,
  timeoutMs: number,
): LimitsSource['of'] {
  const byText = new Recent<RequestLimits>()
  // The same limits may be written in several ways.
  const byFigures = new Recent<RequestLimits>()
  const parse = (limits: LimitInput): RequestLimits => {
    const parsed = readLimits(limits)
    const figures = figuresOf(parsed)
    return byFigures.get(figures) ?? byFigures.set(figures, limitsOf(parsed))
  }
  const read = (limits: LimitInput | false): RequestLimits | undefined => {
    if (limits === false) return undefined
    if (typeof limits === 'string') return byText.get(limits) ?? byText.set(limits, parse(limits))
    // The figures of an object may have changed since the last time.
    if (typeof limits === 'object' && limits !== null) return parse(limits)
    const accepted = 'limits, or false for none'
    const name = 'what the limits function returns'
    throw invalid(TypeError, 'INVALID_ARGUMENT', name, accepted, limits)
  }
  return (request) => {
    const limits = toPromise(ask(request))
    if (!(limits instanceof Promise)) return read(limits)
    return withTimeout(limits, timeoutMs, 'the limits function').then(read)
  }
}

/** A dry run waits for the first connection no longer than for an answer. */
function withoutWaiting(forRedis: RedisSettings): RedisSettings {
  const { deadlineMs = 50, connectTimeoutMs = deadlineMs } = forRedis
  return { ...forRedis, connectTimeoutMs: Math.min(deadlineMs, connectTimeoutMs) }
}

/** The name under which other limiters have the same counters; `undefined` if none can. */
function commonNameOf(
  { limiter, storage }: ResolvedHttpOptions,
  identity: string,
  limits: readonly Limit[] | undefined,
): string | undefined {
  const isOpen = isRemote(storage) || sharedName(storage) !== undefined
  const base = isOpen ? (limiter.name ?? identity) : limiter.name
  if (base === undefined) return undefined
  const { algorithm = '', burst = '' } = limiter
  // Other limits have other counters, unless they come from a function.
  const figures = limits === undefined ? '' : ` ${figuresOf(limits)}`
  return `${base} ${algorithm} ${burst}${figures}`
}

/** Where an insight is among the options, the counters count in a row of it. Most programs have none. */
function openCounted(
  options: ResolvedHttpOptions,
  limits: readonly Limit[] | undefined,
  place: string,
  toOpen: AdapterLimiterOptions,
  make: (toOpen: AdapterLimiterOptions) => Counters,
): { readonly counters: Counters; readonly counter: OpenedRow | undefined } {
  if (options.insight === undefined) return { counters: make(toOpen), counter: undefined }
  const loaded = require('./counted-limits.js') as typeof import('./counted-limits.ts')
  const counter = loaded.openRow(options.insight, options, limits, place)
  return { counters: loaded.makeCounted(counter, options.storage, toOpen, make), counter }
}

/** Opens further counters in the same place: processes that share a limit share its companions too. */
export type OpenCompanion = (what: string, limit: Limit, algorithm: Algorithm) => Limiter

const MIN_CAPACITY = 100_000

/** Opens the companions of the counters there: limiters of our own, which hold what the counters can't. */
function companionsOf(
  { limiter, storage, forRedis }: ResolvedHttpOptions,
  name: string | undefined,
): OpenCompanion {
  const { clock, capacity } = limiter
  const { keyPrefix, deadlineMs, connectTimeoutMs } = forRedis
  return (what, limit, algorithm) => {
    const own = name === undefined ? undefined : companionName(what, name)
    return createForAdapter([limit], {
      algorithm,
      clock,
      // As many keys as the limit has; a table for a few keys is no reason to forget who was blocked.
      capacity: capacity === undefined ? undefined : Math.max(capacity, MIN_CAPACITY),
      // A limiter that was passed in has no place for others.
      storage: isLimiter(storage) ? undefined : storage,
      name: own,
      identity: companionName(what, ''),
      // Without Redis a process knows its own requests only; here it has no share of a limit to keep to.
      forRedis: { keyPrefix, deadlineMs, connectTimeoutMs, processes: 1 },
    })
  }
}

/** Short enough for a name, and never the name of a limit: those are not hashed. */
function companionName(what: string, name: string): string {
  return `ratethrottle ${what} ${hashText(name)}`
}

/** Where no other limiter has the counters, this process knows of all held units. */
function heldUnitsOf(
  { countWhen, limiter, storage, forRedis, outcomeTimeoutMs }: ResolvedHttpOptions,
  commonName: string | undefined,
  open: OpenCompanion,
): HeldUnits {
  if (countWhen === undefined || commonName === undefined) {
    return new HeldUnits(undefined, undefined)
  }
  const isFar = isRemote(storage)
  const now = (): number => {
    if (isFar) return Date.now()
    return limiter.clock?.now() ?? Number(process.hrtime.bigint()) / 1e6
  }
  const place = typeof storage === 'string' ? storage : ''
  const name = `${place} ${forRedis.keyPrefix ?? ''}${commonName}`
  return new HeldUnits(name, new Marks(open, now, isFar, outcomeTimeoutMs))
}
