import { readLimits } from '../../limit/parse.ts'
import type { Limiter } from '../../limiter.ts'
import { isLimiter, isRedisStorage } from '../../storage-url.ts'
import * as validate from '../../validate.ts'

/** A process that holds a claim and dies keeps the others out for this long. Claims are renewed every second. */
export const LEASE_MS = 3_000
const LEASE = '1/3 seconds'
const DEADLINE_MS = 1_000
/** Five keys for each of 100 rules, with room. */
const CAPACITY = 2_000

/** What processes agree by: keys that one of them takes, or keeps for a time. */
export interface Claims {
  /** Whether no other process is asked. */
  readonly isAlone: boolean
  /** Takes a key for {@link LEASE_MS}. Of several that try, one has it. */
  take(key: string): Promise<boolean>
  /** Keeps a key for this long from now on, as well as it can be. */
  keep(key: string, ms: number): Promise<void>
  isKept(key: string): Promise<boolean>
  release(key: string): Promise<void>
  close(): void
}

/** Of one process alone. */
export class OwnClaims implements Claims {
  readonly isAlone = true
  readonly #until = new Map<string, number>()
  readonly #now: () => number

  constructor(now: () => number) {
    this.#now = now
  }

  async take(key: string): Promise<boolean> {
    if (this.isOn(key)) return false
    this.#until.set(key, this.#now() + LEASE_MS)
    return true
  }

  async keep(key: string, ms: number): Promise<void> {
    this.#until.set(key, this.#now() + ms)
  }

  async isKept(key: string): Promise<boolean> {
    return this.isOn(key)
  }

  async release(key: string): Promise<void> {
    this.#until.delete(key)
  }

  close(): void {}

  isOn(key: string): boolean {
    return (this.#until.get(key) ?? Number.NEGATIVE_INFINITY) > this.#now()
  }
}

/**
 * Of all processes with one storage, by a limiter of ours: a call that is admitted is a claim, and a block keeps a key.
 * While the storage does not answer each process goes by what it knows itself: two notifications are better than none.
 */
export class SharedClaims implements Claims {
  readonly isAlone = false
  readonly #limiter: Limiter
  readonly #own: OwnClaims

  constructor(limiter: Limiter, now: () => number) {
    this.#limiter = limiter
    this.#own = new OwnClaims(now)
  }

  async take(key: string): Promise<boolean> {
    if (!(await this.#isThere())) return this.#own.take(key)
    return (await this.#limiter.take(key)).allowed
  }

  async keep(key: string, ms: number): Promise<void> {
    await this.#own.keep(key, ms)
    if (ms >= 1) await this.#tell(async () => this.#limiter.block(key, Math.ceil(ms)))
  }

  async isKept(key: string): Promise<boolean> {
    if (!(await this.#isThere())) return this.#own.isKept(key)
    return !(await this.#limiter.peek(key)).allowed
  }

  async release(key: string): Promise<void> {
    await this.#own.release(key)
    await this.#tell(async () => this.#limiter.reset(key))
  }

  close(): void {
    void this.#tell(async () => this.#limiter.close())
  }

  async #isThere(): Promise<boolean> {
    return (await this.#limiter.ready?.())?.available ?? true
  }

  /** What the storage does not learn ends by itself there. */
  async #tell(call: () => Promise<void>): Promise<void> {
    try {
      await call()
    } catch {
      // The limiter warns about its storage.
    }
  }
}

/** Checks option `storage`. */
export function readStorage(value: unknown, name: string): unknown {
  if (value === undefined) return undefined
  const isRedis = isRedisStorage(value, name)
  const isAlone = typeof value === 'string' && /^memory:/i.test(value)
  if (!isLimiter(value) && (isRedis || !isAlone)) return value
  const accepted = 'a storage that processes share, such as "shared:api" or a URL of Redis'
  throw validate.invalid(RangeError, 'INVALID_OPTION', name, accepted, isAlone ? 'memory:' : value)
}

/**
 * Opens the limiter that processes agree by. Loaded on demand: who has no storage loads nothing for it.
 *
 * @throws as `createLimiter` does with such a storage
 */
export function openClaims(
  { storage, keyPrefix, name }: { storage: unknown; keyPrefix: string | undefined; name: string },
  now: () => number,
): Claims {
  const { createForAdapter } = require('../../create.js') as typeof import('../../create.ts')
  const limiter = createForAdapter(readLimits(LEASE), {
    storage,
    name: `alerts ${name}`,
    identity: 'alerts',
    capacity: CAPACITY,
    // No request waits for these calls. A failed call is a denial: it is tried again a second later, by when the failure is known.
    forRedis: { onError: 'closed', localDenials: false, deadlineMs: DEADLINE_MS, keyPrefix },
  })
  return new SharedClaims(limiter, now)
}
