import type { Decision } from '../decision.ts'
import type { Limit } from '../limit/limit.ts'
import type { StoreStatus } from '../limiter.ts'
import { shortestOf } from '../options.ts'
import type { Backend, Counters, Sharing } from '../remote/backend.ts'
import { Deadlines } from '../remote/deadlines.ts'
import type { ResolvedRemoteOptions } from '../remote/options.ts'
import type { Share, StoreUser } from '../remote/outage.ts'
import { decisionFrom, reordered } from '../remote/store-decision.ts'
import { StartQueue } from './calls.ts'
import type { Connection } from './connection.ts'
import { groupOf, namer } from './key.ts'
import { SCRIPTS, type Script, type ScriptArgs, VARIABLE_SCRIPTS } from './script/index.ts'
import { termsOf } from './script/policy-args.ts'
import type { RedisStorage } from './shared-connection.ts'
import { variableArgs, variablePolicyHash } from './variable-args.ts'

/** Options with every default filled in. */
export interface ResolvedRedisOptions extends ResolvedRemoteOptions {
  readonly keyPrefix: string
  readonly storage: RedisStorage
}

/** How the scripts are called for one set of limits. */
interface LimitArgs {
  /** The arguments that say which limits count. */
  readonly tail: readonly string[]
  /** Which of the script's limits paces a leaky bucket. */
  readonly paced: `q${number}`
  readonly read: (numbers: readonly number[]) => Decision
}

/** The states that one kind of limiter keeps in Redis. */
interface Kind {
  readonly script: Script
  /** Part of every key: tells states apart that cannot be read by one another. */
  readonly policyHash: string
  readonly argsOf: (limits: readonly Limit[]) => LimitArgs
}

/** Counters in Redis under limits that stay the same. */
export function redisBackend(limits: readonly Limit[], options: ResolvedRedisOptions): Backend {
  const { algorithm, blockForMs } = options
  const { mark, numbers } = termsOf(limits, algorithm)
  const [first, second, third, ...further] = numbers as [string, string, string]
  const args: LimitArgs = {
    tail: [first, second, third, [blockForMs, ...further].join(' ')],
    paced: `q${shortestOf(limits) + 1}`,
    read: (reply) => decisionFrom(reply, limits),
  }
  const script = SCRIPTS[algorithm]
  return new RedisBackend(options, { script, policyHash: mark, argsOf: () => args })
}

/** Counters in Redis under limits that may change from call to call. */
export function variableRedisBackend(options: ResolvedRedisOptions): Backend {
  const { algorithm, blockForMs } = options
  const argsOf = (limits: readonly Limit[]): LimitArgs => {
    const args = variableArgs(limits, algorithm, blockForMs)
    return {
      tail: args.tail,
      paced: `q${args.indices.length}`,
      read: (reply) => decisionFrom(reordered(reply, args), limits),
    }
  }
  const policyHash = variablePolicyHash(algorithm)
  return new RedisBackend(options, { script: VARIABLE_SCRIPTS[algorithm], policyHash, argsOf })
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
