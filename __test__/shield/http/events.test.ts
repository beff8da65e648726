import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { FakeClock } from 'ratethrottle'
import { type ShieldEvent, type ShieldOptions, shield } from 'ratethrottle/shield'
import { expect, it, onTestFinished, vi } from 'vitest'
import { PATIENCE } from '../../fixtures/patience.ts'
import { warnings } from '../../fixtures/warned.ts'

const CHANNEL = 'ratethrottle:shield'

/** All that is published until the test ends. */
function published(): ShieldEvent[] {
  const seen: ShieldEvent[] = []
  const note = (event: unknown): void => void seen.push(event as ShieldEvent)
  subscribe(CHANNEL, note)
  onTestFinished(() => void unsubscribe(CHANNEL, note))
  return seen
}

function guardOf(options: ShieldOptions) {
  const guard = shield(options)
  onTestFinished(() => guard.close())
  return guard
}

/** Fails at a login until the source is blocked. */
function stuff(guard: ReturnType<typeof shield>, ip: string): void {
  for (let i = 0; i < 20; i++) {
    guard.decide({ ip, sensitive: true })
    guard.settle({ ip, path: '/login', sensitive: true }, 401)
  }
}

it.each([
  ['enforce', true],
  ['watch', false],
] as const)('a block that begins is reported once, in mode %s', (mode, enforced) => {
  const seen = published()
  const hooked: ShieldEvent[] = []
  const guard = guardOf({ mode, onBlock: (event) => hooked.push(event), clock: new FakeClock() })
  stuff(guard, '2001:db8:1:2:3::4')
  const event = { type: 'block', source: '2001:db8:1:2::/64', reasons: ['failures'] }
  expect(seen).toEqual([{ ...event, ms: 600_000, enforced, more: 0 }])
  expect(hooked).toEqual(seen)
})

it('of a million blocks at most 60 a minute are reported, and the sums add up', () => {
  const clock = new FakeClock()
  const seen = published()
  const guard = guardOf({ mode: 'enforce', sources: 4_096, clock })
  let blocked = 0
  for (let i = 0; i < 1_000_000; i++) {
    if (i % 10_000 === 0) clock.advance(600)
    if (guard.block(`10.${i & 3}.${(i >> 2) & 255}.9`, 1)) blocked++
  }
  const events = seen.filter((event) => event.type === 'block')
  expect(events.length).toBeLessThanOrEqual(120)
  clock.advance(2_000)
  guard.decide({ ip: '10.9.9.9' })
  const all = seen.filter((event) => event.type === 'block')
  const summed = all.reduce((sum, { source, more }) => sum + more + (source ? 1 : 0), 0)
  expect(summed).toBe(blocked)
  expect(blocked).toBeGreaterThan(900_000)
})

it('pressure is reported when it begins and when it ends', () => {
  const clock = new FakeClock()
  const seen = published()
  const hooked: boolean[] = []
  const onPressure = ({ active }: { active: boolean }) => hooked.push(active)
  const guard = guardOf({ mode: 'enforce', maxRate: '100/second', onPressure, clock })
  const run = (perSecond: number, seconds: number): void => {
    for (let i = 0; i < perSecond * seconds; i++) {
      clock.advance(1_000 / perSecond)
      guard.decide({ ip: `10.1.${i % 200}.${(i >> 3) % 200}` })
    }
  }
  run(50, 10)
  expect(hooked).toEqual([])
  run(400, 20)
  run(20, 60)
  expect(hooked).toEqual([true, false])
  const pressure = seen.filter(({ type }) => type === 'pressure')
  expect(pressure).toEqual([
    { type: 'pressure', active: true, enforced: true },
    { type: 'pressure', active: false, enforced: true },
  ])
})

it('the alarm is published when most logins fail', () => {
  const clock = new FakeClock()
  const seen = published()
  const guard = guardOf({ mode: 'enforce', clock })
  for (let i = 0; i < 2_000; i++) {
    clock.advance(10)
    const request = { ip: `10.${i % 7}.${i % 250}.3`, path: '/login', sensitive: true }
    if (guard.decide(request).allowed) guard.settle(request, 401)
  }
  expect(seen.filter(({ type }) => type === 'alarm')).toEqual([
    { type: 'alarm', active: true, enforced: true },
  ])
})

it('without a clock pressure is noticed without a request', async () => {
  const seen = published()
  const guard = guardOf({ mode: 'enforce', maxRate: '10/second' })
  for (let i = 0; i < 20_000; i++) guard.decide({ ip: `10.1.${i % 250}.${(i >> 8) % 250}` })
  await vi.waitFor(() => expect(seen).toMatchObject([{ type: 'pressure', active: true }]), PATIENCE)
})

it('a hook that throws or rejects changes nothing, and is warned about once', async () => {
  const seen = warnings()
  const hooks = [
    () => {
      throw new Error('on purpose')
    },
    async () => {
      throw new Error('on purpose')
    },
  ]
  for (const onBlock of hooks) {
    const guard = guardOf({ mode: 'enforce', onBlock, clock: new FakeClock() })
    expect(guard.block('10.0.0.1', 1_000)).toBe(true)
    expect(guard.block('10.0.0.2', 1_000)).toBe(true)
  }
  const codes = (await seen.of('RATETHROTTLE_HOOK_FAILED')).map(({ message }) => message)
  expect(codes).toHaveLength(2)
  expect(codes[0]).toMatch(/^onBlock or onPressure threw: Error: on purpose$/)
})

it('a hook that asks the guard changes no decision', () => {
  const clock = new FakeClock()
  let asked = 0
  const onPressure = (): void => {
    asked++
    guard.block('192.0.2.9', 1_000)
    guard.decide({ ip: '192.0.2.9' })
  }
  const guard = guardOf({ mode: 'enforce', maxRate: '20/second', clock, onPressure })
  guard.block('192.0.2.1', 3_600_000)
  for (let i = 1; i <= 100; i++) {
    // Hooks are called when time has passed: in the call about the blocked source.
    clock.advance(300)
    const { level, reasons, retryAfterMs } = guard.decide({ ip: '192.0.2.1' })
    expect([level, reasons, retryAfterMs]).toEqual([4, [], 3_600_000 - 300 * i])
    for (let n = 0; n < 100; n++) guard.decide({ ip: `10.0.${i}.${n}` })
  }
  expect(asked).toBeGreaterThan(0)
})
