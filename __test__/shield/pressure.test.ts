import { FakeClock } from 'ratethrottle'
import { type Guard, type ShieldOptions, shield } from 'ratethrottle/shield'
import { expect, it } from 'vitest'

const CAPACITY = 1_000
const STEP_MS = 10
const STEPS_A_SECOND = 1_000 / STEP_MS

/** A guard in virtual time, and a flood of sources that are each seen once. */
class Stage {
  readonly clock = new FakeClock(1_000_000)
  readonly guard: Guard
  #next = 0

  constructor(options: ShieldOptions = {}) {
    const given: ShieldOptions = { mode: 'enforce', maxRate: `${CAPACITY}/second`, ...options }
    this.guard = shield({ ...given, clock: this.clock })
  }

  /** An IPv4 address that was not used before; each of another /24. */
  fresh(): string {
    const n = this.#next++
    return `${20 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}.1`
  }

  /** Runs for so many seconds. `perSecond` new sources send one request each, and `act` runs at each step. */
  run(seconds: number, perSecond: number, act: (step: number) => void = () => {}): void {
    for (let step = 0; step < seconds * STEPS_A_SECOND; step++) {
      this.clock.advance(STEP_MS)
      for (let i = 0; i < perSecond / STEPS_A_SECOND; i++) this.guard.decide({ ip: this.fresh() })
      act(step)
    }
  }
}

it('logins of new sources share a budget while most fail, under pressure as in peace', () => {
  const stage = new Stage()
  let served = 0
  const stuff = (): void => {
    for (let i = 0; i < 2; i++) {
      const login = { ip: stage.fresh(), path: '/login', sensitive: true }
      if (!stage.guard.decide(login).allowed) continue
      served++
      stage.guard.settle(login, 401)
    }
  }
  stage.run(10, 1_200, stuff)
  expect(stage.guard.state()).toMatchObject({ pressure: true, alarm: true })
  served = 0
  stage.run(10, 1_200, stuff)
  // 2,000 tries, of which one a second is let in.
  expect(served).toBeLessThan(30)
})

it('a network of many new sources gives its places to those who wait as told', () => {
  const stage = new Stage()
  const waiting: { ip: string; at: number; tries: number }[] = []
  const letIn: number[] = []
  const start = stage.clock.now()
  let next = 0
  const come = (visitor: { ip: string; tries: number }): void => {
    const { allowed, retryAfterMs } = stage.guard.decide({ ip: visitor.ip })
    if (!allowed) waiting.push({ ...visitor, at: stage.clock.now() + retryAfterMs })
    // Until then the network has not had its share of all traffic.
    else if (stage.clock.now() - start > 10_000) letIn.push(visitor.tries)
  }
  stage.run(30, 1_200, () => {
    come({ ip: `2001:db8:1:${(next++).toString(16)}::1`, tries: 1 })
    const due = waiting.filter(({ at }) => at <= stage.clock.now())
    for (const visitor of due) {
      waiting.splice(waiting.indexOf(visitor), 1)
      come({ ip: visitor.ip, tries: visitor.tries + 1 })
    }
  })
  // One newcomer's pace: 20 at once, and 0.75 a second.
  expect(letIn.filter((tries) => tries === 2).length).toBeGreaterThan(5)
  expect(letIn.length).toBeLessThan(60)
})

it('sources that a full table has no room for are counted, and do not escape the alarm', () => {
  const stage = new Stage({ sources: 64 })
  let blocked = 0
  for (let i = 0; i < 2_000; i++) if (stage.guard.block(stage.fresh(), 3_600_000)) blocked++
  expect(blocked).toBeGreaterThanOrEqual(64)
  const before = stage.guard.state().evictions
  let served = 0
  stage.run(20, 0, () => {
    const login = { ip: stage.fresh(), path: '/login', sensitive: true }
    if (!stage.guard.decide(login).allowed) return
    served++
    stage.guard.settle(login, 401)
  })
  expect(stage.guard.state().alarm).toBe(true)
  expect(stage.guard.state().evictions - before).toBeGreaterThan(1_000)
  expect(served).toBeLessThan(60)
})

it('a regular above its share is told how long it takes until it is let in', () => {
  const stage = new Stage()
  const regulars = Array.from({ length: 40 }, () => stage.fresh())
  const everyOne = (every: number, ips: readonly string[]) => (step: number) => {
    if (step % every === 0) for (const ip of ips) stage.guard.decide({ ip })
  }
  stage.run(100, 0, everyOne(5 * STEPS_A_SECOND, regulars))
  // 33 a second of each: below the ceiling, and more than the service can do.
  stage.run(20, 0, everyOne(3, regulars))
  const [one = '', ...others] = regulars
  const told = stage.guard.decide({ ip: one })
  expect(told).toMatchObject({ allowed: false, reasons: ['lot', 'pressure'] })
  stage.run(told.retryAfterMs / 1_000, 0, everyOne(3, others))
  expect(stage.guard.decide({ ip: one }).allowed).toBe(true)
})

it('paces no one while all who may come in fit', () => {
  const stage = new Stage()
  let next = 0
  // Two requests of each /64 of one network: its places are few, and the service has nothing to do.
  const rotate = (): void => {
    for (let i = 0; i < 5; i++) {
      const ip = `2001:db8:2:${(next++ % 65_536).toString(16)}::1`
      stage.guard.decide({ ip })
      stage.guard.decide({ ip })
    }
  }
  stage.run(5, 0, rotate)
  expect(stage.guard.state()).toMatchObject({ pressure: true, newcomerShare: 1 })
  const visitor = { ip: stage.fresh() }
  let refused = 0
  // Four requests a second for 20 seconds: five times a newcomer's pace.
  stage.run(20, 0, (step) => {
    rotate()
    if (step % 25 === 0 && !stage.guard.decide(visitor).allowed) refused++
  })
  expect(stage.guard.state().pressure).toBe(true)
  expect(refused).toBe(0)
})

it('forgets within hours who was told to wait: a time that has come round is none to come', () => {
  const stage = new Stage()
  const told: string[] = []
  stage.run(3, 3_000, () => {
    const ip = stage.fresh()
    if (!stage.guard.decide({ ip }).allowed) told.push(ip)
  })
  expect(told.length).toBeGreaterThan(100)
  // Half a minute before 16 bits of quarter seconds come round.
  stage.clock.advance(65_536 * 256 - 30_000)
  stage.run(3, 3_000)
  expect(stage.guard.state().pressure).toBe(true)
  const reasons = told.map((ip) => stage.guard.decide({ ip }).reasons)
  expect(reasons.filter((found) => found.includes('insistent'))).toEqual([])
})
