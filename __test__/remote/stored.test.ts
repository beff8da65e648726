import { createServer } from 'node:http'
import { createLimiter, RateLimiter, type Store, type StoredValue } from 'ratethrottle'
import { rateThrottle } from 'ratethrottle/http'
import { afterEach, describe, expect, it, onTestFinished } from 'vitest'
import { listen } from '../http/serve.ts'

/** A store in memory, with a fault that the test sets. */
class MapStore implements Store<number> {
  readonly name = 'the map'
  readonly values = new Map<string, StoredValue<number>>()
  gets = 0
  sets = 0
  lost = 0
  closed = 0
  /** What a `get` does in place of an answer. */
  fault: (() => Promise<never> | unknown) | undefined
  /** Whether another writer is always faster. */
  isContended = false
  #version = 0

  async get(key: string): Promise<StoredValue<number> | undefined> {
    this.gets++
    if (this.fault !== undefined) return (await this.fault()) as StoredValue<number>
    await new Promise((resolve) => setImmediate(resolve))
    return this.values.get(key)
  }

  async compareAndSet(
    key: string,
    value: Uint8Array,
    version: number | undefined,
    ttlMs: number,
  ): Promise<boolean> {
    this.sets++
    expect(Number.isSafeInteger(ttlMs) && ttlMs > 0).toBe(true)
    await new Promise((resolve) => setImmediate(resolve))
    if (this.isContended || this.values.get(key)?.version !== version) {
      this.lost++
      return false
    }
    this.values.set(key, { value: Uint8Array.from(value), version: ++this.#version })
    return true
  }

  async close(): Promise<void> {
    this.closed++
  }

  /** The records of keys, without what probes have left. */
  get records(): (readonly [string, StoredValue<number>])[] {
    return [...this.values].filter(([key]) => !key.includes('ratethrottle-probe'))
  }
}

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const limiter of open.splice(0)) await limiter.close()
})

type Options = Omit<Parameters<typeof createLimiter>[0], 'limits' | 'storage'>

function limiterIn(store: Store, limits = '5/minute', options: Options = {}) {
  const limiter = createLimiter({ limits, storage: store, ...options } as {
    limits: string
    storage: Store
  })
  open.push(limiter)
  return limiter
}

/** Warnings of ours while `act` runs. */
async function warningsDuring(act: () => Promise<unknown>): Promise<string[]> {
  const codes: string[] = []
  const hear = (warning: Error & { code?: string }): unknown => codes.push(warning.code ?? '')
  process.on('warning', hear)
  await act()
  await new Promise((resolve) => setTimeout(resolve, 10))
  process.off('warning', hear)
  return codes
}

describe('round trips', () => {
  it('calls for one key at once share one get and one compareAndSet', async () => {
    const store = new MapStore()
    const limiter = limiterIn(store)
    await limiter.ready()
    const [gets, sets] = [store.gets, store.sets]
    const all = await Promise.all(Array.from({ length: 40 }, () => limiter.check('k', 1)))
    expect(all.filter(({ allowed }) => allowed)).toHaveLength(5)
    expect(store.gets - gets).toBeLessThanOrEqual(2)
    expect(store.sets - sets).toBe(1)
  })

  it('a denial, a peek and a refund without a charge write nothing', async () => {
    const store = new MapStore()
    const limiter = limiterIn(store, '1/minute', { localDenials: false })
    await limiter.check('k')
    const { sets } = store
    await limiter.check('k')
    await limiter.peek('k')
    await limiter.refund('other')
    await limiter.reset('other')
    expect(store.sets).toBe(sets)
  })

  it('a denied key is denied without the store, for as long as localDenials says', async () => {
    const store = new MapStore()
    const limiter = limiterIn(store, '1/minute')
    await limiter.check('k')
    await limiter.check('k')
    const { gets } = store
    const { allowed, retryAfterMs } = await limiter.check('k')
    expect([allowed, retryAfterMs > 50_000, store.gets]).toEqual([false, true, gets])
    expect(limiter.stats()).toMatchObject({ deniedLocally: 1 })
  })

  it('with a lease most calls need no round trip', async () => {
    const store = new MapStore()
    const limiter = limiterIn(store, '100/hour', { lease: { size: 10 } })
    await limiter.ready()
    const { gets } = store
    let admitted = 0
    for (let call = 0; call < 150; call++) if ((await limiter.check('k')).allowed) admitted++
    expect(admitted).toBe(100)
    expect(store.gets - gets).toBeLessThan(30)
  })
})

describe('wait', () => {
  it('with leaky-bucket work leaves evenly paced, for all limiters together', async () => {
    const store = new MapStore()
    const options = { algorithm: 'leaky-bucket', localDenials: false } as const
    const limiters = [
      limiterIn(store, '10/second', options),
      limiterIn(store, '10/second', options),
    ]
    await Promise.all(limiters.map((limiter) => limiter.ready()))
    const startedAt = performance.now()
    await Promise.all([...limiters, ...limiters].map((limiter) => limiter.wait('k')))
    const tookMs = performance.now() - startedAt
    expect(tookMs).toBeGreaterThanOrEqual(295)
  })

  it('a caller that a refund makes room for is admitted', async () => {
    const limiter = limiterIn(new MapStore(), '1/minute')
    await limiter.check('k')
    const waiting = limiter.wait('k')
    await new Promise((resolve) => setTimeout(resolve, 20))
    await limiter.refund('k')
    expect((await waiting).allowed).toBe(true)
  })
})

describe('keys', () => {
  it('are printable ASCII of at most 250 characters, for any prefix, name and key', async () => {
    const store = new MapStore()
    const names = ['', 'api', 'a b\r\n', 'x'.repeat(128), '\u00e9\ud800'.slice(0, 1)]
    for (const name of names) {
      const named = name === '' ? {} : { name }
      for (const keyPrefix of ['', 'p:', 'long'.repeat(64), 'sp ace']) {
        const limiter = limiterIn(store, '5/minute', { ...named, keyPrefix })
        for (const key of ['', 'k', '\r\n', '\ud800', 'x'.repeat(5_000)]) await limiter.check(key)
      }
    }
    const keys = [...store.values.keys()]
    expect(keys.filter((key) => !/^[!-~]{1,250}$/.test(key))).toEqual([])
    expect(store.records).toHaveLength(names.length * 4 * 5)
  })

  it('differ between limits and between algorithms', async () => {
    const store = new MapStore()
    for (const limits of ['5/minute', '6/minute', '5/hour']) {
      await limiterIn(store, limits).check('k')
      await limiterIn(store, limits, { algorithm: 'fixed-window' }).check('k')
    }
    expect(store.records).toHaveLength(6)
  })
})

describe('a store that fails', () => {
  const FAULTS: readonly (readonly [string, () => Promise<never> | unknown, string])[] = [
    ['never answers', () => new Promise<never>(() => {}), 'timeout'],
    ['rejects', () => Promise.reject(new Error('no')), 'disconnected'],
    [
      'throws',
      () => {
        throw new Error('no')
      },
      'disconnected',
    ],
    ['answers a number', () => 7, 'garbled'],
    ['answers the bytes themselves', () => new Uint8Array(72), 'garbled'],
    ['answers a text for a value', () => ({ value: 'text', version: 1 }), 'garbled'],
    ['answers a value without a version', () => ({ value: new Uint8Array(3) }), 'garbled'],
    ['answers a time that is none', () => ({ nowMs: Number.NaN }), 'garbled'],
  ]

  it.each(FAULTS)('%s: onError decides within the deadline', async (_, fault, kind) => {
    const store = new MapStore()
    for (const [onError, admitted] of [
      ['closed', 0],
      ['open', 9],
      ['local', 5],
    ] as const) {
      const limiter = limiterIn(store, '5/minute', { onError, onStoreChange: () => {} })
      store.fault = undefined
      await limiter.ready()
      store.fault = fault
      const all = await Promise.all(Array.from({ length: 9 }, () => limiter.check('k')))
      expect(all.filter(({ allowed }) => allowed)).toHaveLength(admitted)
      expect(limiter.stats().failures[kind as 'timeout']).toBe(9)
    }
    expect(store.records).toEqual([])
  })

  it('is used again when it answers, and the outage is reported once for all limiters', async () => {
    const store = new MapStore()
    const limiters = [limiterIn(store), limiterIn(store, '6/minute')]
    await Promise.all(limiters.map((limiter) => limiter.ready()))
    const codes = await warningsDuring(async () => {
      store.fault = () => Promise.reject(new Error('no'))
      for (const limiter of limiters) for (let i = 0; i < 4; i++) await limiter.check('k')
      expect(await limiters[0]?.ready()).toEqual({ available: false, reason: 'disconnected' })
      store.fault = undefined
      for (const limiter of limiters) {
        while (!(await limiter.ready()).available) await new Promise((r) => setTimeout(r, 20))
      }
    })
    expect(codes).toEqual(['RATETHROTTLE_STORE_DOWN', 'RATETHROTTLE_STORE_UP'])
    expect((await limiters[0]?.check('k'))?.remaining).toBe(4)
  })

  it('from the start: calls wait for connectTimeoutMs, then onError decides', async () => {
    const store = new MapStore()
    store.fault = () => Promise.reject(new Error('no'))
    const options = { connectTimeoutMs: 150, onError: 'closed', onStoreChange: () => {} } as const
    const limiter = limiterIn(store, '5/minute', options)
    const startedAt = performance.now()
    expect((await limiter.check('k')).allowed).toBe(false)
    expect(performance.now() - startedAt).toBeGreaterThan(100)
    expect(await limiter.ready()).toEqual({ available: false, reason: 'disconnected' })
  })

  it('by contention until the deadline: the call fails, but the store does not count as away', async () => {
    const store = new MapStore()
    const options = { onError: 'closed', deadlineMs: 300, localDenials: false } as const
    const limiter = limiterIn(store, '5/minute', options)
    await limiter.ready()
    store.isContended = true
    for (let call = 0; call < 5; call++) expect((await limiter.check('k')).allowed).toBe(false)
    expect(store.lost).toBeGreaterThan(10)
    store.isContended = false
    expect((await limiter.check('k')).remaining).toBe(4)
    expect(limiter.stats()).toMatchObject({ outages: 0, failures: { timeout: 5 } })
  })

  it('with a late answer: the call is not charged', async () => {
    const store = new MapStore()
    const limiter = limiterIn(store, '5/minute', { deadlineMs: 30, onStoreChange: () => {} })
    await limiter.ready()
    store.fault = () => new Promise((resolve) => setTimeout(resolve, 100, undefined))
    await limiter.check('k')
    store.fault = undefined
    await new Promise((resolve) => setTimeout(resolve, 150))
    expect(store.records).toEqual([])
  })
})

describe('values that this limiter did not write', () => {
  it('are neither used nor treated as absent, and cause one warning', async () => {
    const store = new MapStore()
    const limiter = limiterIn(store, '5/minute', { onError: 'closed', localDenials: false })
    await limiter.check('k')
    const [key = '', { value, version }] = store.records[0] as [string, StoredValue<number>]
    const codes = await warningsDuring(async () => {
      for (const bytes of [Buffer.from(value.toString()), value.slice(1), new Uint8Array(0)]) {
        store.values.set(key, { value: bytes, version })
        for (let call = 0; call < 9; call++) expect((await limiter.check('k')).allowed).toBe(false)
      }
    })
    expect(codes).toEqual(['RATETHROTTLE_FOREIGN_RECORD'])
    expect((await limiter.check('other')).allowed).toBe(true)
    expect(limiter.stats()).toMatchObject({ outages: 0 })
  })
})

describe('the clock', () => {
  it('is that of the store if it has one, and never steps back', async () => {
    const store = new MapStore()
    let nowMs = 1_796_083_200_000
    const telling: Store = {
      get: async (key) => {
        const found = await store.get(key)
        return found === undefined ? { nowMs } : { ...found, nowMs }
      },
      compareAndSet: (key, value, version, ttlMs) =>
        store.compareAndSet(key, value, version as number, ttlMs),
    }
    const limiter = limiterIn(telling, '1/minute', { localDenials: false })
    expect((await limiter.check('k')).allowed).toBe(true)
    nowMs -= 3_600_000
    expect((await limiter.check('k')).retryAfterMs).toBe(60_000)
    nowMs += 3_600_000 + 59_999
    expect((await limiter.check('k')).retryAfterMs).toBe(1)
    nowMs += 1
    expect((await limiter.check('k')).allowed).toBe(true)
  })
})

describe('closing', () => {
  it('the last limiter of a store closes it, and later calls reject', async () => {
    const store = new MapStore()
    const [one, other] = [limiterIn(store), limiterIn(store)]
    await one.close()
    expect(store.closed).toBe(0)
    await other.check('k')
    await other.close()
    await other.close()
    expect(store.closed).toBe(1)
    await expect(other.check('k')).rejects.toMatchObject({ code: 'CLOSED' })
  })
})

describe('option storage', () => {
  it.each([
    ['a number', 7],
    ['an array', []],
    ['an object', {}],
    ['half a store', { get: async () => undefined }],
    ['a Map', new Map()],
    ['half a limiter', { limits: [], check: () => {}, peek: () => {} }],
    ['a function', () => {}],
  ])('%s is refused with what is accepted', (_, storage) => {
    const make = (): unknown => createLimiter({ limits: '5/minute', storage: storage as never })
    const text = expect.stringMatching(/^storage must be "memory:".* a store with get .*, got /)
    expect(make).toThrow(expect.objectContaining({ code: 'INVALID_OPTION', message: text }))
  })

  it('given a limiter, uses the limits of that limiter, and refuses others', async () => {
    const limiter = new RateLimiter('2/minute')
    const any = createLimiter({ storage: limiter })
    expect(any.limits).toBe(limiter.limits)
    await any.check('k')
    expect(limiter.peek('k').remaining).toBe(1)
    expect(() => createLimiter({ limits: '5/minute', storage: limiter } as never)).toThrow(
      'limits must be absent where the storage is a limiter',
    )
    const asynchronous = createLimiter({ limits: '2/minute', storage: new MapStore() })
    expect(createLimiter({ storage: asynchronous })).toBe(asynchronous)
    await asynchronous.close()
  })

  it('limits that are a function are refused with a storage that is a custom store', () => {
    const options = { limits: () => '5/minute', storage: new MapStore() }
    expect(() => rateThrottle(options as never)).toThrow(/limits must be fixed limits/)
  })

  it.each([
    ['a store', { limits: '2/minute', storage: new MapStore() }],
    ['a limiter', { storage: new RateLimiter('2/minute') }],
  ])('an adapter accepts %s', async (_, options) => {
    const throttle = rateThrottle({ ...options, key: () => 'k' })
    const server = createServer(throttle.wrap((_request, response) => response.end('ok')))
    const url = await listen(server)
    onTestFinished(() => throttle.close())
    const statuses: number[] = []
    for (let request = 0; request < 4; request++) {
      const response = await fetch(url)
      statuses.push(response.status)
      if (request === 0) expect(response.headers.get('x-ratelimit-remaining')).toBe('1')
    }
    expect(statuses).toEqual([200, 200, 429, 429])
  })
})
