import { hashText } from '../key-hash.ts'
import type { CheckedLimits, Limit, LimitInput } from '../limit/limit.ts'
import { readLimits } from '../limit/parse.ts'
import type { AsyncLimiter, StoreStatus } from '../limiter.ts'
import { text } from '../validate.ts'
import type { Backend, Counters, Sharing } from './backend.ts'
import { Guard } from './guard.ts'
import { type Shared, SharedValues } from './local-counters.ts'
import { type RemoteOptions, type ResolvedRemoteOptions, resolveRemoteOptions } from './options.ts'
import { countableLimits, RemoteLimiter, type RemoteLimiterStats } from './remote-limiter.ts'
import { shareStore } from './shared-store.ts'
import { openSteps, StoredCounters } from './stored-counters.ts'

/** What stands under a key of a {@link Store}. */
export interface StoredValue<Version> {
  /** Exactly the bytes that were written. */
  readonly value: Uint8Array
  /** Another one after each write: a counter, a hash, a token. */
  readonly version: Version
  /** The store's own time, in milliseconds since 1970, if it comes in the same round trip. */
  readonly nowMs?: number | undefined
}

/** Nothing stands under the key, and this is the store's own time. Without one, `get` answers undefined. */
export interface NothingStored {
  readonly value?: undefined
  readonly nowMs: number
}

/**
 * A store of yours: anything that can compare and set. All algorithms, several limits and costs are exact on it.
 *
 * ```ts
 * const limiter = createLimiter({ limits: '100/minute', storage: store })
 * ```
 *
 * Each key holds one small value: at most 200 bytes for up to sixteen limits, and with `sliding-log` 8 bytes more
 * for each unit in the window. A decision is one `get`, and one `compareAndSet` if it changes anything: a denial
 * does not. Calls of one process for one key share them. When another process was faster, all is done again.
 *
 * Time: a store that tells its own time (`nowMs`, in every answer) gives all processes one clock. Otherwise each
 * process uses its wall clock, and the clock that is ahead decides. A host that is S seconds behind never admits
 * more than it should; what it denies may be denied up to S seconds longer. Time never steps back for a key.
 *
 * A call that rejects, or takes longer than `deadlineMs`, is a failure of the store: the option `onError` decides.
 * So reject when it is not known whether the value was written, and do not repeat a write that was cut off.
 *
 * Keys are printable ASCII without spaces, at most 250 characters.
 */
export interface Store<Version = unknown> {
  /** The value under `key`. Must see every write that has succeeded: no replica that may lag behind. */
  get(key: string): Promise<StoredValue<Version> | NothingStored | undefined>
  /**
   * Writes `value` only if `version` is still the current one; if `version` is undefined, only if there is nothing.
   *
   * @param ttlMs from then on the value means nothing: the store may let it expire, but not before
   * @returns false when another writer was faster
   */
  compareAndSet(
    key: string,
    value: Uint8Array,
    version: Version | undefined,
    ttlMs: number,
  ): Promise<boolean>
  /** Called when the last limiter that uses the store is closed. Leave it out if others use it too. */
  close?(): Promise<void>
  /** The store's name in warnings, such as `'Memcached'`. */
  readonly name?: string | undefined
}

/** Longest start of a key that is kept as it is: with the rest, no key is longer than 250 characters. */
const MAX_HEAD_LENGTH = 180
const PLAIN = /^[!-~]*$/

/**
 * Names the record of a key: `<prefix><name>:<mark>:<hash of the key>`. A prefix and name that a store may not
 * accept, such as one with a space, are replaced by their hash.
 *
 * @param mark tells records apart that different limits or algorithms wrote
 */
export function recordNamer(prefix: string, name: string, mark: string): (key: string) => string {
  const given = `${prefix}${name}`
  const isPlain = given.length <= MAX_HEAD_LENGTH && PLAIN.test(given)
  const head = isPlain ? given : `ratethrottle:${hashText(given)}`
  return (key) => `${head}:${mark}:${hashText(key)}`
}

/** Options of a limiter in a {@link Store}. */
export interface StoreOptions extends RemoteOptions {
  /** Begins the name of every key in the store: at most 256 characters. Default: `'ratethrottle:'`. */
  readonly keyPrefix?: string | undefined
}

/**
 * Limits how often a key may do something, for all processes that share a {@link Store}: what `createLimiter` makes
 * for a `storage` that is one. Limiters with the same store, `keyPrefix`, `name`, limits and algorithm share their
 * counters. What happens while the store does not answer: see {@link RemoteLimiter}.
 */
export class StoreLimiter<const L extends LimitInput = LimitInput>
  extends RemoteLimiter
  implements AsyncLimiter<RemoteLimiterStats>
{
  readonly #storage: Store

  /** @throws TypeError or RangeError naming the argument and what is accepted */
  constructor(limits: CheckedLimits<L>, store: Store, options: StoreOptions = {}) {
    const parsed = readLimits(limits)
    const resolved = resolveRemoteOptions(options, ['keyPrefix'])
    const given = Object.hasOwn(options, 'keyPrefix') ? options.keyPrefix : undefined
    const keyPrefix = text(given ?? 'ratethrottle:', 'keyPrefix', 0, 256)
    const counted = countableLimits(parsed, resolved)
    super(counted, resolved, new StoreBackend(store, counted, resolved, keyPrefix))
    this.#storage = store
  }

  /** The store, as option `storage` of other limiters takes it. Not printed with the limiter: it may hold a password. */
  get storage(): Store {
    return this.#storage
  }
}

/** What limiters with the same counters have in common, by the name of a record. */
const groups = new SharedValues<{ close(): void }>()

/** A {@link Store}, for one limiter. */
class StoreBackend implements Backend {
  readonly sharing: Sharing
  readonly #shared: ReturnType<typeof shareStore>
  readonly #group: Shared<object>
  readonly #guard: Guard
  readonly #counters: Counters

  constructor(
    store: Store,
    limits: readonly Limit[],
    options: ResolvedRemoteOptions,
    keyPrefix: string,
  ) {
    const native = openSteps(limits, options)
    const nameOf = recordNamer(keyPrefix, options.name ?? '', native.mark)
    this.#shared = shareStore(store, (name) => recordNamer(keyPrefix, name, native.mark)(''))
    this.#group = groups.acquire(store, nameOf(''), () => ({ close() {} }))
    // A store counts no processes: option `processes` says how many there are.
    this.sharing = { group: this.#group.value, processes: 0, parts: 1 }
    const guard = new Guard(this.#shared.value, options)
    this.#guard = guard
    this.#counters = new StoredCounters(limits, options, { store, native, nameOf, guard })
  }

  get outages(): number {
    return this.#guard.outages
  }

  get status(): StoreStatus {
    return this.#guard.status
  }

  counters(): Counters {
    return this.#counters
  }

  ready(): Promise<StoreStatus> {
    return this.#guard.ready()
  }

  async close(): Promise<void> {
    this.#guard.close()
    this.#group.release()
    await this.#shared.release()
  }
}
