import { type AddressRanges, readRanges } from '../../address/ranges.ts'
import { readTrust, type Trust } from '../../address/trust.ts'
import { mustBe } from '../../errors.ts'
import { checkPolicyName, type HeaderStyle, readHeaderStyle } from '../../headers.ts'
import { readDuration } from '../../limit/duration.ts'
import type { LimitInput } from '../../limit/limit.ts'
import { type RateLimiterOptions, readInteger, resolveOptions } from '../../options.ts'
import { REDIS_OPTIONS } from '../../redis/names.ts'
import type { LimitsFunction } from './budget.ts'
import type { KeyErrorPolicy, MissingKey } from './caller.ts'
import type { Hooks } from './events.ts'
import { countedAs, type Skip } from './filter.ts'
import { byIp, type KeyFunction } from './keys.ts'
import { type Handler, type HttpOptions, ownHttpOptions, type RedisSettings } from './options.ts'
import { type Counts, readCountWhen } from './outcome.ts'

const DEFAULT_TIMEOUT_MS = 1000
const MAX_SCOPE_LENGTH = 100
const MAX_MESSAGE_LENGTH = 1000
const METHOD = /^[A-Z][A-Z-]*$/

/** Options that have been checked, with every default filled in. */
export interface ReadOptions<Request, Response> {
  readonly limits: LimitInput | LimitsFunction<Request> | undefined
  readonly key: KeyFunction<Request>
  readonly cost: HttpOptions<Request>['cost']
  readonly trust: Trust | undefined
  readonly methods: ReadonlySet<string> | undefined
  readonly skip: Skip<Request> | undefined
  readonly allow: AddressRanges | undefined
  readonly deny: AddressRanges | undefined
  readonly scope: string | undefined
  readonly counts: Counts<Request> | undefined
  readonly outcomeTimeoutMs: number
  readonly stepsMs: readonly number[] | undefined
  readonly slowDownMs: number | undefined
  readonly missingKey: MissingKey
  readonly onKeyError: KeyErrorPolicy
  readonly keyTimeoutMs: number
  readonly headers: HeaderStyle
  readonly policy: readonly string[]
  readonly status: number
  readonly message: string | undefined
  readonly problem: boolean
  readonly handler: Handler<Request, Response> | undefined
  readonly dryRun: boolean
  readonly hooks: Hooks<Request>
  /** For the limiter itself. */
  readonly limiter: RateLimiterOptions
  readonly storage: unknown
  /** For a limiter in Redis. */
  readonly forRedis: RedisSettings
}

/** @throws TypeError or RangeError that names the option, its value and what is accepted */
export function readHttpOptions<Request, Response>(
  given: HttpOptions<Request, Response>,
): ReadOptions<Request, Response> {
  const own = ownHttpOptions(given)
  const { onAdmit, onDeny, onError } = own
  return {
    ...readWho(own),
    ...readWhat(own),
    ...readAnswer(own),
    counts: readCountWhen<Request>(own.countWhen),
    outcomeTimeoutMs: readInteger(own.outcomeTimeoutMs ?? 30_000, 600_000, 'outcomeTimeoutMs'),
    hooks: {
      onAdmit: readFunction(onAdmit, 'onAdmit'),
      onDeny: readFunction(onDeny, 'onDeny'),
      onError: typeof onError === 'string' ? undefined : readFunction(onError, 'onError'),
    },
    ...readLimiter(own),
  }
}

function readWho<Request, Response>(own: HttpOptions<Request, Response>) {
  const { key, trust, methods, skip, allow, deny } = own
  return {
    key: readFunction(key, 'key') ?? byIp(),
    trust: trust === undefined ? undefined : readTrust(trust, 'trust'),
    methods: methods === undefined ? undefined : readMethods(methods),
    skip: readFunction(skip, 'skip'),
    allow: allow === undefined ? undefined : readRanges(allow, 'allow'),
    deny: deny === undefined ? undefined : readRanges(deny, 'deny'),
    missingKey: oneOf(own.missingKey ?? 'deny', ['deny', 'shared', 'ip'], 'missingKey'),
    onKeyError: oneOf(own.onKeyError ?? 'ip', ['ip', 'deny'], 'onKeyError'),
    keyTimeoutMs: readInteger(own.keyTimeoutMs ?? DEFAULT_TIMEOUT_MS, 60_000, 'keyTimeoutMs'),
  }
}

function readWhat<Request, Response>(own: HttpOptions<Request, Response>) {
  const { limits, cost, scope, blockFor, slowDown } = own
  if (typeof cost === 'number') readInteger(cost, Number.MAX_SAFE_INTEGER, 'cost', 0)
  else readFunction(cost, 'cost')
  const isStepped = Array.isArray(blockFor)
  // A delayed request would be one that waits for its turn and for its outcome at once.
  if (slowDown !== undefined && (isStepped || readCountWhen(own.countWhen) !== undefined)) {
    throw new TypeError('slowDown excludes countWhen and a blockFor with steps')
  }
  return {
    limits,
    cost: cost as HttpOptions<Request>['cost'],
    scope: scope === undefined ? undefined : readText(scope, MAX_SCOPE_LENGTH, 'scope'),
    stepsMs: isStepped ? readSteps(blockFor) : undefined,
    slowDownMs: slowDown === undefined ? undefined : readDuration(slowDown, 'slowDown'),
  }
}

function readAnswer<Request, Response>(own: HttpOptions<Request, Response>) {
  const { headers, policy, status, message, problem, handler, dryRun } = own
  const names = policy === undefined ? [] : [policy].flat()
  return {
    headers: readHeaderStyle(headers),
    policy: names.map((name, i) =>
      checkPolicyName(name, names.length > 1 ? `policy[${i}]` : 'policy'),
    ),
    status: status === undefined ? 429 : readInteger(status, 599, 'status', 400),
    message: message === undefined ? undefined : readText(message, MAX_MESSAGE_LENGTH, 'message'),
    problem: readBoolean(problem, 'problem'),
    handler: readFunction(handler, 'handler'),
    dryRun: readBoolean(dryRun, 'dryRun'),
  }
}

function readLimiter<Request, Response>(own: HttpOptions<Request, Response>) {
  const { algorithm, burst, blockFor, capacity, name, clock, scope } = own
  const { maxWaitersPerKey, maxWaiters } = own
  if (name !== undefined && scope !== undefined) {
    throw new TypeError('name and scope exclude each other: a scope is a name for a budget')
  }
  const checked: RateLimiterOptions = {
    algorithm,
    burst,
    blockFor: Array.isArray(blockFor) ? undefined : (blockFor as string | number | undefined),
    capacity,
    maxWaitersPerKey,
    maxWaiters,
    name: scope === undefined ? name : `scope:${scope}`,
    clock,
  }
  resolveOptions(checked)
  const { onMismatch } = own
  const limiter = onMismatch === undefined ? checked : { ...checked, onMismatch }
  return { limiter, storage: own.storage, forRedis: readForRedis(own) }
}

/** Those that were given. The limiter checks them, if there is to be one in Redis. */
function readForRedis<Request, Response>(own: HttpOptions<Request, Response>): RedisSettings {
  const { onError, onStoreError } = own
  const policy = typeof onError === 'string' ? onError : onStoreError
  const given = REDIS_OPTIONS.map((name) => [name, own[name as keyof typeof own]] as const)
  const known = given.filter(([name, value]) => name !== 'onError' && value !== undefined)
  return { ...Object.fromEntries(known), ...(policy === undefined ? {} : { onError: policy }) }
}

function readSteps(steps: readonly unknown[]): readonly number[] {
  if (steps.length === 0) throw new RangeError('blockFor must have at least one step')
  return steps.map((step, i) => readDuration(step, `blockFor[${i}]`))
}

function readMethods(methods: unknown): ReadonlySet<string> {
  const accepted = 'an array of methods such as ["POST"]'
  if (!Array.isArray(methods) || methods.length === 0) {
    throw new TypeError(mustBe('methods', accepted, methods))
  }
  return new Set(
    methods.map((method: unknown, i) => {
      const name = typeof method === 'string' ? method.toUpperCase() : ''
      if (!METHOD.test(name)) throw new TypeError(mustBe(`methods[${i}]`, 'a method', method))
      return countedAs(name)
    }),
  )
}

function readFunction<F>(value: F | undefined, name: string): F | undefined {
  if (value === undefined || typeof value === 'function') return value
  throw new TypeError(mustBe(name, 'a function', value))
}

function readBoolean(value: unknown, name: string): boolean {
  if (value === undefined || typeof value === 'boolean') return value === true
  throw new TypeError(mustBe(name, 'true or false', value))
}

function readText(value: unknown, max: number, name: string): string {
  const accepted = `a text of 1 to ${max} characters`
  if (typeof value !== 'string') throw new TypeError(mustBe(name, accepted, value))
  if (value === '' || value.length > max) throw new RangeError(mustBe(name, accepted, value))
  return value
}

function oneOf<T extends string>(value: unknown, words: readonly T[], name: string): T {
  const found = words.find((word) => word === value)
  if (found !== undefined) return found
  throw new RangeError(mustBe(name, words.map((word) => `"${word}"`).join(' or '), value))
}
