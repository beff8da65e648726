import type { ShieldDecision, ShieldOptions } from 'ratethrottle/shield'
import { describe, expect, it } from 'vitest'
import { randomFor } from '../fixtures/random.ts'
import { enforcing, MINUTE, run, SECOND } from './traffic.ts'

const STATUSES = [200, 200, 301, 400, 401, 403, 404, 404, 408, 429, 500, 503, 'dropped'] as const
const OPTIONS: ShieldOptions = {
  insistence: { block: ['30 seconds', '2 minutes', '20 minutes'] },
  failures: { block: ['1 minute', '20 minutes'] },
}
const LONGEST_BLOCK = 20 * MINUTE

type Sent = ReturnType<typeof enforcing>

/** Random calls of a few sources, fast and slow, until each has done all that one can do. */
function history({ guard, clock }: Sent, suite: string, calls: number): string[] {
  const random = randomFor(suite)
  const sources = Array.from({ length: 24 }, (_, i) => `198.51.${i >> 3}.${i}`)
  let worst = 0
  for (let i = 0; i < calls; i++) {
    const isAttack = random.chance(0.6)
    const ip = isAttack ? (sources[i % 3] as string) : random.pick(sources)
    const request = { ip, path: `/${random.integer(0, 60)}`, sensitive: random.chance(0.2) }
    if (random.chance(0.9)) worst = Math.max(worst, guard.decide(request).level)
    if (isAttack || random.chance(0.7))
      guard.settle(request, isAttack ? 404 : random.pick(STATUSES))
    clock.advance(random.chance(0.0005) ? random.integer(0, MINUTE) : random.integer(0, 5))
  }
  expect(worst).toBe(4)
  return sources
}

describe('after any history', () => {
  const pressures: readonly (readonly [string, ShieldOptions])[] = [
    ['without pressure', OPTIONS],
    ['under pressure', { ...OPTIONS, maxRate: '150/second' }],
    ['in a table that is too small', { ...OPTIONS, maxRate: '150/second', sources: 64 }],
  ]

  it.each(pressures)('a source that is silent is treated as new, %s', (name, options) => {
    const sent = enforcing(options)
    const { guard, clock } = sent
    const sources = history(sent, `every punishment ends ${name}`, 100_000)
    clock.advance(LONGEST_BLOCK + 10 * MINUTE + 1)
    expect(guard.state()).toMatchObject({ blocked: 0, pressure: false, newcomerShare: 1 })
    for (const ip of sources) {
      expect(guard.isBlocked(ip)).toBe(0)
      expect(guard.decide({ ip, sensitive: true })).toMatchObject({ allowed: true, level: 0 })
    }
    // The next offence is the first: the shortest block.
    const [ip = ''] = sources
    for (let i = 0; guard.isBlocked(ip) === 0 && i < 100_000; i++) {
      guard.decide({ ip })
      clock.advance(5)
    }
    expect(guard.isBlocked(ip)).toBeGreaterThan(0)
    expect(guard.isBlocked(ip)).toBeLessThanOrEqual(30 * SECOND)
  })

  it('no block is longer than the longest that was set', () => {
    const sent = enforcing(OPTIONS)
    const { guard, clock } = sent
    let longest = 0
    for (let i = 0; i < 400_000; i++) {
      const request = { ip: `192.0.2.${i % 5}`, path: `/${i}`, sensitive: i % 2 === 0 }
      longest = Math.max(longest, guard.decide(request).retryAfterMs)
      guard.settle(request, 404)
      clock.advance(i % 1_000 === 0 ? 31 * SECOND : 3)
    }
    expect(longest).toBeGreaterThan(LONGEST_BLOCK / 2)
    expect(longest).toBeLessThanOrEqual(LONGEST_BLOCK)
  })

  it('who is told to wait is told at most some minutes, however often', () => {
    const { guard, clock } = enforcing({ insistence: { strikes: 255 }, maxRate: '20/second' })
    let longest = 0
    for (let i = 0; i < 100_000; i++) {
      const { level, retryAfterMs } = guard.decide({ ip: `192.0.2.${i % 7}` })
      if (level < 4) longest = Math.max(longest, retryAfterMs)
      clock.advance(i % 9)
    }
    expect(longest).toBeGreaterThan(SECOND)
    expect(longest).toBeLessThanOrEqual(5 * MINUTE)
  })
})

describe('who was told to wait and went away', () => {
  const fresh = (network: number) => (n: number) => `172.${network}.${(n >> 8) & 255}.${n & 255}`

  it.each([1, 2, 3.6, 4, 4.4, 4.6, 5, 9.1])('is new under pressure %s hours later', (hours) => {
    const sent = enforcing({ maxRate: '100/second', prefixes: { share: 1 } })
    const [first] = run(sent, 5, [{ ip: fresh(16), perSecond: 400 }])
    expect(first?.refused).toBeGreaterThan(500)
    sent.clock.advance(hours * 60 * MINUTE)
    run(sent, 3, [{ ip: fresh(17), perSecond: 400 }])
    expect(sent.guard.state().pressure).toBe(true)
    const answers = Array.from({ length: 2_000 }, (_, n) => sent.guard.decide({ ip: fresh(16)(n) }))
    const longest = Math.max(...answers.map(({ retryAfterMs }) => retryAfterMs))
    expect(longest).toBeLessThanOrEqual(2 * MINUTE)
    const early = answers.filter(({ reasons }) => reasons.includes('insistent'))
    expect(early).toEqual([])
  })
})

describe('Retry-After of a 429 is true', () => {
  /** Sends fast until refused, and a little longer; the last answer. */
  function provoke({ guard, clock }: Sent, ip: string, extra: number, gap: number) {
    let last: ShieldDecision = guard.decide({ ip })
    for (let i = 0; last.allowed; i++) {
      if (i > 100_000) throw new Error('was never refused')
      clock.advance(i % 2)
      last = guard.decide({ ip })
    }
    for (let i = 0; i < extra; i++) {
      clock.advance(gap)
      last = guard.decide({ ip })
    }
    return last
  }

  it('who waits for exactly as long is let in, however it came to that', () => {
    const random = randomFor('retry-after')
    const sent = enforcing({ ceiling: '20/second' })
    const levels = new Map<number, number>()
    for (let i = 0; i < 600; i++) {
      const ip = `198.51.100.${random.integer(0, 60)}`
      const answer = provoke(sent, ip, random.pick([0, 9, 60, 2_000]), random.integer(0, 12))
      if (answer.allowed) continue
      levels.set(answer.level, (levels.get(answer.level) ?? 0) + 1)
      expect(answer.status).toBe(429)
      sent.clock.advance(answer.retryAfterMs)
      expect(sent.guard.decide({ ip }), `episode ${i}`).toMatchObject({ allowed: true })
    }
    expect(levels.get(3)).toBeGreaterThan(50)
    expect(levels.get(4)).toBeGreaterThan(50)
  })

  it('a fraction of a millisecond earlier is too early', () => {
    const sent = enforcing()
    for (let i = 0; i < 50; i++) {
      const ip = `198.51.100.${i}`
      const answer = provoke(sent, ip, 0, 0)
      sent.clock.advance(answer.retryAfterMs - 1)
      expect(sent.guard.decide({ ip }).allowed).toBe(false)
    }
  })

  it('who obeys is never blocked, however fast it is otherwise', () => {
    const sent = enforcing({ ceiling: '10/second' })
    const [fast] = run(sent, 3_600, [{ ip: '192.0.2.1', perSecond: 40, isPatient: true }])
    expect(fast?.refused).toBeGreaterThan(100)
    expect(fast?.blocked).toBe(0)
  })

  it('holds at the end of a block that was insisted through', () => {
    const { guard, clock } = enforcing()
    const ip = '192.0.2.10'
    let answer = guard.decide({ ip })
    for (let i = 0; answer.level < 4 || answer.retryAfterMs > 500; i++) {
      if (i > 100_000) throw new Error('was never blocked, or the block never ends')
      clock.advance(5)
      answer = guard.decide({ ip })
    }
    clock.advance(answer.retryAfterMs)
    expect(guard.decide({ ip }).allowed).toBe(true)
  })

  it('holds for failures, which block until the time told', () => {
    const { guard, clock } = enforcing()
    const ip = '192.0.2.9'
    for (let i = 0; i < 400 && guard.isBlocked(ip) === 0; i++) {
      const request = { ip, path: `/admin/${i}` }
      guard.decide(request)
      guard.settle(request, 404)
      clock.advance(100)
    }
    const answer = guard.decide({ ip })
    expect(answer).toMatchObject({ level: 4, reasons: ['scan'], status: 429 })
    clock.advance(answer.retryAfterMs)
    expect(guard.decide({ ip }).allowed).toBe(true)
  })
})
