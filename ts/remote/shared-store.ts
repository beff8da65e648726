import type { GuardedStore } from './guard.ts'
import { type Shared, SharedValues } from './local-counters.ts'
import type { Store } from './store.ts'

const PROBE_NAME = 'ratethrottle-probe'
const PROBE_TTL_MS = 1_000

/** A store that limiters of this process use. */
class SharedStore implements GuardedStore {
  readonly name: string

  /** @param probe the name of a record that no limiter has, with the prefix of the store's first limiter */
  constructor(
    private readonly store: Store,
    private readonly probe: string,
  ) {
    this.name = store.name ?? 'The store'
  }

  /** Reads and writes, as a decision does. */
  async ping(): Promise<void> {
    const { version } = { version: undefined, ...(await this.store.get(this.probe)) }
    await this.store.compareAndSet(this.probe, new Uint8Array(1), version, PROBE_TTL_MS)
  }

  /** Never rejects: adapters do not wait for it, and nothing is left to be done about it. */
  close(): Promise<unknown> {
    return Promise.resolve()
      .then(() => this.store.close?.())
      .catch(() => {})
  }
}

const stores = new SharedValues<SharedStore>()

/**
 * The store, for one more limiter.
 *
 * @param nameOf names a record that no limiter has, with the prefix of the store's first limiter
 */
export function shareStore(
  store: Store,
  nameOf: (name: string) => string,
): Shared<GuardedStore & { close(): Promise<unknown> }> {
  return stores.acquire(store, '', () => new SharedStore(store, nameOf(PROBE_NAME)))
}
