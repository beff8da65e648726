import type { StoreStatus } from '../../limiter.ts'
import { readPermits } from '../../permits/options.ts'
import type { ConcurrencyLimits } from '../../permits/types.ts'
import { text } from '../../validate.ts'
import type { Sharing } from '../backend.ts'
import { Guard } from '../guard.ts'
import { shareStore } from '../shared-store.ts'
import { recordNamer, type Store } from '../store.ts'
import { StoredRecords } from '../stored-records.ts'
import { byKey, inBatches, type Lease, type LeaseAnswer, type PermitBackend } from './backend.ts'
import { type RemotePermitsOptions, type ResolvedPermits, resolvePermits } from './options.ts'
import { LeaseRecord } from './record.ts'
import { RemoteConcurrency } from './remote-concurrency.ts'

/** A record lists its permits, and is read and written as a whole: it must not become large. */
const MAX_PERMITS = 10_000
const NEVER: number = Number.POSITIVE_INFINITY

/** What the store of permits is made from. */
interface Parts {
  readonly store: Store
  readonly keyPrefix: string
  readonly limits: ConcurrencyLimits
  readonly options: ResolvedPermits
}

/**
 * Permits in a store that can compare and set: a record of leases for each key, and one for all keys together.
 *
 * A permit is taken from the record of its key, and then from that of all keys. If that has none left, or the process
 * is killed between the two, the first is given back, or ends with its lease: never are more held than the limits say.
 */
class StoredPermits implements PermitBackend {
  readonly tier = 'store'
  readonly isOrdered = true
  readonly sharing: Sharing
  readonly #options: ResolvedPermits
  readonly #limits: ConcurrencyLimits
  readonly #nameOf: (key: string) => string
  readonly #all: string
  readonly #shared: ReturnType<typeof shareStore>
  readonly #guard: Guard
  readonly #records: StoredRecords

  constructor({ store, keyPrefix, limits, options }: Parts) {
    const name = options.name ?? ''
    this.#options = options
    this.#limits = limits
    this.#nameOf = recordNamer(keyPrefix, name, 'permits')
    this.#all = recordNamer(keyPrefix, name, 'all-permits')('')
    this.#shared = shareStore(store, (probe) => recordNamer(keyPrefix, probe, 'permits')(''))
    // A store counts no processes: option `processes` says how many there are.
    this.sharing = { group: this, processes: 0, parts: 1 }
    this.#guard = new Guard(this.#shared.value, options)
    const { maxWaiters, deadlineMs } = options
    const room = { maxWaiters, maxWaitersPerKey: maxWaiters, deadlineMs }
    this.#records = new StoredRecords({ store, guard: this.#guard, options: room })
  }

  get status(): StoreStatus {
    return this.#guard.status
  }

  async acquire(lease: Lease): Promise<LeaseAnswer> {
    const { perKey = NEVER, total = NEVER } = this.#limits
    // Both have to be there within the deadline.
    const since = this.status.available ? performance.now() : undefined
    const name = this.#nameOf(lease.key)
    if (!(await this.#take(name, lease, perKey, since))) return 'perKey'
    if (total === NEVER || (await this.#take(this.#all, lease, total, since))) return 'held'
    // If this fails the lease ends by itself.
    await this.#remove(name, [lease]).catch(() => {})
    return 'total'
  }

  async release(leases: readonly Lease[]): Promise<void> {
    const keys = [...byKey(leases)].map(([key, ofKey]) => this.#remove(this.#nameOf(key), ofKey))
    const hasTotal = this.#limits.total !== undefined && leases.length > 0
    await Promise.all(hasTotal ? [...keys, this.#remove(this.#all, leases)] : keys)
  }

  async renew(leases: readonly Lease[]): Promise<readonly boolean[]> {
    const { perKey = NEVER, total = NEVER } = this.#limits
    const held = new Set<Lease>()
    const renewed = [...byKey(leases)].map(async ([key, ofKey]) => {
      for (const lease of await this.#renewIn(this.#nameOf(key), ofKey, perKey)) held.add(lease)
    })
    await Promise.all(renewed)
    if (total === NEVER) return leases.map((lease) => held.has(lease))
    const inAll = new Set(await this.#renewIn(this.#all, [...held], total))
    return leases.map((lease) => inAll.has(lease))
  }

  batches<One extends Lease>(leases: readonly One[]): readonly (readonly One[])[] {
    return inBatches(leases)
  }

  held(key: string): Promise<number> {
    return this.#records.call(this.#nameOf(key), (record) => new LeaseRecord(record).size)
  }

  ready(): Promise<StoreStatus> {
    return this.#guard.ready()
  }

  async close(): Promise<void> {
    this.#guard.close()
    await this.#shared.release()
  }

  #take(name: string, { id }: Lease, most: number, since?: number): Promise<boolean> {
    return this.#records.call(
      name,
      (record) => {
        const leases = new LeaseRecord(record)
        const isTaken = leases.take(id, most, this.#options.leaseMs)
        if (isTaken) leases.save()
        return isTaken
      },
      since,
    )
  }

  #renewIn(name: string, leases: readonly Lease[], most: number): Promise<readonly Lease[]> {
    return this.#records.call(name, (record) => {
      const known = new LeaseRecord(record)
      // One that was given back since it was renewed in the other record would be taken again.
      const held = leases.filter(
        ({ id, isReleased }) => isReleased !== true && known.take(id, most, this.#options.leaseMs),
      )
      known.save()
      return held
    })
  }

  #remove(name: string, leases: readonly Lease[]): Promise<void> {
    return this.#records.call(name, (record) => {
      const known = new LeaseRecord(record)
      for (const { id } of leases) known.remove(id)
      if (record.value !== undefined) known.save()
    })
  }
}

/**
 * Opens permits in a store.
 *
 * @throws TypeError or RangeError that names the option, its value and what is accepted
 */
export function openStorePermits(
  limits: ConcurrencyLimits,
  store: Store,
  { keyPrefix, ...rest }: RemotePermitsOptions,
): RemoteConcurrency {
  const options = resolvePermits(rest)
  const prefix = text(keyPrefix ?? 'ratethrottle:', 'keyPrefix', 0, 256)
  for (const name of ['perKey', 'total'] as const) {
    if (limits[name] !== undefined) readPermits(limits[name], name, MAX_PERMITS)
  }
  const parts = { store, keyPrefix: prefix, limits, options }
  return new RemoteConcurrency(limits, options, new StoredPermits(parts))
}
