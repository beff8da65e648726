import { expect, it } from 'vitest'
import { type Claims, OwnClaims } from '../../../ts/insight/alerts/claims.ts'
import { Telling } from '../../../ts/insight/alerts/telling.ts'
import { byLength } from '../../fixtures/long.ts'
import { type Random, randomFor } from '../../fixtures/random.ts'

/*
 * Several processes in virtual time, whose calls to what they share take effect in any order: what real processes do
 * once in a million times happens here in each round.
 */

const ROUNDS = byLength(150, 5_000)

/** Between a call and its effect, and between its effect and its answer, others make theirs. */
class SlowClaims implements Claims {
  readonly isAlone = false
  readonly #claims: Claims
  readonly #random: Random
  /** A process that was killed gets no answer, and what it asks has no effect any more. */
  isDead = false
  /** One that stands still goes on when this resolves. */
  still: Promise<void> | undefined

  constructor(claims: Claims, random: Random) {
    this.#claims = claims
    this.#random = random
  }

  take(key: string): Promise<boolean> {
    return this.#slowly(() => this.#claims.take(key))
  }

  keep(key: string, ms: number): Promise<void> {
    return this.#slowly(() => this.#claims.keep(key, ms))
  }

  isKept(key: string): Promise<boolean> {
    return this.#slowly(() => this.#claims.isKept(key))
  }

  release(key: string): Promise<void> {
    return this.#slowly(() => this.#claims.release(key))
  }

  close(): void {}

  async #slowly<T>(call: () => Promise<T>): Promise<T> {
    await this.#pause()
    const answer = await call()
    await this.#pause()
    return answer
  }

  async #pause(): Promise<void> {
    for (let i = this.#random.integer(0, 12); i > 0; i--) await null
    await this.still
    if (this.isDead) await new Promise(() => {})
  }
}

interface Process {
  readonly claims: SlowClaims
  readonly telling: Telling
}

/** Processes that see the same, one look a second, and what they tell. */
class World {
  now = 0
  readonly told: string[] = []
  processes: Process[] = []
  readonly #shared: OwnClaims = new OwnClaims(() => this.now)
  readonly #random: Random
  readonly #cooldownMs: number

  constructor(random: Random, cooldownMs: number) {
    this.#random = random
    this.#cooldownMs = cooldownMs
  }

  add(): void {
    const claims = new SlowClaims(this.#shared, this.#random)
    const tell = async (status: string) => {
      this.told.push(status)
      for (let i = this.#random.integer(0, 12); i > 0; i--) await null
      await claims.still
      if (claims.isDead) await new Promise(() => {})
    }
    const times = { cooldownMs: this.#cooldownMs, adoptMs: 2_000 }
    const telling = new Telling(
      'rule',
      () => claims,
      tell,
      times,
      () => this.now,
    )
    this.processes.push({ claims, telling })
  }

  /** @param kill kills one in the middle of its look */
  async look(isFired: boolean, kill = false): Promise<void> {
    this.now += 1_000
    const looks = this.processes.map(({ telling }) =>
      telling.look({ isFired, holds: isFired, now: this.now }),
    )
    if (kill) {
      for (let i = this.#random.integer(0, 200); i > 0; i--) await null
      const [dead] = this.processes.splice(this.#random.integer(0, this.processes.length - 1), 1)
      if (dead !== undefined) dead.claims.isDead = true
      const alive = this.processes.map(({ telling }) => telling.over)
      await Promise.all(alive)
      return
    }
    await Promise.all(looks)
  }

  /** One stands still in the middle of its look, for some seconds, and then goes on. */
  async stall(isFired: boolean, seconds: number): Promise<void> {
    const [one, ...others] = this.processes as [Process, ...Process[]]
    let goOn = () => {}
    const look = this.look(isFired)
    for (let i = this.#random.integer(0, 200); i > 0; i--) await null
    one.claims.still = new Promise((resolve) => {
      goOn = resolve
    })
    this.processes = others
    for (let i = 0; i < seconds; i++) await this.look(isFired)
    one.claims.still = undefined
    goOn()
    await look
    this.processes = [...others, one]
  }

  async looks(count: number, isFired: boolean): Promise<void> {
    for (let i = 0; i < count; i++) await this.look(isFired)
  }
}

it('exactly one of them tells, each time', async () => {
  const random = randomFor('telling')
  for (let round = 0; round < ROUNDS; round++) {
    const world = new World(random, 0)
    for (let i = random.integer(1, 5); i > 0; i--) world.add()
    const expected: string[] = []
    for (let i = 0; i < 4; i++) {
      await world.looks(8, true)
      expected.push('fired')
      expect(world.told).toEqual(expected)
      expect(world.processes.every(({ telling }) => telling.isTold)).toBe(true)
      await world.looks(12, false)
      expected.push('resolved')
      expect(world.told).toEqual(expected)
      expect(world.processes.some(({ telling }) => telling.isTold)).toBe(false)
    }
  }
})

it('whenever one is killed, all is told, and once more at most', async () => {
  const random = randomFor('telling and killed')
  let twice = 0
  for (let round = 0; round < ROUNDS; round++) {
    const world = new World(random, 0)
    for (let i = 0; i < 4; i++) world.add()
    for (const isFired of [true, false, true]) {
      const before = world.told.length
      for (let i = random.integer(0, 3); i > 0; i--) await world.look(isFired)
      await world.look(isFired, true)
      await world.looks(20, isFired)
      const status = isFired ? 'fired' : 'resolved'
      const told = world.told.slice(before)
      expect([[status], [status, status]]).toContainEqual(told)
      twice += told.length - 1
    }
  }
  // One that has told, and dies before the others know.
  expect(twice).toBeGreaterThan(0)
})

it('whenever one stands still, all is told, and once more at most', async () => {
  const random = randomFor('telling and still')
  let twice = 0
  for (let round = 0; round < ROUNDS; round++) {
    const world = new World(random, 0)
    for (let i = 0; i < 3; i++) world.add()
    for (const isFired of [true, false, true, false]) {
      const before = world.told.length
      await world.stall(isFired, random.integer(1, 12))
      await world.looks(20, isFired)
      const status = isFired ? 'fired' : 'resolved'
      const told = world.told.slice(before)
      expect([[status], [status, status]]).toContainEqual(told)
      twice += told.length - 1
    }
  }
  expect(twice).toBeGreaterThan(0)
})

it('one that has just come does not tell that it is over before it has seen enough', async () => {
  const world = new World(randomFor('telling and new'), 0)
  world.add()
  await world.looks(3, true)
  world.processes = []
  world.now += 60_000
  world.add()
  await world.looks(2, false)
  expect(world.processes[0]?.telling.isTold).toBe(true)
  expect(world.told).toEqual(['fired'])
  await world.looks(2, false)
  expect(world.told).toEqual(['fired', 'resolved'])
})

it('a process in which it still holds tells it again, if another has told that it is over', async () => {
  const world = new World(randomFor('telling and apart'), 0)
  world.add()
  world.add()
  await world.looks(3, true)
  const [one, other] = world.processes.map(({ telling }) => telling)
  // The other stands still for longer than what it holds is kept.
  world.now += 4_000
  await one?.look({ isFired: false, holds: false, now: world.now })
  expect(world.told).toEqual(['fired', 'resolved'])
  for (let i = 0; i < 2; i++) await other?.look({ isFired: true, holds: true, now: world.now })
  expect(world.told).toEqual(['fired', 'resolved', 'fired'])
})

it('within the cooldown one of each is told, whoever comes and goes', async () => {
  const random = randomFor('telling in a cooldown')
  for (let round = 0; round < ROUNDS / 10; round++) {
    const world = new World(random, 300_000)
    const told: { at: number; status: string }[] = []
    for (let i = 0; i < 3; i++) world.add()
    while (world.now < 1_800_000) {
      // Which is told, and when, is known after each look: none is killed while it tells.
      for (let i = random.integer(1, 30); i > 0; i--) {
        await world.look(random.chance(0.5))
        for (const status of world.told.slice(told.length)) {
          told.push({ at: world.now, status })
        }
      }
      if (random.chance(0.2)) {
        world.processes.shift()
        world.add()
      }
    }
    for (const { at, status } of told) {
      const near = told.filter((one) => one.status === status && Math.abs(one.at - at) < 300_000)
      expect(near).toHaveLength(1)
    }
    expect(told.length).toBeGreaterThan(3)
  }
})
