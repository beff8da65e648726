import { setTimeout as sleep } from 'node:timers/promises'
import { FakeClock, RateLimitExceeded, RateLimiter } from 'ratethrottle'
import { expect, it } from 'vitest'
import { randomFor } from '../fixtures/random.ts'

/** Lets the reactions of settled promises run. */
const settle = () => sleep(0)

function shaping(limits = '1/second') {
  const clock = new FakeClock()
  return { clock, limiter: new RateLimiter(limits, { algorithm: 'leaky-bucket', clock }) }
}

it('wait admits at once when there are units', async () => {
  const { limiter } = shaping()
  expect(await limiter.wait('k')).toMatchObject({ allowed: true, remaining: 0 })
})

it('wait admits a hundred waiters in order, each at its exact time', async () => {
  const { clock, limiter } = shaping()
  const seen: [number, number][] = []
  for (let i = 0; i < 100; i++) limiter.wait('k').then(() => seen.push([i, clock.now()]))
  for (let second = 0; second < 100; second++) {
    await settle()
    clock.advance(1_000)
  }
  expect(seen).toEqual(Array.from({ length: 100 }, (_, i) => [i, i * 1_000]))
})

it('a waiter with a smaller cost does not overtake, and keys do not delay each other', async () => {
  const { clock, limiter } = shaping('4/second')
  await limiter.wait('k', { cost: 4 })
  const seen: string[] = []
  limiter.wait('k', { cost: 4 }).then(() => seen.push('large'))
  limiter.wait('k', { cost: 1 }).then(() => seen.push('small'))
  limiter.wait('other').then(() => seen.push('other'))
  clock.advance(500)
  await settle()
  expect(seen).toEqual(['other'])
  clock.advance(500)
  await settle()
  clock.advance(999)
  await settle()
  expect(seen).toEqual(['other', 'large'])
  clock.advance(1)
  await settle()
  expect(seen).toEqual(['other', 'large', 'small'])
})

it('an aborted waiter is not charged, and delays no other waiter', async () => {
  const { clock, limiter } = shaping()
  await limiter.wait('k')
  const [head, queued] = [new AbortController(), new AbortController()]
  const waits = [
    limiter.wait('k', { signal: head.signal }),
    limiter.wait('k', { signal: queued.signal }),
    limiter.wait('k'),
  ]
  queued.abort(new Error('queued gave up'))
  head.abort(new Error('head gave up'))
  await expect(waits[0]).rejects.toThrow('head gave up')
  await expect(waits[1]).rejects.toThrow('queued gave up')
  clock.advance(1_000)
  expect(await waits[2]).toMatchObject({ allowed: true })
  await expect(limiter.wait('k', { signal: AbortSignal.abort(new Error('late')) })).rejects.toThrow(
    'late',
  )
})

it('a wait that must exceed its timeout rejects at once, one in the queue at its deadline', async () => {
  const { clock, limiter } = shaping()
  await limiter.wait('k')
  for (const maxWaitMs of [0, 999]) {
    await expect(limiter.wait('k', { maxWaitMs })).rejects.toBeInstanceOf(RateLimitExceeded)
  }
  const first = limiter.wait('k', { maxWaitMs: 1_000 })
  const queued = limiter.wait('k', { maxWaitMs: 1_500 })
  const refused = expect(queued).rejects.toBeInstanceOf(RateLimitExceeded)
  clock.advance(1_500)
  expect(await first).toMatchObject({ allowed: true })
  await refused
})

it('a cost that is never admitted, wrong arguments and a closed limiter reject', async () => {
  const { limiter } = shaping()
  await expect(limiter.wait('k', { cost: 2 })).rejects.toMatchObject({
    retryAfter: Number.POSITIVE_INFINITY,
  })
  await expect(limiter.wait('k', { cost: Number.NaN })).rejects.toThrow('cost')
  await expect(limiter.wait(5 as unknown as string)).rejects.toThrow('key')
  await expect(limiter.wait('k', { maxWaitMs: -1 })).rejects.toThrow('maxWaitMs')
  await expect(limiter.wait('k', { signal: {} as AbortSignal })).rejects.toThrow('signal')
  await limiter.wait('k')
  const waiting = expect(limiter.wait('k')).rejects.toMatchObject({ code: 'CLOSED' })
  limiter.close()
  await waiting
})

it('wait paces calls evenly on the real clock', async () => {
  const limiter = new RateLimiter('1/40ms', { algorithm: 'leaky-bucket' })
  const start = performance.now()
  await Promise.all(Array.from({ length: 6 }, () => limiter.wait('k')))
  // Never early; how late depends on the machine.
  expect(performance.now() - start).toBeGreaterThanOrEqual(199)
})

it('a wait of a month does not set a timer that fires at once', async () => {
  const limiter = new RateLimiter('1/month')
  const warnings: Error[] = []
  const note = (warning: Error) => warnings.push(warning)
  process.on('warning', note)
  await limiter.wait('k')
  let settled = false
  const waiting = limiter.wait('k').finally(() => {
    settled = true
  })
  await sleep(20)
  expect([settled, warnings]).toEqual([false, []])
  limiter.close()
  await expect(waiting).rejects.toMatchObject({ code: 'CLOSED' })
  process.off('warning', note)
})

it('random schedules agree with a model of the queue', async () => {
  const random = randomFor('wait')
  for (let round = 0; round < 50; round++) {
    const { clock, limiter } = shaping('1/100ms')
    const admitted: number[] = []
    const paper: number[] = []
    let free = 0
    for (let i = 0; i < 40; i++) {
      const controller = new AbortController()
      const at = Math.max(free, clock.now())
      const wait = limiter.wait('k', { signal: controller.signal })
      wait.then(() => admitted.push(i)).catch(() => undefined)
      // Only a waiter that is still queued can be aborted.
      if (at > clock.now() && random.chance(0.3)) controller.abort()
      else {
        paper.push(i)
        free = at + 100
      }
      await settle()
      clock.advance(random.integer(0, 150))
    }
    clock.advance(10_000)
    await settle()
    expect(admitted).toEqual(paper)
  }
})
