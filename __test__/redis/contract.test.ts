import { type Algorithm, type Decision, FakeClock, RateLimiter } from 'ratethrottle'
import { RedisLimiter, type RedisStorage } from 'ratethrottle/redis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ALGORITHMS } from '../fixtures/algorithms.ts'
import type { Terms } from '../fixtures/model.ts'
import { type Random, randomFor } from '../fixtures/random.ts'
import { randomTerms } from '../fixtures/walk.ts'
import { type Server, startServer } from './server.ts'

const { RATETHROTTLE_STEPS: given } = process.env
/** Steps for each algorithm. `npm run test:redis` takes 100,000. */
const STEPS = Number(given ?? 2_500)
const PER_WALK = 100
const KEYS = ['a', 'b', 'c']

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

/** Makes the same random calls of the native limiter and of the one in Redis until they differ. */
class Pair {
  readonly #random: Random
  readonly #terms: Terms
  readonly #clock: FakeClock
  readonly #native: RateLimiter
  readonly #redis: RedisLimiter
  /** A denial that is remembered tells whole milliseconds, and how other limits stood when it was heard. */
  readonly #remembers: boolean
  /** Sub-milliseconds are exact in a double while there are not too many milliseconds. */
  readonly #fine: boolean
  #us: number
  #wait = 0

  constructor(random: Random, terms: Terms, storage: RedisStorage, name: string) {
    this.#random = random
    this.#terms = terms
    const start = random.pick([
      0,
      1,
      1_000_000,
      2 ** 31 - 5,
      2 ** 32 - 5,
      1_800_000_000_000,
      2 ** 40,
    ])
    this.#remembers = random.chance(0.5)
    this.#fine = start < 2 ** 33 && !this.#remembers
    this.#us = start * 1000
    this.#clock = new FakeClock(start)
    const { algorithm, burst, blockForMs } = terms
    const options = { algorithm, burst, blockFor: blockForMs, clock: this.#clock }
    this.#native = new RateLimiter(terms.limits, { ...options, capacity: 64 })
    this.#redis = new RedisLimiter(terms.limits, {
      ...options,
      storage,
      name,
      localDenials: this.#remembers,
      deadlineMs: 30_000,
    })
  }

  async go(steps: number): Promise<void> {
    for (let step = 0; step < steps; step++) {
      this.#moveClock()
      await this.#act(this.#random.pick(KEYS), step)
    }
    expect(this.#redis.stats().outages).toBe(0)
    this.#native.close()
    await this.#redis.close()
  }

  async #act(key: string, step: number): Promise<void> {
    const chance = this.#random.next()
    const cost = this.#cost()
    const where = `step ${step}, ${key}, cost ${cost}, ${this.#us} us of ${JSON.stringify(this.#terms)}`
    if (chance < 0.7) {
      await this.#compare(where, key, this.#native.check(key, cost), this.#redis.check(key, cost))
    } else if (chance < 0.85) {
      await this.#compare(where, key, this.#native.peek(key, cost), this.#redis.peek(key, cost))
    } else if (chance < 0.97) await this.#refund(key, cost)
    else if (chance < 0.985) await this.#reset(key)
    else await this.#block(key)
  }

  async #compare(
    where: string,
    key: string,
    native: Decision,
    asked: Promise<Decision>,
  ): Promise<void> {
    const redis = await asked
    if (Number.isFinite(native.retryAfterMs)) this.#wait = native.retryAfterMs
    // While a key is blocked, which limit would deny it longest may change; what is remembered does not.
    expect({ where, ...redis }).toEqual({ where, ...native })
    if (!this.#remembers && this.#random.chance(0.2)) {
      const standings = this.#redis.standings(key, redis)
      expect({ where, standings }).toEqual({ where, standings: this.#native.standings(key) })
    }
  }

  async #refund(key: string, cost: number): Promise<void> {
    const units = this.#random.chance(0.1) ? this.#random.integer(0, 5_000) : cost
    this.#native.refund(key, units)
    await this.#redis.refund(key, units)
  }

  async #reset(key: string): Promise<void> {
    this.#native.reset(key)
    await this.#redis.reset(key)
  }

  async #block(key: string): Promise<void> {
    const ms = this.#random.integer(1, 2_000)
    this.#native.block(key, ms)
    await this.#redis.block(key, ms)
  }

  #cost(): number {
    const random = this.#random
    const { count } = random.pick(this.#terms.limits)
    if (random.chance(0.6)) return 1
    if (random.chance(0.05)) return random.pick([0, count + 1_000, 2 ** 53 - 1])
    return random.chance(0.2) ? count : random.integer(1, Math.ceil(count / 3))
  }

  #moveClock(): void {
    const random = this.#random
    const { count, windowMs } = random.pick(this.#terms.limits)
    const chance = random.next()
    if (chance < 0.3) return
    if (chance < 0.6) this.#advance(random.integer(0, Math.ceil((2_000 * windowMs) / count)))
    else if (chance < 0.7) this.#advance(this.#wait * 1000)
    else if (chance < 0.8) this.#advance(Math.max(0, this.#wait - 1) * 1000)
    else if (chance < 0.9) this.#advance(windowMs * 1000 - (this.#us % (windowMs * 1000)))
    else if (chance < 0.97) this.#advance(random.integer(0, 3 * windowMs) * 1000)
    else this.#advance(random.integer(0, 999))
  }

  #advance(us: number): void {
    this.#us += this.#fine ? us : Math.ceil(us / 1000) * 1000
    this.#clock.set(this.#us / 1000)
  }
}

describe('a limiter in Redis gives the decisions of the native one, in every field', () => {
  for (const algorithm of ALGORITHMS) {
    it(`${algorithm}`, { timeout: 3_600_000 }, async () => {
      const random = randomFor(`contract ${algorithm}`)
      for (let walk = 0; walk * PER_WALK < STEPS; walk++) {
        const terms = countable(random, algorithm)
        await new Pair(random, terms, holder.storage, `${algorithm} ${walk}`).go(PER_WALK)
      }
    })
  }
})

/** Terms that the core accepts: with a burst they may exceed what it can count. */
function countable(random: Random, algorithm: Algorithm): Terms {
  for (;;) {
    const terms = randomTerms(random, algorithm, 5)
    try {
      new RateLimiter(terms.limits, { algorithm, burst: terms.burst, capacity: 1 }).close()
      return terms
    } catch {
      // Others, then.
    }
  }
}
