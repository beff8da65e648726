import { createForAdapter, createVariable } from '../create.ts'
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
import { AVAILABLE } from './adapter.ts'
import { EscalatingBlock, variableWithBlocks, withBlocks } from './escalating-block.ts'
import { type Warnings, warnOfSeveralProcesses } from './events.ts'
import { defaultName, type Policy, policyItem } from './headers.ts'
import { HeldUnits, Marks } from './held-units.ts'
import type { RedisSettings } from './options.ts'
import type { ResolvedHttpOptions } from './resolve-options.ts'

/** Limits that depend on the request, such as on a customer's plan; `false` for none at all. */
export type LimitsFunction<Request> = (
  request: Request,
) => LimitInput | false | PromiseLike<LimitInput | false>

/** The limits that apply to a request, their counters, and what headers say about them. */
export interface RequestLimits {
  readonly limiter: Limiter
  readonly policies: readonly Policy[]
  /** The `RateLimit-Policy` header. */
  readonly policyText: string
  /** Units of these counters that requests hold provisionally. */
  readonly held: HeldUnits
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
}

/** Opens the counters that the options ask for, under `identity` if the options have no name. */
export function openLimits(
  options: ResolvedHttpOptions,
  warnings: Warnings,
  identity: string,
): LimitsSource {
  const { limits, policy, storage, limiter, dryRun, blockFor } = options
  warnOfSeveralProcesses(storage, warnings)
  const name = sharedName(storage) === undefined ? limiter.name : (limiter.name ?? identity)
  const forRedis = dryRun ? withoutWaiting(options.forRedis) : options.forRedis
  const toOpen = { ...limiter, storage, forRedis, identity, name }
  if (typeof limits === 'function') {
    const around = surroundingsOf(options, identity, '')
    const counters = createVariable(toOpen)
    const blocks = blockFor && new EscalatingBlock(blockFor, around.open, limiter.clock)
    const all = blocks === undefined ? counters : variableWithBlocks(counters, blocks)
    return limitsByRequest(limits, all, heldUnitsOf(options, around), options)
  }
  const isOwn = isLimiter(storage) && limits === storage.limits
  const parsed = isOwn ? storage.limits : readLimits(limits as LimitInput)
  checkNames(parsed.length, policy)
  const around = surroundingsOf(options, identity, ` ${figuresOf(parsed)}`)
  const counters = createForAdapter(parsed, toOpen)
  const blocks = blockFor && new EscalatingBlock(blockFor, around.open, limiter.clock)
  const all = blocks === undefined ? counters : withBlocks(counters, blocks)
  return fixedLimits(requestLimits(all, heldUnitsOf(options, around), policy))
}

function fixedLimits(limits: RequestLimits): LimitsSource {
  const { limiter, held } = limits
  return {
    fixed: limits,
    of: () => limits,
    reset: (key) => limiter.reset(key),
    ready: () => readiness(limiter),
    close: () => {
      void limiter.close()
      void held.close()
    },
  }
}

/** @param names of the limits in order; a limit without a name gets one from its figures */
function requestLimits(limiter: Limiter, held: HeldUnits, names: readonly string[]): RequestLimits {
  const policies = limiter.limits.map((limit, i) => ({
    name: names[i] ?? defaultName(limit),
    limit,
  }))
  return { limiter, held, policies, policyText: policies.map(policyItem).join(', ') }
}

/** Limits by a function of the request. They share one state: see {@link VariableLimiter}. */
function limitsByRequest(
  limitsOf: LimitsFunction<object>,
  counters: VariableLimiter,
  held: HeldUnits,
  { keyTimeoutMs, policy }: ResolvedHttpOptions,
): LimitsSource {
  const byText = new Recent<RequestLimits>()
  // The same limits may be written in several ways.
  const byFigures = new Recent<RequestLimits>()
  const parse = (limits: LimitInput): RequestLimits => {
    const parsed = readLimits(limits)
    const figures = figuresOf(parsed)
    const known = byFigures.get(figures)
    return known ?? byFigures.set(figures, requestLimits(counters.with(parsed), held, policy))
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
  return {
    fixed: undefined,
    of: (request) => {
      const limits = toPromise(limitsOf(request))
      if (!(limits instanceof Promise)) return read(limits)
      return withTimeout(limits, keyTimeoutMs, 'the limits function').then(read)
    },
    reset: (key) => counters.reset(key),
    ready: async () => (await counters.ready?.()) ?? AVAILABLE,
    close: () => {
      void counters.close()
      void held.close()
    },
  }
}

/** Bounds of {@link Recent}: values, and characters of their texts. */
const MAX_ENTRIES = 10_000
const MAX_CHARACTERS = 1_000_000

/** Values that were used recently, by a text. Bounded: the least recently used are forgotten. */
class Recent<T> {
  #young = new Map<string, T>()
  #old: ReadonlyMap<string, T> = new Map()
  #characters = 0

  get(text: string): T | undefined {
    const young = this.#young.get(text)
    if (young !== undefined) return young
    const old = this.#old.get(text)
    return old === undefined ? undefined : this.set(text, old)
  }

  /** Two generations, each with half of the bound: when the young one is full it becomes the old one. */
  set(text: string, value: T): T {
    if (text.length > MAX_CHARACTERS / 100) return value
    const isFull =
      this.#young.size >= MAX_ENTRIES / 2 || this.#characters + text.length > MAX_CHARACTERS / 2
    if (isFull) {
      this.#old = this.#young
      this.#young = new Map()
      this.#characters = 0
    }
    this.#young.set(text, value)
    this.#characters += text.length
    return value
  }
}

/** A dry run waits for the first connection no longer than for an answer. */
function withoutWaiting(forRedis: RedisSettings): RedisSettings {
  const { deadlineMs = 50, connectTimeoutMs = deadlineMs } = forRedis
  return { ...forRedis, connectTimeoutMs: Math.min(deadlineMs, connectTimeoutMs) }
}

/** Where the counters are, for what accompanies them. */
interface Surroundings {
  /** Opens further counters in the same place. */
  readonly open: OpenCompanion
  /** The name under which other limiters have the same counters; `undefined` if none can. */
  readonly name: string | undefined
  /** Whether they are on other hosts. */
  readonly isFar: boolean
}

/** @param figures part of the name where other limits have other counters */
function surroundingsOf(
  options: ResolvedHttpOptions,
  identity: string,
  figures: string,
): Surroundings {
  const { limiter, storage, forRedis } = options
  const isFar = isRemote(storage)
  const isOpen = isFar || sharedName(storage) !== undefined
  const base = isOpen ? (limiter.name ?? identity) : limiter.name
  const { algorithm = '', burst = '' } = limiter
  const name = base === undefined ? undefined : `${base} ${algorithm} ${burst}${figures}`
  return {
    open: companionsOf(options, name),
    isFar,
    name: name && `${forRedis.keyPrefix ?? ''}${name}`,
  }
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
  { countWhen, limiter, storage, outcomeTimeoutMs }: ResolvedHttpOptions,
  { open, name, isFar }: Surroundings,
): HeldUnits {
  if (countWhen === undefined || name === undefined) return new HeldUnits(undefined, undefined)
  const now = (): number => {
    if (isFar) return Date.now()
    return limiter.clock?.now() ?? Number(process.hrtime.bigint()) / 1e6
  }
  const place = typeof storage === 'string' ? storage : ''
  return new HeldUnits(`${place} ${name}`, new Marks(open, now, isFar, outcomeTimeoutMs))
}

function checkNames(limits: number, names: readonly string[]): void {
  if (names.length <= limits) return
  const accepted = `at most one name per limit (${limits})`
  throw invalid(RangeError, 'INVALID_OPTION', 'policy', accepted, names.length)
}

const MAX_NAME_LENGTH = 100
let unnamedLimiters = 0

/** The name of a limiter that belongs to one place in the program, such as a route: the same in each process. */
export function limiterNameOf(place: string): string {
  const fits = place.length <= MAX_NAME_LENGTH && place.isWellFormed()
  return fits ? place : hashText(place)
}

/**
 * The name of a limiter that has none. The processes of a program give the same names if they make their limiters
 * in the same order; a `scope` or a `name` does not depend on that.
 */
export function nextLimiterName(): string {
  unnamedLimiters++
  return `limiter ${unnamedLimiters}`
}
