import { setTimeout as sleep } from 'node:timers/promises'
import { type Decision, parseLimits, RateLimiter } from 'ratethrottle'
import {
  type Backend,
  type ChargeMode,
  type Counters,
  countableLimits,
  Guard,
  RemoteLimiter,
  type RemoteOptions,
  resolveRemoteOptions,
  type StoreChange,
  StoreFailure,
  storeDecision,
} from 'ratethrottle/remote'
import { FakeClock } from 'ratethrottle/testing'
import { afterEach, expect, test } from 'vitest'

/** A store whose counters live in this process, and which the test can make fail or stay silent. */
class Store {
  readonly name = 'the test store'
  calls = 0
  state: 'well' | 'silent' | 'broken' = 'well'
  readonly #counters: RateLimiter

  constructor(limits: string) {
    // No unit comes back, however slow the machine is.
    this.#counters = new RateLimiter(limits, { clock: new FakeClock() })
  }

  ping(): Promise<unknown> {
    return this.ask(() => undefined)
  }

  async ask<T>(what: (counters: RateLimiter) => T): Promise<T> {
    if (this.state === 'silent') await sleep(60_000, undefined, { ref: false })
    if (this.state === 'broken') throw new StoreFailure('refused')
    this.calls++
    return what(this.#counters)
  }
}

class TestBackend implements Backend, Counters {
  readonly sharing = { group: {}, processes: 0, parts: 1 }
  readonly #limiter = parseLimits('5/hour')
  readonly #store: Store
  readonly #guard: Guard

  constructor(store: Store, options: RemoteOptions) {
    this.#store = store
    this.#guard = new Guard(store, resolveRemoteOptions(options))
  }

  get outages(): number {
    return this.#guard.outages
  }

  counters(): Counters {
    return this
  }

  charge(key: string, cost: number, mode: ChargeMode, since?: number): Promise<Decision> {
    return this.#decide(
      (counters) => {
        return mode === 'check' ? counters.check(key, cost) : counters.take(key, cost)
      },
      key,
      since,
    )
  }

  acquire(key: string, min: number, max: number, since: number): Promise<Decision> {
    let charged = 0
    return this.#decide(
      (counters) => {
        const { remaining } = counters.peek(key)
        charged = Math.max(min, Math.min(max, remaining))
        return counters.check(key, charged)
      },
      key,
      since,
      () => charged,
    )
  }

  peek(key: string, cost: number): Promise<Decision> {
    return this.#decide((counters) => counters.peek(key, cost), key)
  }

  refund(key: string, units: number): Promise<unknown> {
    return this.#run((counters) => counters.refund(key, units))
  }

  block(key: string, ms: number): Promise<unknown> {
    return this.#run((counters) => counters.block(key, ms))
  }

  reset(key: string): Promise<unknown> {
    return this.#run((counters) => counters.reset(key))
  }

  ready() {
    return this.#guard.ready()
  }

  async close(): Promise<void> {
    this.#guard.close()
  }

  #run<T>(what: (counters: RateLimiter) => T, since?: number): Promise<T> {
    return this.#guard.run(() => this.#store.ask(what), since)
  }

  #decide(
    what: (counters: RateLimiter) => Decision,
    key: string,
    since?: number,
    charged = () => 1,
  ): Promise<Decision> {
    return this.#run((counters) => {
      const decision = what(counters)
      const statuses = counters.standings(key)
      return storeDecision(decision, this.#limiter, {
        statuses,
        charged: decision.allowed ? charged() : 0,
      })
    }, since)
  }
}

const opened: RemoteLimiter[] = []

function limiterOn(store: Store, options: RemoteOptions = {}): RemoteLimiter {
  const resolved = resolveRemoteOptions(options)
  const limits = countableLimits(parseLimits('5/hour'), resolved)
  const limiter = new RemoteLimiter(limits, resolved, new TestBackend(store, options))
  opened.push(limiter)
  return limiter
}

afterEach(async () => {
  for (const limiter of opened.splice(0)) await limiter.close()
})

test('a limiter on a test store decides, remembers denials, and refunds', async () => {
  const store = new Store('5/hour')
  const limiter = limiterOn(store)
  expect(await limiter.ready()).toEqual({ available: true, reason: undefined })
  for (let i = 4; i >= 0; i--) {
    expect(await limiter.check('a')).toMatchObject({ allowed: true, remaining: i, limit: 5 })
  }
  const denied = await limiter.check('a')
  expect(denied).toMatchObject({ allowed: false, remaining: 0, retryAfter: 720 })
  expect(limiter.standings('a', denied)).toEqual([{ remaining: 0, moreMs: denied.retryAfterMs }])
  const { calls } = store
  expect((await limiter.check('a')).allowed).toBe(false)
  expect(store.calls, 'the second denial needs no round trip').toBe(calls)
  await limiter.refund('a')
  expect((await limiter.check('a')).allowed).toBe(true)
  await limiter.block('a', 60_000)
  expect((await limiter.peek('a')).retryAfter).toBe(720)
  await limiter.reset('a')
  expect((await limiter.peek('a')).remaining).toBe(5)
  expect(limiter.stats()).toMatchObject({ deniedLocally: 1, outages: 0, processes: 1 })
  expect(() => (limiter as unknown as RateLimiter).allow('a')).toThrow('promises')
})

test('a lease serves most calls without the store, and unused units are returned', async () => {
  const store = new Store('5/hour')
  const limiter = limiterOn(store, { lease: { size: 4, ttl: '1 minute' } })
  const all = await Promise.all(Array.from({ length: 3 }, () => limiter.check('a')))
  expect(all.map(({ allowed }) => allowed)).toEqual([true, true, true])
  expect(limiter.stats().asked).toBe(1)
  await limiter.close()
  const other = limiterOn(store)
  expect((await other.peek('a')).remaining).toBe(2)
})

test('while the store is silent calls end by their deadline, then at once; the store is used again when it answers', async () => {
  const store = new Store('5/hour')
  const changes: StoreChange[] = []
  const onStoreChange = (change: StoreChange): number => changes.push(change)
  const limiter = limiterOn(store, { deadlineMs: 200, onStoreChange })
  await limiter.ready()
  store.state = 'silent'
  for (let i = 0; i < 3; i++) {
    const began = performance.now()
    expect((await limiter.check('a')).allowed).toBe(true)
    expect(performance.now() - began).toBeGreaterThan(190)
  }
  expect(await limiter.ready()).toEqual({ available: false, reason: 'timeout' })
  expect((await limiter.check('a')).remaining, 'counted in this process').toBe(1)
  // The fourth has waited for no answer.
  expect(limiter.stats()).toMatchObject({ outages: 1, failures: { timeout: 3, unavailable: 1 } })
  store.state = 'well'
  for (let i = 0; i < 100 && changes.length < 2; i++) await sleep(100)
  expect(changes.map(({ available, reason }) => [available, reason])).toEqual([
    [false, 'timeout'],
    [true, 'timeout'],
  ])
  expect((await limiter.check('a')).remaining, 'counted in the store').toBe(4)
})

test('calls wait for a store that cannot be reached once, for connectTimeoutMs', async () => {
  const store = new Store('5/hour')
  store.state = 'broken'
  const onStoreChange = (): void => {}
  // The wait begins with the limiter.
  const began = performance.now()
  const limiter = limiterOn(store, { connectTimeoutMs: 300, onError: 'closed', onStoreChange })
  expect((await limiter.check('a')).allowed).toBe(false)
  expect(performance.now() - began).toBeGreaterThan(290)
  expect(await limiter.ready()).toEqual({ available: false, reason: 'refused' })
})

test('waits are served in order, and reject when the limiter is closed', async () => {
  const store = new Store('5/hour')
  const limiter = limiterOn(store)
  for (let i = 0; i < 5; i++) await limiter.check('a')
  const first = limiter.wait('a')
  await sleep(50)
  await limiter.refund('a')
  expect((await first).allowed).toBe(true)
  const second = limiter.wait('a')
  await sleep(50)
  const rejected = expect(second).rejects.toMatchObject({ code: 'CLOSED' })
  await limiter.close()
  await rejected
  await expect(limiter.check('a')).rejects.toMatchObject({ code: 'CLOSED' })
})
