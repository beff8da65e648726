import { ConcurrencyLimiter } from 'ratethrottle'
import { expect, it, onTestFinished } from 'vitest'
import { byLength } from '../fixtures/long.ts'
import { PATIENCE } from '../fixtures/patience.ts'
import { until } from '../redis/faults.ts'
import { freshName } from '../shared/place.ts'
import { Storm } from './storm/storm.ts'

const { PROVE_PERMIT_STEPS } = process.env
const STEPS = Number(PROVE_PERMIT_STEPS ?? byLength(50_000, 20_000_000))
const KEYS = 8
const LIMITS = { perKey: 3, total: 12 }
/** Of each thread: permits that it takes at once, and callers that wait for one. */
const CALLERS = { slots: 16, patient: 2 }
const PAUSE_MS = 200

it('never more are held than may be, while processes are killed and threads end; then all are free', {
  timeout: 3_600_000,
}, async () => {
  const { perKey, total } = LIMITS
  const name = freshName()
  const storm = new Storm({
    program: 'shared-caller.mjs',
    options: { name, limits: LIMITS, keys: KEYS, ...CALLERS, threads: 1, threadMs: 500 },
    processes: byLength(1, 3),
    leaseMs: Number.POSITIVE_INFINITY,
  })
  onTestFinished(async () => void (await storm.end()))
  const { tally } = storm
  await storm.rage({
    steps: STEPS,
    ofRound: byLength(25_000, 100_000),
    faults: [() => storm.kill(), () => storm.pause(PAUSE_MS), () => storm.kill()],
    isShown: () =>
      Math.min(tally.refused, tally.waited) > 0 && storm.overlap.most(perKey, total).ofAll >= total,
  })
  const figures = await storm.end()
  const most = storm.overlap.most(perKey, total)
  const limiter = new ConcurrencyLimiter(LIMITS, { name, shared: true })
  onTestFinished(() => limiter.close())
  const endedAt = performance.now()
  // What the dead held is found by those who are refused.
  const take = (): boolean =>
    Array.from({ length: KEYS * perKey }, (_, i) => limiter.tryAcquire(`key ${i % KEYS}`)) &&
    limiter.inUse >= total
  await until(take, PATIENCE, 'all free')
  const freeAfterMs = Math.round(performance.now() - endedAt)
  console.log(JSON.stringify({ ...figures, ...most, freeAfterMs }))
  expect(most).toMatchObject({ ofKey: perKey, ofAll: total })
  expect(limiter.stats()).toMatchObject({ admitted: total, held: total })
  expect(tally.lost).toBe(0)
  expect(Math.min(tally.refused, tally.waited)).toBeGreaterThan(0)
})
