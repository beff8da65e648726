import type { StoreStatus } from '../limiter.ts'
import type { ConcurrencyLimits } from '../permits/types.ts'
import type { Sharing } from '../remote/backend.ts'
import { Deadlines } from '../remote/deadlines.ts'
import {
  byKey,
  inBatches,
  type Lease,
  type LeaseAnswer,
  type PermitBackend,
} from '../remote/permits/backend.ts'
import { type RemotePermitsOptions, resolvePermits } from '../remote/permits/options.ts'
import { RemoteConcurrency } from '../remote/permits/remote-concurrency.ts'
import type { RedisUser } from './calls.ts'
import { type Connection, type RedisStorage, storageOf } from './connection.ts'
import { groupOf, permitNamer, readKeyPrefix } from './key.ts'
import type { Reply, ScriptArgs } from './script/index.ts'
import { PERMITS_SCRIPT } from './script/permits.ts'

/** Renewals are not waited for by callers. They have this long, and no longer than this part of a lease. */
const [RENEW_MS, RENEW_PART] = [1_000, 1 / 4]

/** What the Redis of permits is made from. */
interface Parts {
  readonly storage: RedisStorage
  readonly keyPrefix: string
  readonly limits: ConcurrencyLimits
  readonly options: ReturnType<typeof resolvePermits>
}

/** Permits in Redis: a sorted set of leases for each key, and one for all keys together. */
class RedisPermits implements PermitBackend {
  readonly tier = 'redis'
  readonly isOrdered = true
  readonly sharing: Sharing
  readonly #parts: Parts
  readonly #names: ReturnType<typeof permitNamer>
  readonly #connection: Connection
  readonly #leaveGroup: () => void
  readonly #user: RedisUser
  /** For calls that no caller waits for. */
  readonly #renewer: RedisUser

  constructor(parts: Parts) {
    const { storage, keyPrefix, limits, options } = parts
    const { name = '', processes, deadlineMs, connectTimeoutMs, leaseMs } = options
    this.#parts = parts
    this.#names = permitNamer(keyPrefix, name, limits.total !== undefined)
    this.#connection = storage.acquire()
    const { heartbeats } = this.#connection.nodes
    const { group, leave } = heartbeats.join(keyPrefix, groupOf(name, 'permits'))
    this.sharing = group
    this.#leaveGroup = leave
    this.#user = {
      ...options,
      maxWaitersPerKey: options.maxWaiters,
      deadlines: new Deadlines(deadlineMs),
      startDeadlines: new Deadlines(connectTimeoutMs),
      waiting: 0,
      share: () => (processes === undefined ? group.share : { parts: processes, from: 'option' }),
    }
    const renewMs = Math.max(deadlineMs, Math.min(RENEW_MS, leaseMs * RENEW_PART))
    this.#renewer = { ...this.#user, deadlines: new Deadlines(renewMs) }
    this.#connection.join(this.#user)
  }

  get status(): StoreStatus {
    return this.#connection.nodes.status
  }

  acquire(lease: Lease): Promise<LeaseAnswer> {
    return this.#connection.call(this.#argsOf('c', [lease], readAnswer), this.#user)
  }

  release(leases: readonly Lease[]): Promise<unknown> {
    if (leases.length === 0) return Promise.resolve()
    return this.#connection.call(this.#argsOf('r', leases, readNothing), this.#renewer)
  }

  renew(leases: readonly Lease[]): Promise<readonly boolean[]> {
    const read = (reply: Reply): readonly boolean[] => {
      const numbers = numbersOf(reply, 1 + leases.length)
      return leases.map((_, i) => numbers[1 + i] === 1)
    }
    return this.#connection.call(this.#argsOf('b', leases, read), this.#renewer)
  }

  /** In a cluster each key has a slot of its own, unless there is a limit for all keys together. */
  batches<One extends Lease>(leases: readonly One[]): readonly (readonly One[])[] {
    if (this.#names.all !== undefined || !this.#connection.isCluster) return inBatches(leases)
    return [...byKey(leases).values()].flatMap(inBatches)
  }

  held(key: string): Promise<number> {
    const read = (reply: Reply): number => numbersOf(reply, 3)[2] ?? 0
    // With a lease, though none is asked about: a probe of the server takes one with what failed last.
    return this.#connection.call(this.#argsOf('p', [{ key, id: '' }], read), this.#user)
  }

  ready(): Promise<StoreStatus> {
    return this.#connection.ready()
  }

  async close(): Promise<void> {
    for (const user of [this.#user, this.#renewer]) this.#connection.leave(user)
    this.#leaveGroup()
    await this.#parts.storage.release()
  }

  #argsOf<Answer>(
    op: 'c' | 'b' | 'r' | 'p',
    leases: readonly Lease[],
    read: (reply: Reply) => Answer,
  ): ScriptArgs<Answer> {
    const { limits, options } = this.#parts
    const { perKey = 0, total = 0 } = limits
    const places = new Map<string, number>()
    const members = leases.flatMap(({ key, id }) => [`${this.#placeOf(key, places)}`, id])
    const { all } = this.#names
    const [name = '', ...also] = all === undefined ? [...places.keys()] : [...places.keys(), all]
    return {
      script: PERMITS_SCRIPT,
      name,
      also,
      op,
      amount: 1,
      tail: [`${perKey}`, `${total}`, `${options.leaseMs}`, ...members],
      read,
    }
  }

  /** Which of the script's sets belongs to the key, from 1 on. */
  #placeOf(key: string, places: Map<string, number>): number {
    const name = this.#names.of(key)
    const known = places.get(name) ?? places.size + 1
    places.set(name, known)
    return known
  }
}

function readAnswer(reply: Reply): LeaseAnswer {
  const [held, limit] = numbersOf(reply, 3)
  if (held === 1) return 'held'
  return limit === 1 ? 'total' : 'perKey'
}

function readNothing(): void {}

/** @throws RangeError for a reply that the script does not give */
function numbersOf(reply: Reply, count: number): readonly number[] {
  if (typeof reply === 'number' || reply.length < count) throw new RangeError('not a reply')
  return reply
}

/**
 * Opens permits in Redis.
 *
 * @param storage a URL, a client of ioredis or a `RedisStorage`
 * @throws TypeError or RangeError that names the option; Error with code MISSING_IOREDIS
 */
export function openRedisPermits(
  limits: ConcurrencyLimits,
  storage: unknown,
  { keyPrefix, ...rest }: RemotePermitsOptions,
): RemoteConcurrency {
  const options = resolvePermits(rest)
  const prefix = readKeyPrefix(keyPrefix)
  const parts = { storage: storageOf(storage), keyPrefix: prefix, limits, options }
  return new RemoteConcurrency(limits, options, new RedisPermits(parts))
}
