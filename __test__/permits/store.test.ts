import {
  type AsyncConcurrencyLimiter,
  ConcurrencyExceeded,
  type CreateConcurrencyOptions,
  createConcurrencyLimiter,
  type NothingStored,
  type Permit,
  type Store,
  type StoredValue,
} from 'ratethrottle'
import { describe, expect, it, onTestFinished } from 'vitest'
import { PATIENCE } from '../fixtures/patience.ts'
import { until } from '../redis/faults.ts'

/** A store in a map, with a clock that the test moves. A write is lost now and then to another. */
class MapStore implements Store<number> {
  readonly #values = new Map<string, StoredValue<number>>()
  nowMs = 1_000_000
  isAway = false
  writes = 0
  /** What a write of a record waits for. */
  beforeWrite: (key: string) => Promise<unknown> = () => new Promise(setImmediate)

  async get(key: string): Promise<StoredValue<number> | NothingStored> {
    await new Promise((resolve) => setImmediate(resolve))
    if (this.isAway) throw new Error('away')
    return { ...this.#values.get(key), nowMs: this.nowMs } as StoredValue<number>
  }

  async compareAndSet(key: string, value: Uint8Array, version: number | undefined) {
    await this.beforeWrite(key)
    if (this.isAway) throw new Error('away')
    if (this.#values.get(key)?.version !== version) return false
    this.#values.set(key, { value, version: ++this.writes })
    return true
  }

  /** Puts bytes that are none of this package. */
  spoil(): void {
    for (const [key] of this.#values)
      this.#values.set(key, { value: new Uint8Array(9), version: ++this.writes })
  }
}

const PATIENT = { deadlineMs: 30_000, processes: 1 }

function open(store: Store, options: CreateConcurrencyOptions): AsyncConcurrencyLimiter {
  const limiter = createConcurrencyLimiter({ storage: store, ...PATIENT, ...options })
  onTestFinished(() => limiter.close())
  return limiter
}

async function admitted(asked: readonly Promise<Permit>[]): Promise<Permit[]> {
  const settled = await Promise.allSettled(asked)
  return settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
}

describe('permits in a store', () => {
  it.each([{ perKey: 7 }, { total: 7 }, { perKey: 7, total: 9 }, { perKey: 9, total: 7 }])(
    'are exactly as many as %j lets, of 200 callers in two limiters that race',
    async (limits) => {
      const store = new MapStore()
      const limiters = [open(store, limits), open(store, limits)] as const
      const asked = Array.from({ length: 200 }, (_, i) =>
        (limiters[i % 2] ?? limiters[0]).acquire('k'),
      )
      const permits = await admitted(asked)
      expect(permits).toHaveLength(7)
      expect(await limiters[0].held('k')).toBe(7)
      for (const permit of permits) permit.release()
      await until(async () => (await limiters[1].held('k')) === 0, PATIENCE, 'the release')
      expect(await admitted([1, 2, 3].map(() => limiters[0].acquire('other')))).toHaveLength(3)
    },
  )

  it('leave nothing of a key where all keys together have too many', async () => {
    const limiter = open(new MapStore(), { perKey: 2, total: 1 })
    await limiter.acquire('a')
    await expect(limiter.acquire('b')).rejects.toMatchObject({ reason: 'total' })
    expect(await limiter.held('b')).toBe(0)
  })

  it('are given to those who wait', async () => {
    const limiter = open(new MapStore(), { perKey: 1, total: 1, queue: 3 })
    const order: number[] = []
    const first = await limiter.acquire('k')
    const waits = [1, 2, 3].map(async (number) => {
      const permit = await limiter.acquire('k')
      order.push(number)
      permit.release()
    })
    first.release()
    await Promise.all(waits)
    expect(order).toEqual([1, 2, 3])
  })

  it('end with their lease by the clock of the store, and are lost when that is noticed', async () => {
    const store = new MapStore()
    const limiter = open(store, { perKey: 1, leaseMs: 500 })
    const other = open(store, { perKey: 1, leaseMs: 60_000 })
    const permit = await limiter.acquire('k')
    store.nowMs += 501
    const next = await other.acquire('k')
    await until(() => permit.isLost, PATIENCE, 'the loss')
    permit.release()
    expect(await other.held('k')).toBe(1)
    expect(next.isLost).toBe(false)
  })

  it('are not taken again by a renewal that was under way when they were given back', async () => {
    const store = new MapStore()
    const [limiter, other] = [1, 2].map(() =>
      open(store, { perKey: 1, total: 1, name: 'renewed', leaseMs: 500 }),
    )
    const permit = await limiter?.acquire('k')
    // The renewal has the record of the key, and not yet that of all keys.
    let goOn = (): void => {}
    const held = new Promise<void>((resolve) => {
      goOn = resolve
    })
    let isHeld = false
    store.beforeWrite = async (key) => {
      if (isHeld || key.includes('all-permits')) return
      isHeld = true
      await held
    }
    await until(() => isHeld)
    const { writes } = store
    permit?.release()
    await until(() => store.writes > writes)
    goOn()
    await until(async () => (await limiter?.held('k')) === 0)
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect((await other?.acquire('other'))?.isLost).toBe(false)
  })

  it('are decided by onError while the store is away or has foreign bytes', async () => {
    const store = new MapStore()
    const [local, closed] = [
      open(store, { perKey: 2 }),
      open(store, { perKey: 2, onError: 'closed' }),
    ]
    await local.acquire('k')
    store.spoil()
    expect((await local.acquire('k')).isLost).toBe(false)
    await expect(local.acquire('k')).rejects.toBeInstanceOf(ConcurrencyExceeded)
    await expect(closed.acquire('k')).rejects.toMatchObject({ reason: 'store' })
    store.isAway = true
    await expect(local.acquire('k')).rejects.toMatchObject({ reason: 'perKey' })
  })

  it('are at most 10,000: a record is read and written as a whole', () => {
    const make = (): unknown => createConcurrencyLimiter({ storage: new MapStore(), total: 10_001 })
    expect(make).toThrow('total must be an integer from 1 to 10000, got 10001')
  })
})

it('who waits, or comes to wait, is refused while the store is away and none may be admitted', async () => {
  const store = new MapStore()
  const limiter = open(store, { perKey: 1, queue: 5, onError: 'closed' })
  const held = await limiter.acquire('k')
  const waits = [limiter.acquire('k'), limiter.acquire('k')]
  await until(() => limiter.stats().waiting === 2, PATIENCE, 'the wait')
  store.isAway = true
  const all = await Promise.allSettled([...waits, limiter.acquire('other')])
  const isRefused = { status: 'rejected', reason: { reason: 'store' } }
  expect(all).toMatchObject([isRefused, isRefused, isRefused])
  expect(limiter.stats()).toMatchObject({ waiting: 0, refused: 3, timedOut: 0 })
  held.release()
})
