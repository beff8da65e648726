import type { AsyncLimiter } from '../async-limiter.ts'
import type { LimitInput } from '../limit/limit.ts'
import type { CheckedLimits } from '../limit/literal.ts'
import { readLimits } from '../limit/parse.ts'
import { LIMITER_OPTIONS } from '../options.ts'
import { REMOTE_OPTIONS, resolveRemoteOptions } from '../remote/options.ts'
import { countableLimits, RemoteLimiter, RemoteVariableLimiter } from '../remote/remote-limiter.ts'
import type { RemoteLimiterStats } from '../remote/state.ts'
import { invalid, ownOptions, withCode } from '../validate.ts'
import { isClient } from './ioredis.ts'
import { readPrefix } from './key.ts'
import type { RedisLimiterOptions } from './options.ts'
import { type ResolvedRedisOptions, redisBackend, variableRedisBackend } from './redis-backend.ts'
import { type RedisStorage, storageOf } from './shared-connection.ts'

/** What a limiter in Redis has been through in this process. */
export type RedisLimiterStats = RemoteLimiterStats

/**
 * Limits how often a key may do something, for all processes that share a Redis.
 *
 * ```ts
 * const limiter = new RedisLimiter('100/minute', { url: 'redis://127.0.0.1:6379/0', name: 'api' })
 * if (!(await limiter.check('user:42')).allowed) refuse()
 * ```
 *
 * Decides as `RateLimiter` does, from the clock of Redis, in one round trip whatever the number of limits.
 * Limiters with the same `keyPrefix`, `name`, limits and algorithm share their counters. What happens while Redis
 * does not answer: see {@link RemoteLimiter}.
 */
export class RedisLimiter<const L extends LimitInput = LimitInput>
  extends RemoteLimiter
  implements AsyncLimiter<RedisLimiterStats>
{
  /** The connection. Other limiters that are given it share it. */
  readonly storage: RedisStorage

  /**
   * Connects in the background: a Redis that is away neither blocks nor throws.
   *
   * @param limits one or several limits, such as `'100/minute'` or `['10/second', '1000/hour']`
   * @param options see {@link RedisLimiterOptions}
   * @throws InvalidLimit, TypeError or RangeError naming the argument and what is accepted; Error with code
   * MISSING_IOREDIS
   */
  constructor(limits: CheckedLimits<L>, options: RedisLimiterOptions) {
    const parsed = readLimits(limits)
    const resolved = resolveOptions(options)
    const counted = countableLimits(parsed, resolved)
    super(counted, resolved, redisBackend(counted, resolved))
    this.storage = resolved.storage
  }
}

/** Counters in Redis of callers whose limits may change: see {@link RemoteVariableLimiter}. */
export class RedisVariableLimiter extends RemoteVariableLimiter {
  /**
   * Connects in the background: a Redis that is away neither blocks nor throws.
   *
   * @throws TypeError or RangeError that names the option; Error with code MISSING_IOREDIS
   */
  constructor(options: RedisLimiterOptions) {
    const resolved = resolveOptions(options)
    super(resolved, variableRedisBackend(resolved))
  }
}

const WHERE = ['url', 'client', 'storage']

/** Checks options and fills in the defaults. Each is read once; unknown ones throw. */
function resolveOptions(options: RedisLimiterOptions): ResolvedRedisOptions {
  const others = ['keyPrefix', ...WHERE]
  const own = ownOptions(options, [...LIMITER_OPTIONS, ...REMOTE_OPTIONS, ...others])
  const resolved = resolveRemoteOptions(own, others)
  return { ...resolved, keyPrefix: readPrefix(own.keyPrefix), storage: readStorage(own) }
}

function readStorage({ url, client, storage }: RedisLimiterOptions): RedisStorage {
  const given = [url, client, storage].filter((where) => where !== undefined)
  if (given.length !== 1) {
    const message = `exactly one of url, client and storage must be given, got ${given.length}`
    throw withCode(new TypeError(message), 'INVALID_OPTION')
  }
  // Shown by its type only: it may be a URL with a password in it.
  if (url !== undefined && typeof url !== 'string') {
    throw invalid(TypeError, 'INVALID_OPTION', 'url', 'a text', url)
  }
  if (client !== undefined && !isClient(client)) {
    const accepted = 'a client of ioredis (not a mock of one)'
    throw invalid(TypeError, 'INVALID_OPTION', 'client', accepted, client)
  }
  return storageOf(given[0])
}
