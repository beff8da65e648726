import { FakeClock, RateLimiter } from 'ratethrottle'
import { afterEach, expect, it } from 'vitest'
import { openVariableLimiter } from '../../dist/native-limiter.js'
import { freshName } from '../shared/place.ts'

/** What both kinds of limiters are asked here. */
interface Flooded {
  allow(key: string): boolean
  stats(): { readonly moved: number; readonly bytes: number }
}

const LIMIT = '5/hour'
const OPTIONS = { blockFor: '15 minutes' } as const
/** 32 bytes for each key were the table's, before it remembered denied keys elsewhere. */
const BYTES_PER_KEY = 32
const open: { close(): void }[] = []

afterEach(() => {
  for (const limiter of open.splice(0)) limiter.close()
})

/** A flood of `networks` that send six requests each, and newcomers in between and afterwards. */
function flood(limiter: Flooded, networks: number, keyOf: (request: number) => number) {
  const asked = new Map<number, number>()
  let [admitted, meanwhile, newcomers] = [0, 0, 0]
  for (let request = 0; request < networks * 6; request++) {
    const network = keyOf(request)
    asked.set(network, (asked.get(network) ?? 0) + 1)
    if (limiter.allow(`2001:db8:${network.toString(16)}::/64`)) admitted++
    if (request % 75 !== 0) continue
    newcomers++
    if (limiter.allow(`newcomer ${request}`)) meanwhile++
  }
  const unbounded = [...asked.values()].reduce((sum, count) => sum + Math.min(count, 5), 0)
  return { attackers: admitted / unbounded, meanwhile: meanwhile / newcomers }
}

function newcomersAfter(limiter: Flooded, count: number): number {
  let admitted = 0
  for (let n = 0; n < count; n++) if (limiter.allow(`later ${n}`)) admitted++
  return admitted / count
}

const NETWORKS = 262_144
const ORDERS: [string, (request: number) => number][] = [
  ['one after the other', (request) => Math.floor(request / 6)],
]

it.each(ORDERS)(
  '262,144 networks that are denied, %s, lock no newcomer out at the default capacity',
  (_, keyOf) => {
    const limiter = new RateLimiter(LIMIT, OPTIONS)
    open.push(limiter)
    const { attackers, meanwhile } = flood(limiter, NETWORKS, keyOf)
    expect(meanwhile).toBeGreaterThan(0.99)
    expect(newcomersAfter(limiter, 40_000)).toBeGreaterThan(0.99)
    expect(attackers).toBeLessThan(1.1)
    expect(limiter.stats().moved).toBeGreaterThan(200_000)
    expect(limiter.stats().bytes).toBeLessThan(2 * 100_000 * (BYTES_PER_KEY + 2))
  },
)

const STORAGES: [string, () => Flooded & { close(): void }][] = [
  ['memory', () => new RateLimiter(LIMIT, { ...OPTIONS, capacity: 10_000 })],
  [
    'a file that processes share',
    () => new RateLimiter(LIMIT, { ...OPTIONS, capacity: 10_000, shared: true, name: freshName() }),
  ],
  // Not of 'sliding-log': what a log has admitted cannot be told from less than all of it, so it keeps its slot.
  ...(['sliding-window', 'fixed-window'] as const).map(
    (algorithm): [string, () => Flooded & { close(): void }] => [
      algorithm,
      () => new RateLimiter(LIMIT, { ...OPTIONS, algorithm, capacity: 10_000 }),
    ],
  ),
]

it.each(STORAGES)('in %s, a tenth of that does not either', (_, make) => {
  const limiter = make()
  open.push(limiter)
  const { attackers, meanwhile } = flood(limiter, NETWORKS / 10, (n) => Math.floor(n / 6))
  expect(meanwhile).toBeGreaterThan(0.99)
  expect(newcomersAfter(limiter, 4_000)).toBeGreaterThan(0.99)
  expect(attackers).toBeLessThan(1.1)
})

it('with limits that vary, it does not either', () => {
  const limiter = openVariableLimiter({ ...OPTIONS, capacity: 10_000 })
  open.push(limiter)
  const tier = limiter.with([{ count: 5, windowMs: 3_600_000 }])
  const flooded = {
    allow: (key: string) => tier.check(key).allowed,
    stats: () => limiter.stats(),
  }
  const { attackers, meanwhile } = flood(flooded, NETWORKS / 10, (n) => Math.floor(n / 6))
  expect(meanwhile).toBeGreaterThan(0.99)
  expect(newcomersAfter(flooded, 4_000)).toBeGreaterThan(0.99)
  expect(attackers).toBeLessThan(1.1)
})

it('keeps every key denied that was blocked before, and lets it go when its time is over', () => {
  const clock = new FakeClock()
  const limiter = new RateLimiter(LIMIT, { ...OPTIONS, capacity: 10_000, clock })
  open.push(limiter)
  const keys = Array.from({ length: 500 }, (_, n) => `blocked ${n}`)
  for (const key of keys) limiter.block(key, 600_000)
  flood(limiter, NETWORKS / 10, (n) => Math.floor(n / 6))
  clock.advance(599_999)
  expect(keys.filter((key) => limiter.allow(key))).toEqual([])
  clock.advance(1 + 600_000 / 124)
  expect(keys.filter((key) => limiter.allow(key)).length).toBeGreaterThan(497)
})
