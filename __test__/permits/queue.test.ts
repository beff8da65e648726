import { setTimeout as sleep } from 'node:timers/promises'
import { ConcurrencyExceeded, ConcurrencyLimiter, FakeClock, type Permit } from 'ratethrottle'
import { describe, expect, it } from 'vitest'
import { run } from '../fixtures/child.ts'
import { byLength } from '../fixtures/long.ts'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('callers that wait', () => {
  it('have their permits in the order in which they came, at once when one is released', async () => {
    const limiter = new ConcurrencyLimiter({ perKey: 1 }, { queue: 3 })
    const first = limiter.tryAcquire('k')
    const order: number[] = []
    const waits = [1, 2, 3].map(async (number) => {
      const permit = await limiter.acquire('k')
      order.push(number)
      return permit
    })
    await expect(limiter.acquire('k')).rejects.toThrow(ConcurrencyExceeded)
    expect(limiter.stats()).toMatchObject({ waiting: 3, held: 1, admitted: 1, refused: 1 })
    first?.release()
    await turn()
    expect(order).toEqual([1])
    expect(limiter.held('k')).toBe(1)
    for (const wait of waits) (await wait).release()
    expect(order).toEqual([1, 2, 3])
    expect(limiter.stats()).toMatchObject({ waiting: 0, held: 0, admitted: 4, refused: 1 })
  })

  it('are not overtaken by one who does not wait', async () => {
    const limiter = new ConcurrencyLimiter({ total: 1 }, { queue: 1 })
    const first = limiter.tryAcquire('a')
    const waits = limiter.acquire('b')
    expect(limiter.tryAcquire('c')).toBeUndefined()
    first?.release()
    expect(limiter.tryAcquire('c')).toBeUndefined()
    expect(limiter.held('b')).toBe(1)
    const permit = await waits
    permit.release()
    expect(limiter.inUse).toBe(0)
  })

  it('of a full key hold up no other key', async () => {
    const limiter = new ConcurrencyLimiter({ perKey: 1, total: 2 }, { queue: 9 })
    const busy = limiter.tryAcquire('busy')
    const waits = limiter.acquire('busy')
    expect(limiter.tryAcquire('other')).toBeDefined()
    busy?.release()
    expect(await waits).toBeDefined()
  })

  it('are refused when the wait is over, and hold nothing', async () => {
    const clock = new FakeClock()
    const limiter = new ConcurrencyLimiter(1, { queue: 2, maxWaitMs: 2_000, clock })
    const held = limiter.tryAcquire('k')
    const [usual, short] = [limiter.acquire('k'), limiter.acquire('k', { maxWaitMs: 500 })]
    const outcomes: unknown[] = []
    for (const wait of [usual, short]) wait.catch((error) => outcomes.push(error))
    clock.advance(499)
    await turn()
    expect(outcomes).toEqual([])
    clock.advance(1)
    await turn()
    expect(outcomes).toMatchObject([
      { code: 'RATE_LIMIT_EXCEEDED', reason: 'perKey', retryAfter: 1 },
    ])
    clock.advance(1_500)
    await turn()
    expect(outcomes).toHaveLength(2)
    expect(limiter.stats()).toMatchObject({ waiting: 0, held: 1, refused: 2, timedOut: 2 })
    held?.release()
    expect(limiter.inUse).toBe(0)
  })

  it('leave by their signal, 1,000 of them, and leave nothing', async () => {
    const limiter = new ConcurrencyLimiter(1, { queue: 1_000, maxWaitMs: 60_000 })
    const held = limiter.tryAcquire('k')
    const timers = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
    const gone = new Error('gone')
    const controllers = Array.from({ length: 1_000 }, () => new AbortController())
    const waits = controllers.map(({ signal }) => limiter.acquire('k', { signal }))
    const settled = Promise.allSettled(waits)
    for (const controller of controllers) controller.abort(gone)
    const reasons = (await settled).map((one) => one.status === 'rejected' && one.reason)
    expect(new Set(reasons)).toEqual(new Set([gone]))
    expect(limiter.stats()).toMatchObject({ waiting: 0, held: 1, refused: 0 })
    held?.release()
    expect(limiter.inUse).toBe(0)
    const left = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
    expect(left).toBeLessThanOrEqual(timers)
    await expect(limiter.acquire('k', { signal: AbortSignal.abort(gone) })).rejects.toBe(gone)
    expect(limiter.inUse).toBe(0)
  })

  it('are capped for all keys together, so that a million hostile keys leave nothing', () => {
    const limiter = new ConcurrencyLimiter({ total: 1 }, { queue: 4, maxWaiters: 100 })
    const held = limiter.tryAcquire('k')
    const controller = new AbortController()
    const { signal } = controller
    let waiting = 0
    for (let i = 0; i < byLength(100_000, 1_000_000); i++) {
      const entered = limiter.enter(`hostile ${i}`, signal)
      if (!(entered instanceof Promise)) continue
      waiting++
      entered.catch(() => {})
    }
    expect(waiting).toBe(100)
    controller.abort()
    held?.release()
    expect(limiter.stats()).toMatchObject({ waiting: 0, held: 0 })
  })

  it('are rejected by close, which ends what is held', async () => {
    const limiter = new ConcurrencyLimiter(1, { queue: 1 })
    const held = limiter.tryAcquire('k')
    const wait = limiter.acquire('k')
    limiter.close()
    limiter.close()
    await expect(wait).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(limiter.acquire('k')).rejects.toMatchObject({ code: 'CLOSED' })
    expect(() => limiter.tryAcquire('k')).toThrow(expect.objectContaining({ code: 'CLOSED' }))
    expect(() => limiter.held('k')).toThrow(expect.objectContaining({ code: 'CLOSED' }))
    expect(held?.isLost).toBe(true)
    held?.release()
    expect(await limiter.ready()).toEqual({ available: false, reason: 'closed' })
  })
})

it('who waits for a permit that ends by itself keeps the process', async () => {
  expect(await run('permits/waiter.mjs')).toMatchObject({ out: 'admitted\n', code: 0 })
})

describe('a permit', () => {
  it('is given back once, and at the end of its block', () => {
    const limiter = new ConcurrencyLimiter(2)
    const [one, other] = [limiter.tryAcquire('k'), limiter.tryAcquire('k')]
    one?.release()
    one?.release()
    expect(limiter.held('k')).toBe(1)
    other?.[Symbol.dispose]()
    expect(limiter.held('k')).toBe(0)
  })

  it('that close has ended stays lost when it is released', () => {
    const limiter = new ConcurrencyLimiter(2)
    const [lost, back] = [limiter.tryAcquire('k'), limiter.tryAcquire('k')]
    back?.release()
    limiter.close()
    lost?.release()
    expect([lost?.isLost, back?.isLost]).toEqual([true, false])
  })

  it('ends after maxHoldMs, and its holder can see that', async () => {
    const clock = new FakeClock()
    const limiter = new ConcurrencyLimiter(1, { maxHoldMs: 1_000, queue: 1, clock })
    const held = limiter.tryAcquire('k') as Permit
    const wait = limiter.acquire('k')
    clock.advance(999)
    expect(held.isLost).toBe(false)
    clock.advance(1)
    expect(held.isLost).toBe(true)
    const next = await wait
    held.release()
    expect(limiter.held('k')).toBe(1)
    next.release()
    expect(next.isLost).toBe(false)
    clock.advance(5_000)
    expect(limiter.stats()).toMatchObject({ held: 0, lost: 1 })
  })

  it('of a wait that is over in the instant of a release goes to the one who waits', async () => {
    const limiter = new ConcurrencyLimiter(1, { queue: 1, maxWaitMs: 20 })
    const held = limiter.tryAcquire('k')
    const wait = limiter.acquire('k')
    await sleep(5)
    held?.release()
    const next = await wait
    await sleep(30)
    expect(next.isLost).toBe(false)
    expect(limiter.held('k')).toBe(1)
  })
})

describe('a clock that fails', () => {
  const breakable = (): { now(): number; isBroken: boolean } => ({
    isBroken: false,
    now() {
      if (this.isBroken) throw new Error('no time')
      return 0
    },
  })

  it('leaves no permit that is held', () => {
    const clock = breakable()
    const limiter = new ConcurrencyLimiter(1, { clock, maxHoldMs: 1_000 })
    clock.isBroken = true
    expect(() => limiter.tryAcquire('k')).toThrow('no time')
    expect(limiter.held('k')).toBe(0)
  })

  it('takes no permit from one who has waited for it', async () => {
    const clock = breakable()
    const limiter = new ConcurrencyLimiter(1, { clock, queue: 1 })
    const held = limiter.tryAcquire('k')
    const waits = limiter.acquire('k')
    clock.isBroken = true
    held?.release()
    const permit = await waits
    permit.release()
    expect(limiter.held('k')).toBe(0)
  })
})

it('hundreds whose keys are full hold up none behind them', async () => {
  const name = `full keys ${process.pid}`
  const limits = { perKey: 1, total: 700 }
  const [holder, waiting] = [
    new ConcurrencyLimiter(limits, { name }),
    new ConcurrencyLimiter(limits, { name, queue: 1 }),
  ]
  const others = Array.from({ length: 700 }, (_, i) => holder.tryAcquire(`other ${i}`))
  const waits = Array.from({ length: 600 }, (_, i) => waiting.acquire(`key ${i}`))
  const rejected = Promise.allSettled(waits)
  // Now all are refused for their keys, but for the last one.
  for (const permit of others) permit?.release()
  for (let i = 0; i < 599; i++) expect(holder.tryAcquire(`key ${i}`)).toBeDefined()
  expect((await waits[599])?.isLost).toBe(false)
  expect(waiting.stats().waiting).toBe(599)
  waiting.close()
  await rejected
  holder.close()
})
