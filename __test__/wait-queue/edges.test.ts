import { getEventListeners } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Clock, FakeClock, RateLimitExceeded, RateLimiter } from 'ratethrottle'
import { expect, it } from 'vitest'

function shaping(limits = '1/second', clock = new FakeClock()) {
  return { clock, limiter: new RateLimiter(limits, { algorithm: 'leaky-bucket', clock }) }
}

it('a waiter whose turn is exactly at its deadline is admitted', async () => {
  const { clock, limiter } = shaping()
  await limiter.wait('k')
  const waits = [limiter.wait('k'), limiter.wait('k', { maxWaitMs: 2_000 })]
  clock.advance(5_000)
  expect(await Promise.all(waits)).toMatchObject([{ allowed: true }, { allowed: true }])
})

it('a waiter that would be late is refused at once, also behind others in the queue', async () => {
  const { limiter } = shaping('4/second')
  await limiter.wait('k', { cost: 4 })
  const head = limiter.wait('k', { cost: 4 })
  for (const options of [{ maxWaitMs: 0 }, { maxWaitMs: 249 }, { cost: 5 }]) {
    await expect(limiter.wait('k', options)).rejects.toBeInstanceOf(RateLimitExceeded)
  }
  limiter.close()
  await expect(head).rejects.toMatchObject({ code: 'CLOSED' })
})

it('many waiters share one listener on a signal, and remove it', async () => {
  const { clock, limiter } = shaping()
  const controller = new AbortController()
  const { signal } = controller
  await limiter.wait('k', { signal })
  const waits = Array.from({ length: 30 }, () => limiter.wait('k', { signal }))
  const settled = Promise.allSettled(waits)
  expect(getEventListeners(signal, 'abort')).toHaveLength(1)
  clock.advance(10_000)
  controller.abort()
  const states = (await settled).map(({ status }) => status)
  expect(states.filter((status) => status === 'fulfilled')).toHaveLength(10)
  expect(states.filter((status) => status === 'rejected')).toHaveLength(20)
  expect(getEventListeners(signal, 'abort')).toHaveLength(0)
})

it('a deadline beyond the longest timer is respected', async () => {
  const day = 86_400_000
  const { clock, limiter } = shaping('1/60 days')
  await limiter.wait('k')
  const first = limiter.wait('k')
  // 61 days would be enough for one, and this is the second in line.
  const refused = expect(limiter.wait('k', { maxWaitMs: 61 * day })).rejects.toThrow('retry')
  clock.advance(61 * day)
  expect(await first).toMatchObject({ allowed: true })
  await refused
})

it('a clock that throws rejects the waiters and does not end the process', async () => {
  let time = 0
  const clock: Clock = { now: () => time }
  const limiter = new RateLimiter('1/20ms', { algorithm: 'leaky-bucket', clock })
  await limiter.wait('k')
  const waiting = expect(limiter.wait('k')).rejects.toThrow()
  time = Number.NaN
  await sleep(40)
  await waiting
})

it('an unknown option of wait is refused by name', async () => {
  const { limiter } = shaping()
  await expect(limiter.wait('k', { maxWait: 5 } as object)).rejects.toThrow('maxWait')
  await expect(limiter.wait('k', null as unknown as object)).rejects.toThrow('options')
})
