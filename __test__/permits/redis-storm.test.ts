import { type AsyncConcurrencyLimiter, createConcurrencyLimiter, type Permit } from 'ratethrottle'
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest'
import { byLength } from '../fixtures/long.ts'
import { PATIENCE } from '../fixtures/patience.ts'
import { until } from '../redis/faults.ts'
import { type Server, startServer } from '../redis/server.ts'
import { Storm } from './storm/storm.ts'

let server: Server

beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.stop())

const { PROVE_PERMIT_STEPS } = process.env
const STEPS = Number(PROVE_PERMIT_STEPS ?? byLength(3_000, 10_000_000))
const NAME = 'storm'
const KEYS = byLength(3, 48)
const LIMITS = byLength({ perKey: 3, total: 5 }, { perKey: 4, total: 48 })
const CALLERS = byLength({ hasty: 6, patient: 3, long: 1 }, { hasty: 100, patient: 12, long: 7 })
const LEASE_MS = byLength(500, 1_000)

/** Takes as many permits as there are. */
async function takeAll(limiter: AsyncConcurrencyLimiter): Promise<readonly Permit[]> {
  const keys = Array.from({ length: KEYS * (LIMITS.perKey + 1) }, (_, i) => `key ${i % KEYS}`)
  const taken = await Promise.all(keys.map((key) => limiter.take(key)))
  return taken.flatMap((one) => ('release' in one ? [one] : []))
}

/** Waits until all that there may be are free, and takes them. */
async function allFree(): Promise<readonly Permit[]> {
  const options = { storage: server.url, ...LIMITS, name: NAME, leaseMs: LEASE_MS }
  const limiter = createConcurrencyLimiter({ ...options, deadlineMs: 5_000 })
  onTestFinished(() => limiter.close())
  let taken: readonly Permit[] = []
  const areFree = async (): Promise<boolean> => {
    for (const permit of taken) permit.release()
    taken = await takeAll(limiter)
    return taken.length >= LIMITS.total
  }
  await until(areFree, PATIENCE, 'all free')
  return taken
}

it('never more are held than may be, while processes are killed and stopped; then all are free', {
  timeout: 3_600_000,
}, async () => {
  const { perKey, total } = LIMITS
  const options = { storage: server.url, limits: LIMITS, name: NAME, keys: KEYS }
  const storm = new Storm({
    program: 'redis-caller.mjs',
    options: { ...options, leaseMs: LEASE_MS, callers: CALLERS },
    processes: byLength(2, 6),
    leaseMs: LEASE_MS,
  })
  onTestFinished(async () => void (await storm.end()))
  const { tally } = storm
  await storm.rage({
    steps: STEPS,
    ofRound: byLength(1_000, 25_000),
    faults: [
      () => storm.pause(LEASE_MS * 1.3),
      () => storm.kill(),
      () => storm.pause(Math.random() * LEASE_MS),
    ],
    restMs: LEASE_MS * 2,
    isShown: () =>
      tally.lostInPause > 0 &&
      Math.min(tally.outlasted, tally.refused, tally.waited) > 0 &&
      storm.overlap.most(perKey, total).ofAll >= total,
  })
  const figures = await storm.end()
  const most = storm.overlap.most(perKey, total)
  const endedAt = performance.now()
  const free = await allFree()
  const freeAfterMs = Math.round(performance.now() - endedAt)
  console.log(JSON.stringify({ ...figures, ...most, freeAfterMs }))
  expect(most).toMatchObject({ ofKey: perKey, ofAll: total })
  expect(free).toHaveLength(total)
  // Those that stood still for longer than a lease have seen it; those that did not kept theirs for longer than that.
  expect(tally.unnoticed).toBe(0)
  expect(Math.min(tally.lostInPause, tally.outlasted, tally.refused, tally.waited)).toBeGreaterThan(
    0,
  )
})
