import type { Decision } from '../decision.ts'
import type { CheckedLimits, Limit, LimitInput } from '../limit/limit.ts'
import { readLimits } from '../limit/parse.ts'
import type { AsyncLimiter, StoreStatus } from '../limiter.ts'
import { LIMITER_OPTIONS } from '../options.ts'
import type { Backend, Counters, Sharing } from '../remote/backend.ts'
import { Deadlines } from '../remote/deadlines.ts'
import { type ResolvedRemoteOptions, resolveRemoteOptions } from '../remote/options.ts'
import {
  countableLimits,
  RemoteLimiter,
  type RemoteLimiterStats,
  RemoteVariableLimiter,
} from '../remote/remote-limiter.ts'
import { invalid, ownOptions, withCode } from '../validate.ts'
import type { RedisUser } from './calls.ts'
import { type Connection, type RedisStorage, storageOf } from './connection.ts'
import { isClient, type RedisClient } from './ioredis.ts'
import { groupOf, namer, REDIS_OPTIONS, type RedisOptions, readKeyPrefix } from './key.ts'
import { fixedKind, type Kind, type ScriptArgs, timedTail, variableKind } from './script/index.ts'

/** Options of a `RedisLimiter`. Exactly one of `url`, `client` and `storage` says where Redis is. */
export interface RedisLimiterOptions extends RedisOptions {
  /**
   * `redis:`, `rediss:`, `redis+sentinel:`, `redis+cluster:` or `redis+unix:`, or each with `valkey` in place of
   * `redis`. A secret: never printed.
   */
  readonly url?: string | undefined
  /** A client of ioredis, `Redis` or `Cluster`; what is used is a copy of its connection. */
  readonly client?: RedisClient | undefined
  /** Another limiter's `storage`, to share its connection. */
  readonly storage?: RedisStorage | string | RedisClient | undefined
}

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
    const resolved = resolveRedisOptions(options)
    const counted = countableLimits(parsed, resolved)
    super(counted, resolved, new RedisBackend(resolved, fixedKind(counted, resolved)))
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
    const resolved = resolveRedisOptions(options)
    super(resolved, new RedisBackend(resolved, variableKind(resolved)))
  }
}

const WHERE = ['url', 'client', 'storage']

/** Options with every default filled in. */
interface ResolvedRedisOptions extends ResolvedRemoteOptions {
  readonly keyPrefix: string
  readonly storage: RedisStorage
}

/** Checks options and fills in the defaults. Each is read once; unknown ones throw. */
function resolveRedisOptions(options: RedisLimiterOptions): ResolvedRedisOptions {
  const own = ownOptions(options, [...LIMITER_OPTIONS, ...REDIS_OPTIONS, ...WHERE])
  const resolved = resolveRemoteOptions(own, ['keyPrefix', ...WHERE])
  return { ...resolved, keyPrefix: readKeyPrefix(own.keyPrefix), storage: readStorage(own) }
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

type Op = ScriptArgs['op']
/** What the calls of one set of limits have in common. */
type Reading = Pick<ScriptArgs<Decision>, 'tail' | 'read'>

/** Redis, for one limiter. */
class RedisBackend implements Backend {
  readonly sharing: Sharing
  readonly #options: ResolvedRedisOptions
  readonly #kind: Kind
  readonly #connection: Connection
  readonly #leaveGroup: () => void
  readonly #user: RedisUser
  readonly #nameOf: (key: string) => string

  constructor(options: ResolvedRedisOptions, kind: Kind) {
    this.#options = options
    this.#kind = kind
    const { keyPrefix, name = '', processes } = options
    this.#nameOf = namer(keyPrefix, name, kind.policyHash)
    this.#connection = options.storage.acquire()
    const { heartbeats } = this.#connection.nodes
    const { group, leave } = heartbeats.join(keyPrefix, groupOf(name, kind.policyHash))
    this.sharing = group
    this.#leaveGroup = leave
    this.#user = {
      ...options,
      deadlines: new Deadlines(options.deadlineMs),
      startDeadlines: new Deadlines(options.connectTimeoutMs),
      waiting: 0,
      share: () => (processes === undefined ? group.share : { parts: processes, from: 'option' }),
    }
    this.#connection.join(this.#user)
  }

  readonly tier = 'redis'

  get status(): StoreStatus {
    return this.#connection.nodes.status
  }

  get outages(): number {
    return this.#connection.nodes.outages
  }

  counters(limits: readonly Limit[]): Counters {
    const args = this.#kind.argsOf(limits)
    const unread = { ...args, read: undefined }
    const ops = { check: 'c', take: 't', paced: args.paced } as const
    const call = (of: Reading, op: Op, key: string, amount: number, since?: number) =>
      this.#connection.call(this.#argsOf(of, op, key, amount), this.#user, since)
    return {
      charge: (key, cost, mode, since) => call(args, ops[mode], key, cost, since),
      chargeFor: (asker, key, cost, mode, since) => {
        this.#connection.ask(asker, this.#argsOf(args, ops[mode], key, cost), this.#user, since)
      },
      acquire: (key, min, max, since) => call(args, max, key, min, since),
      peek: (key, cost) => call(args, 'p', key, cost),
      refund: (key, units) => call(unread, 'r', key, units),
      block: (key, ms) => call(unread, 'b', key, ms),
      reset: (key) => call(unread, 'd', key, 0),
    }
  }

  #argsOf({ tail, read }: Reading, op: Op, key: string, amount: number): ScriptArgs<Decision> {
    const { clock } = this.#options
    const timed = clock === undefined ? tail : timedTail(tail, Math.round(clock.now() * 1000))
    return { script: this.#kind.script, name: this.#nameOf(key), op, amount, tail: timed, read }
  }

  ready(): Promise<StoreStatus> {
    return this.#connection.ready()
  }

  async close(): Promise<void> {
    this.#connection.leave(this.#user)
    this.#leaveGroup()
    await this.#options.storage.release()
  }
}
