import type { StoreStatus } from '../../limiter.ts'
import type { Sharing } from '../backend.ts'

/** A permit, as a store knows it: it counts for its key until its lease ends, unless it is renewed. */
export interface Lease {
  readonly key: string
  /** No other permit has it: neither of this process nor of another. */
  readonly id: string
  /** Whether its holder has given it back meanwhile. */
  readonly isReleased?: boolean
}

/** Whether there is a permit, and if not, which limit is against it. */
export type LeaseAnswer = 'held' | 'perKey' | 'total'

/**
 * The permits of one limiter in a store behind a network. Keys and numbers have been checked.
 *
 * Each call settles within its deadline, and rejects with a `StoreFailure` that says why. The store's clock decides when
 * a lease ends. Each process that asks drops the leases that have ended: those of a killed process are gone after their time.
 */
export interface PermitBackend {
  readonly sharing: Sharing
  /** Whether the store decides, as far as this process knows. */
  readonly status: StoreStatus
  readonly tier: 'redis' | 'store'
  /** Whether what is asked first is done first: then a caller can be asked for while a release is under way. */
  readonly isOrdered: boolean
  /** Takes a lease, of the key and in total, or neither. One whose answer was lost may have been taken. */
  acquire(lease: Lease): Promise<LeaseAnswer>
  /** Gives leases back. One that the store does not know is no mistake. */
  release(leases: readonly Lease[]): Promise<unknown>
  /**
   * Prolongs leases. One that has ended, or that the store does not know, is taken again if there is room.
   *
   * @returns whether each is held now
   */
  renew(leases: readonly Lease[]): Promise<readonly boolean[]>
  /** Leases that go into one call of {@link renew} or {@link release}: each call takes little of the store's time. */
  batches<One extends Lease>(leases: readonly One[]): readonly (readonly One[])[]
  /** How many permits the key holds, in all processes. */
  held(key: string): Promise<number>
  /** Waits for the first connection, and says whether the store decides. Never rejects. */
  ready(): Promise<StoreStatus>
  close(): Promise<void>
}

/** Leases that are renewed or given back in one call, at most. */
export const MAX_BATCH = 64

/** Lists of at most {@link MAX_BATCH}. */
export function inBatches<One>(all: readonly One[]): readonly (readonly One[])[] {
  const count = Math.ceil(all.length / MAX_BATCH)
  return Array.from({ length: count }, (_, i) => all.slice(i * MAX_BATCH, (i + 1) * MAX_BATCH))
}

/** The leases of each key. */
export function byKey<One extends Lease>(
  leases: readonly One[],
): ReadonlyMap<string, readonly One[]> {
  const found = new Map<string, One[]>()
  for (const lease of leases) {
    const known = found.get(lease.key)
    if (known === undefined) found.set(lease.key, [lease])
    else known.push(lease)
  }
  return found
}
