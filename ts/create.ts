import { mustBe } from './errors.ts'
import type { Limit, LimitInput } from './limit/limit.ts'
import type { CheckedLimits } from './limit/literal.ts'
import { RateLimiter } from './limiter.ts'
import { LIMITER_OPTIONS, notAvailable, ownOptions, type RateLimiterOptions } from './options.ts'
import type { Tier } from './tier.ts'

/** Options of {@link createLimiter}: those of a limiter, its limits, and where its state lives. */
export interface CreateLimiterOptions<L extends LimitInput = LimitInput>
  extends RateLimiterOptions {
  /** One or several limits. */
  readonly limits: CheckedLimits<L>
  /** Where the state lives: `'memory:'`, in this process. Default: `'memory:'`. */
  readonly storage?: string | undefined
}

/** Options of {@link openTier}: those of a limiter, and where its state lives. */
export interface OpenTierOptions extends RateLimiterOptions {
  readonly storage?: unknown
  readonly keyPrefix?: unknown
  readonly onError?: unknown
}

const SCHEMES = ['memory', 'shared', 'redis', 'rediss']
const STORAGE = '"memory:" ("shared:", "redis:" and "rediss:" are to come)'

/**
 * Makes a limiter from plain data, such as a configuration file.
 *
 * @throws Error with code NOT_AVAILABLE for a tier that this version does not have
 */
export function createLimiter<const L extends LimitInput>(
  options: CreateLimiterOptions<L>,
): RateLimiter<L> {
  const own = ownOptions(options, ['limits', 'storage', ...LIMITER_OPTIONS])
  const { limits, storage = 'memory:', ...rest } = own
  checkStorage(storage)
  return new RateLimiter<L>(limits, rest)
}

/** Opens counters wherever the storage says. For adapters, which do not know which tier they talk to. */
export function openTier(limits: readonly Limit[], options: OpenTierOptions): Tier {
  const { storage = 'memory:', keyPrefix: _keyPrefix, onError: _onError, ...rest } = options
  checkStorage(storage)
  return new RateLimiter(limits, rest)
}

/**
 * @param name of the option or setting, for the message
 * @throws TypeError, RangeError, or Error with code NOT_AVAILABLE, unless there is such a store
 */
export function checkStorage(storage: unknown, name = 'storage'): void {
  if (typeof storage !== 'string') throw new TypeError(mustBe(name, STORAGE, storage))
  const [scheme = '', rest] = splitScheme(storage)
  if (!SCHEMES.includes(scheme)) {
    // Not the whole text: it may be an address with a password in it.
    throw new RangeError(mustBe(name, STORAGE, `${scheme.slice(0, 16)}...`))
  }
  if (scheme !== 'memory') throw notAvailable(`${name}: "${scheme}:"`, tier(scheme))
  if (rest !== '' && rest !== '//') throw new RangeError(mustBe(name, STORAGE, 'memory:...'))
}

function splitScheme(storage: string): [string, string] {
  const colon = storage.indexOf(':')
  if (colon < 0) return [storage.toLowerCase(), '']
  return [storage.slice(0, colon).toLowerCase(), storage.slice(colon + 1)]
}

function tier(scheme: string): string {
  return scheme === 'shared' ? 'shared' : 'redis'
}
