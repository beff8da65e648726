import type { Decision } from '../decision.ts'
import type { CheckedLimits, Limit, LimitInput } from '../limit/limit.ts'
import { readLimits } from '../limit/parse.ts'
import type { AsyncLimiter, StoreStatus } from '../limiter.ts'
import { LIMITER_OPTIONS } from '../options.ts'
import {
  type Backend,
  type Counters,
  decisionFrom,
  reordered,
  type Sharing,
} from '../remote/backend.ts'
import type { Share, StoreUser } from '../remote/failure.ts'
import { Deadlines } from '../remote/guard.ts'
import {
  REMOTE_OPTIONS,
  type ResolvedRemoteOptions,
  resolveRemoteOptions,
} from '../remote/options.ts'
import {
  countableLimits,
  RemoteLimiter,
  type RemoteLimiterStats,
  RemoteVariableLimiter,
} from '../remote/remote-limiter.ts'
import { invalid, ownOptions, withCode } from '../validate.ts'
import { StartQueue } from './calls.ts'
import type { Connection } from './connection.ts'
import { isClient } from './ioredis.ts'
import { groupOf, namer, readPrefix } from './key.ts'
import type { RedisLimiterOptions } from './options.ts'
import { SCRIPTS, type Script, type ScriptArgs, VARIABLE_SCRIPTS } from './script/index.ts'
import {
  fixedArgs,
  type PolicyArgs,
  variableArgs,
  variablePolicyHash,
} from './script/policy-args.ts'
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
    const resolved = resolveOptions(options)
    super(resolved, new RedisBackend(resolved, variableKind(resolved)))
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

/** Options with every default filled in. */
interface ResolvedRedisOptions extends ResolvedRemoteOptions {
  readonly keyPrefix: string
  readonly storage: RedisStorage
}

/** How the scripts are called for one set of limits. */
interface LimitArgs extends PolicyArgs {
  readonly read: (reply: readonly number[]) => Decision
}

/** The states that one kind of limiter keeps in Redis. */
interface Kind {
  readonly script: Script
  /** Part of every key: tells states apart that cannot be read by one another. */
  readonly policyHash: string
  readonly argsOf: (limits: readonly Limit[]) => LimitArgs
}

/** The states of limits that stay the same. */
function fixedKind(
  limits: readonly Limit[],
  { algorithm, blockForMs }: ResolvedRedisOptions,
): Kind {
  const { policyHash, ...args } = fixedArgs(limits, algorithm, blockForMs)
  const read: LimitArgs['read'] = (reply) => decisionFrom(reply, limits)
  return { script: SCRIPTS[algorithm], policyHash, argsOf: () => ({ ...args, read }) }
}

/** The states of limits that may change from call to call. */
function variableKind({ algorithm, blockForMs }: ResolvedRedisOptions): Kind {
  const argsOf = (limits: readonly Limit[]): LimitArgs => {
    const args = variableArgs(limits, algorithm, blockForMs)
    return { ...args, read: (reply) => decisionFrom(reordered(reply, args), limits) }
  }
  const script = VARIABLE_SCRIPTS[algorithm]
  return { script, policyHash: variablePolicyHash(algorithm), argsOf }
}

/** Redis, for one limiter. */
class RedisBackend implements Backend {
  readonly sharing: Sharing
  readonly #options: ResolvedRedisOptions
  readonly #connection: Connection
  readonly #kind: Kind
  readonly #user: StoreUser
  readonly #leaveGroup: () => void
  readonly #deadlines: Deadlines
  /** Callers that wait for the first connection. */
  readonly #startQueue: StartQueue
  readonly #nameOf: (key: string) => string

  constructor(options: ResolvedRedisOptions, kind: Kind) {
    const { keyPrefix, name = '', deadlineMs, connectTimeoutMs, onError, onStoreChange } = options
    this.#options = options
    this.#kind = kind
    this.#connection = options.storage.acquire()
    const { heartbeats } = this.#connection.nodes
    const { group, leave } = heartbeats.join(keyPrefix, groupOf(name, kind.policyHash))
    this.#leaveGroup = leave
    this.sharing = {
      group,
      get processes() {
        return group.processes
      },
      // A process that never reached Redis counts alone.
      get parts() {
        return heartbeats.isCounted ? group.parts : 1
      },
    }
    this.#deadlines = new Deadlines(deadlineMs)
    const { maxWaitersPerKey, maxWaiters } = options
    this.#startQueue = new StartQueue(connectTimeoutMs, maxWaitersPerKey, maxWaiters)
    this.#nameOf = namer(keyPrefix, name, kind.policyHash)
    const share = (): Share => this.#share()
    this.#user = { deadlineMs, connectTimeoutMs, onError, onStoreChange, share }
    this.#connection.join(this.#user)
  }

  get outages(): number {
    return this.#connection.nodes.outages
  }

  counters(limits: readonly Limit[]): Counters {
    const { tail, paced, read } = this.#kind.argsOf(limits)
    type Decide = (
      op: ScriptArgs['op'],
      key: string,
      amount: number,
      since?: number,
    ) => Promise<Decision>
    const decide: Decide = (op, key, amount, since) =>
      this.#call(op, key, amount, tail, read, since) as Promise<Decision>
    const ops = { check: 'c', take: 't', paced } as const
    return {
      charge: (key, cost, mode, since) => decide(ops[mode], key, cost, since),
      acquire: (key, min, max, since) => decide(max, key, min, since),
      peek: (key, cost) => decide('p', key, cost),
      refund: (key, units) => this.#call('r', key, units, tail, undefined),
      block: (key, ms) => this.#call('b', key, ms, tail, undefined),
      reset: (key) => this.#call('d', key, 0, tail, undefined),
    }
  }

  /** @param since `performance.now()` when the caller came, if that was earlier */
  #call(
    op: ScriptArgs['op'],
    key: string,
    amount: number,
    tail: readonly string[],
    read: ScriptArgs['read'],
    since?: number,
  ): Promise<Decision | undefined> {
    const { clock } = this.#options
    const timed = clock === undefined ? tail : [...tail, String(Math.round(clock.now() * 1000))]
    const { script } = this.#kind
    const args = { script, name: this.#nameOf(key), op, amount, tail: timed, read }
    return this.#connection.call(args, this.#deadlines, this.#startQueue, since)
  }

  ready(): Promise<StoreStatus> {
    return this.#connection.ready()
  }

  async close(): Promise<void> {
    this.#connection.leave(this.#user)
    this.#deadlines.expireAll()
    this.#startQueue.deadlines.expireAll()
    this.#leaveGroup()
    await this.#options.storage.release()
  }

  #share(): Share {
    const { processes } = this.#options
    if (processes !== undefined) return { parts: processes, from: 'option' }
    const { isCounted } = this.#connection.nodes.heartbeats
    return { parts: this.sharing.parts, from: isCounted ? 'seen' : 'nothing' }
  }
}
