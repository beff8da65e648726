import { type Algorithm, type Decision, FakeClock, type Limit } from 'ratethrottle'
import { RedisLimiter, type RedisStorage } from 'ratethrottle/redis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type NativeVariableLimiter, openVariableLimiter } from '../../dist/native-limiter.js'
import { RedisVariableLimiter } from '../../dist/redis/redis-limiter.js'
import { ALGORITHMS } from '../fixtures/algorithms.ts'
import { type Random, randomFor } from '../fixtures/random.ts'
import { type Server, startServer } from './server.ts'

const { RATETHROTTLE_STEPS: given } = process.env
/** Steps for each algorithm. `npm run test:redis` takes 100,000. */
const STEPS = Number(given ?? 1_500)
const PER_WALK = 100
const KEYS = ['a', 'b', 'c']
const DAY = 86_400_000

let server: Server
let holder: RedisLimiter<string>

beforeAll(async () => {
  server = await startServer()
  holder = new RedisLimiter('1/s', { url: server.url, deadlineMs: 30_000 })
  await holder.check('warm')
})
afterAll(async () => {
  await holder.close()
  await server.stop()
})

/** Counters in memory and in Redis, called with the same random limits until they differ. */
class Pair {
  readonly #random: Random
  readonly #plans: readonly (readonly Limit[])[]
  readonly #clock: FakeClock
  readonly #native: NativeVariableLimiter
  readonly #redis: RedisVariableLimiter
  readonly #algorithm: Algorithm
  /** Whether some calls are paced. In memory the pace of a blocked key is known only after its block. */
  readonly #paces: boolean
  /** Microseconds are exact in a double while there are not too many milliseconds. */
  readonly #fine: boolean
  #us: number
  #wait = 0
  #epochs = ''

  constructor(random: Random, algorithm: Algorithm, storage: RedisStorage, name: string) {
    this.#random = random
    this.#algorithm = algorithm
    this.#plans = randomPlans(random, algorithm)
    const start = random.pick([1_000_000, 2 ** 32 - 5, 1_800_000_000_000])
    this.#fine = start < 2 ** 33
    this.#us = start * 1000
    this.#clock = new FakeClock(start)
    this.#paces = random.chance(0.5)
    const blockFor = !this.#paces && random.chance(0.2) ? random.pick([50, 5_000, 100_000]) : 0
    const options = { algorithm, blockFor, clock: this.#clock }
    this.#native = openVariableLimiter({ ...options, capacity: 64 })
    this.#redis = new RedisVariableLimiter({
      ...options,
      storage,
      name,
      localDenials: false,
      deadlineMs: 30_000,
    })
    // In memory each window has its table from its first use on, by any key.
    for (const plan of this.#plans) this.#native.with(plan).check('warm')
  }

  async go(steps: number): Promise<void> {
    for (let step = 0; step < steps; step++) {
      this.#moveClock()
      await this.#enterEpochs()
      await this.#act(this.#random.pick(KEYS), step)
    }
    this.#native.close()
    await this.#redis.close()
  }

  /** At the start of an epoch a table in memory forgets the keys without debts: here both do. */
  async #enterEpochs(): Promise<void> {
    const now = this.#clock.now()
    const epochs = this.#plans
      .flat()
      .map((limit) => Math.floor(now / epochMs(this.#algorithm, limit)))
    if (epochs.join() === this.#epochs) return
    this.#epochs = epochs.join()
    for (const key of KEYS) {
      this.#native.reset(key)
      await this.#redis.reset(key)
    }
  }

  async #act(key: string, step: number): Promise<void> {
    const random = this.#random
    const plan = random.pick(this.#plans)
    const [native, redis] = [this.#native.with(plan), this.#redis.with(plan)]
    const [chance, cost] = [random.next(), this.#cost(plan)]
    const at = this.#clock.now()
    const where = `step ${step}, ${key}, cost ${cost} of ${JSON.stringify(plan)} at ${at}`
    const same = async (told: Decision, asked: Promise<Decision>): Promise<void> => {
      const answered = await asked
      if (Number.isFinite(told.retryAfterMs)) this.#wait = told.retryAfterMs
      expect({ where, ...answered }).toEqual({ where, ...told })
      if (!random.chance(0.2) || hasTwins(plan)) return
      const standings = redis.standings(key, answered)
      expect({ where, standings }).toEqual({ where, standings: native.standings(key) })
    }
    if (chance < 0.6) await same(native.check(key, cost), redis.check(key, cost) as never)
    else if (chance < 0.7) {
      const isPaced = this.#paces && random.chance(0.5)
      const take = redis.take.bind(redis) as (...asked: unknown[]) => Promise<Decision>
      await same(native.take(key, cost, isPaced), take(key, cost, isPaced))
    } else if (chance < 0.85) await same(native.peek(key, cost), redis.peek(key, cost) as never)
    else if (chance < 0.97) {
      const units = random.chance(0.1) ? random.integer(0, 5_000) : cost
      native.refund(key, units)
      await redis.refund(key, units)
    } else if (chance < 0.985) {
      native.reset(key)
      await redis.reset(key)
    } else if (!this.#paces) {
      const ms = random.integer(1, 2_000)
      native.block(key, ms)
      await redis.block(key, ms)
    }
  }

  #cost(plan: readonly Limit[]): number {
    const random = this.#random
    const { count } = random.pick(plan)
    if (random.chance(0.6)) return 1
    if (random.chance(0.05)) return random.pick([0, count + 1_000, 2 ** 53 - 1])
    return random.chance(0.2) ? count : random.integer(1, Math.ceil(count / 3))
  }

  #moveClock(): void {
    const random = this.#random
    const { count, windowMs } = random.pick(random.pick(this.#plans))
    const chance = random.next()
    if (chance < 0.3) return
    if (chance < 0.6) this.#advance(random.integer(0, Math.ceil((2_000 * windowMs) / count)))
    else if (chance < 0.7) this.#advance(this.#wait * 1000)
    else if (chance < 0.8) this.#advance(Math.max(0, this.#wait - 1) * 1000)
    else if (chance < 0.9) this.#advance(windowMs * 1000 - (this.#us % (windowMs * 1000)))
    else if (chance < 0.95) this.#advance(random.integer(0, 3 * windowMs) * 1000)
    else this.#advance(random.integer(0, 999))
  }

  #advance(us: number): void {
    this.#us += this.#fine ? us : Math.ceil(us / 1000) * 1000
    this.#clock.set(this.#us / 1000)
  }
}

/** As `epoch_ms` of crate/core/src/algorithm. */
function epochMs(algorithm: Algorithm, { count, windowMs }: Limit): number {
  const bits = (n: number): number => (n === 0 ? 0 : Math.floor(Math.log2(n)) + 1)
  if (algorithm === 'sliding-window') return windowMs * 1024
  if (algorithm !== 'fixed-window' && algorithm !== 'sliding-log') return 2 ** 50 / 2520
  const eight = bits(8 * windowMs)
  if (algorithm === 'fixed-window') return 2 ** (Math.max(eight, 53 - 30) - 3)
  const ring = Math.max(15, 2 ** bits(count) - 1)
  const width = 53 - 4 - bits(ring - 1) - bits(ring)
  return 2 ** (width - 3) / 2 ** Math.min(10, width - eight)
}

/** Of two limits of one window only one is counted; the standing of the other differs. */
function hasTwins(plan: readonly Limit[]): boolean {
  return new Set(plan.map(({ windowMs }) => windowMs)).size < plan.length
}

/** A few sets of limits over a few windows: there are as many tables in memory. */
function randomPlans(random: Random, algorithm: Algorithm): readonly (readonly Limit[])[] {
  const isBucket = algorithm === 'token-bucket' || algorithm === 'leaky-bucket'
  const windows = Array.from({ length: random.integer(1, 4) }, () =>
    random.pick([7, 333, 1_000, 1_500, 60_000, 3_600_000, DAY, random.integer(1, 99_999)]),
  )
  const counts = [1, 2, 3, 5, 7, 10, 16]
  if (algorithm !== 'sliding-log') counts.push(60, 1_000, 99_991)
  const limit = (): Limit => {
    const [count, windowMs] = [random.pick(counts), random.pick(windows)]
    if (!isBucket || random.chance(0.7)) return { count, windowMs }
    return { count, windowMs, burst: random.integer(1, 2 * count) }
  }
  return Array.from({ length: random.integer(1, 5) }, () =>
    Array.from({ length: random.pick([1, 1, 1, 2, 3]) }, limit),
  )
}

describe('limits per call give the same decisions in Redis as in memory, in every field', () => {
  for (const algorithm of ALGORITHMS) {
    it(`${algorithm}`, { timeout: 3_600_000 }, async () => {
      const random = randomFor(`variable ${algorithm}`)
      for (let walk = 0; walk * PER_WALK < STEPS; walk++) {
        await new Pair(random, algorithm, holder.storage, `${algorithm} ${walk}`).go(PER_WALK)
      }
    })
  }
})

it('a log with many charges, of which some expire and others are refunded, counts as in memory', async () => {
  const random = randomFor('variable long log')
  const clock = new FakeClock(1_800_057_600_000)
  const options = { algorithm: 'sliding-log', clock } as const
  const native = openVariableLimiter({ ...options, capacity: 64 })
  const redis = new RedisVariableLimiter({
    ...options,
    storage: holder.storage,
    name: 'long',
    localDenials: false,
    deadlineMs: 30_000,
  })
  const plans = [
    [{ count: 1_000, windowMs: 60_000 }],
    [{ count: 400, windowMs: 20_000 }],
    [
      { count: 3, windowMs: 100 },
      { count: 900, windowMs: 60_000 },
    ],
  ].map((limits) => [native.with(limits), redis.with(limits)] as const)
  for (let step = 0; step < 3_000; step++) {
    clock.advance(random.integer(0, step % 700 < 650 ? 40 : 2_000))
    const [counted, asked] = random.pick(plans)
    const cost = random.chance(0.9) ? 1 : random.integer(1, 5)
    if (random.chance(0.05)) {
      counted.refund('a', cost)
      await asked.refund('a', cost)
    }
    const answered = await asked.check('a', cost)
    expect({ step, ...answered }).toEqual({ step, ...counted.check('a', cost) })
  }
  native.close()
  await redis.close()
})
