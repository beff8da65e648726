import { setTimeout as sleep } from 'node:timers/promises'
import {
  type AsyncConcurrencyLimiter,
  ConcurrencyExceeded,
  type CreateConcurrencyOptions,
  createConcurrencyLimiter,
  type Permit,
} from 'ratethrottle'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { byLength } from '../fixtures/long.ts'
import { until } from '../redis/faults.ts'
import { type Server, serverForTest, startServer } from '../redis/server.ts'

let server: Server
let names = 0

beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.stop())

/** Permits in Redis of a name that no other test has. */
function open(
  options: CreateConcurrencyOptions,
  name = `test ${names++}`,
): AsyncConcurrencyLimiter {
  const limiter = createConcurrencyLimiter({
    storage: server.url,
    name,
    deadlineMs: 30_000,
    ...options,
  })
  onTestFinished(() => limiter.close())
  return limiter
}

/** The sets of permits of that name which Redis has. */
async function sets(name: string): Promise<readonly string[]> {
  const keys = await server.admin.keys(`*${name.replaceAll(' ', '*')}*`)
  return keys.filter((key) => !key.includes('{processes}'))
}

/** The permits of those who got one. */
async function admitted(asked: readonly Promise<Permit>[]): Promise<Permit[]> {
  const settled = await Promise.allSettled(asked)
  for (const one of settled) {
    if (one.status === 'rejected') expect(one.reason).toBeInstanceOf(ConcurrencyExceeded)
  }
  return settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
}

describe('permits in Redis', () => {
  it.each([{ perKey: 7 }, { total: 7 }, { perKey: 7, total: 9 }, { perKey: 9, total: 7 }])(
    'are exactly as many as %j lets, of 200 parallel callers in two limiters',
    async (limits) => {
      const name = `parallel ${names++}`
      const [one, other] = [open(limits, name), open(limits, name)]
      const asked = Array.from({ length: 200 }, (_, i) => (i % 2 === 0 ? one : other).acquire('k'))
      const permits = await admitted(asked)
      expect(permits).toHaveLength(7)
      expect(await one.held('k')).toBe(7)
      for (const permit of permits) permit.release()
      await until(async () => (await other.held('k')) === 0)
      expect(await sets(name)).toEqual([])
    },
  )

  it('are all or nothing: who gets none of all keys holds none of its own', async () => {
    const limiter = open({ perKey: 2, total: 2 })
    const permits = [await limiter.acquire('a'), await limiter.acquire('b')]
    await expect(limiter.acquire('c')).rejects.toMatchObject({
      reason: 'total',
      decision: { limit: 2 },
    })
    expect(await limiter.held('c')).toBe(0)
    expect(permits.map(({ isLost }) => isLost)).toEqual([false, false])
  })

  it('are held by as many keys as there is room for', async () => {
    const limiter = open({ perKey: 2, capacity: 2 })
    const [permit] = [await limiter.acquire('a'), await limiter.acquire('b')]
    await expect(limiter.acquire('c')).rejects.toMatchObject({ reason: 'capacity' })
    expect((await limiter.acquire('b')).isLost).toBe(false)
    permit.release()
    expect((await limiter.acquire('c')).isLost).toBe(false)
  })

  it('leave nothing in Redis or here, whatever number of keys had some', async () => {
    const limiter = open({ perKey: 1, total: 1_000_000 }, 'hostile')
    for (let from = 0; from < byLength(4_000, 200_000); from += 1_000) {
      const keys = Array.from({ length: 1_000 }, (_, i) => `${'x'.repeat(i % 300)} ${from + i}`)
      const permits = await Promise.all(keys.map((key) => limiter.acquire(key)))
      for (const permit of permits) permit.release()
    }
    expect(limiter.stats()).toMatchObject({ held: 0, waiting: 0, refused: 0 })
    await until(async () => (await sets('hostile')).length === 0)
  })

  it('have no tryAcquire', () => {
    const limiter = open({ perKey: 1 })
    // @ts-expect-error: a permit that comes as a promise is there for all who forget await
    expect(() => limiter.tryAcquire('k')).toThrow(
      expect.objectContaining({ code: 'ASYNC_LIMITER' }),
    )
  })

  it('are given to those who wait, in their order, in this process and in another', async () => {
    const name = `order ${names++}`
    const here = open({ perKey: 1, queue: 5 }, name)
    const there = open({ perKey: 1 }, name)
    const foreign = await there.acquire('k')
    const order: number[] = []
    const waits = [1, 2, 3].map(async (number) => {
      const permit = await here.acquire('k')
      order.push(number)
      permit.release()
    })
    await sleep(30)
    expect(order).toEqual([])
    foreign.release()
    await Promise.all(waits)
    expect(order).toEqual([1, 2, 3])
    expect(here.stats()).toMatchObject({ held: 0, waiting: 0, admitted: 3, refused: 0 })
  })

  it('leave nothing of 1,000 callers that gave up before, while or after they were asked for', async () => {
    const limiter = open({ perKey: 3, total: 50, queue: 1_000 }, 'none left')
    const held = await Promise.all([1, 2, 3].map(() => limiter.acquire('k')))
    const gone = new Error('gone')
    const settled = await Promise.allSettled(
      Array.from({ length: 1_000 }, (_, i) => {
        const abort = new AbortController()
        const wait = limiter.acquire(i % 3 === 0 ? 'k' : `other ${i % 40}`, {
          signal: abort.signal,
        })
        if (i % 2 === 0) abort.abort(gone)
        else setTimeout(() => abort.abort(gone), i % 20)
        return wait.then((permit) => permit.release())
      }),
    )
    const reasons = settled.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []))
    expect(new Set(reasons)).toEqual(new Set([gone]))
    expect(reasons.length).toBeGreaterThan(500)
    for (const permit of held) permit.release()
    expect(limiter.stats()).toMatchObject({ held: 0, waiting: 0 })
    await until(async () => (await sets('none left')).length === 0)
  })

  it('are refused when the wait is over', async () => {
    const limiter = open({ perKey: 1, queue: 2, maxWaitMs: 120 })
    const held = await limiter.acquire('k')
    await expect(limiter.acquire('k')).rejects.toBeInstanceOf(ConcurrencyExceeded)
    expect(limiter.stats()).toMatchObject({ refused: 1, timedOut: 1, waiting: 0, held: 1 })
    held.release()
  })

  it('are held for as long as they are renewed, and end with maxHoldMs', async () => {
    const limiter = open({ perKey: 1, leaseMs: 3_000 })
    const timed = open({ perKey: 1, maxHoldMs: 3_000 })
    const [held, short] = [await limiter.acquire('k'), await timed.acquire('k')]
    await sleep(4_000)
    expect(held.isLost).toBe(false)
    await expect(limiter.acquire('k')).rejects.toBeInstanceOf(ConcurrencyExceeded)
    expect(short.isLost).toBe(true)
    expect(timed.stats()).toMatchObject({ held: 0, lost: 1 })
    const next = await timed.acquire('k')
    expect(next.isLost).toBe(false)
  })

  it('are taken again after Redis has lost its data', async () => {
    const own = await serverForTest()
    const options = { storage: own.url, perKey: 2, leaseMs: 6_000, name: 'again' }
    const limiter = createConcurrencyLimiter({ ...options, deadlineMs: 30_000 })
    onTestFinished(() => limiter.close())
    const permits = [await limiter.acquire('k'), await limiter.acquire('k')]
    await own.admin.flushall()
    await until(async () => (await limiter.held('k')) === 2)
    expect(permits.map(({ isLost }) => isLost)).toEqual([false, false])
  })

  it('are lost when another has them after the lease, and stay so', async () => {
    const own = await serverForTest()
    const options = { storage: own.url, perKey: 1, leaseMs: 1_500, name: 'lost' }
    const patient = { ...options, deadlineMs: 30_000 }
    const limiter = createConcurrencyLimiter({ ...patient, onError: 'closed' as const })
    onTestFinished(() => limiter.close())
    const permit = await limiter.acquire('k')
    own.signal('SIGSTOP')
    await sleep(1_800)
    expect(permit.isLost).toBe(true)
    own.signal('SIGCONT')
    await until(() => limiter.stats().lost === 1)
    expect([permit.isLost, limiter.stats().held]).toEqual([true, 0])
    const next = createConcurrencyLimiter({ ...patient, leaseMs: 60_000 })
    onTestFinished(() => next.close())
    await until(async () => (await next.held('k')) === 0)
    const other = await next.acquire('k')
    permit.release()
    await sleep(50)
    expect(await next.held('k')).toBe(1)
    expect(other.isLost).toBe(false)
  })
})

describe('while Redis is away', () => {
  const away = { storage: 'redis://127.0.0.1:1/0', connectTimeoutMs: 50, name: 'away' }

  it('onError decides: this process’ share, no bound, or nobody', async () => {
    const local = open({ ...away, perKey: 4, total: 5, processes: 2 })
    const [first, second] = [await local.acquire('k'), await local.acquire('k')]
    await expect(local.acquire('k')).rejects.toMatchObject({
      reason: 'perKey',
      decision: { limit: 4 },
    })
    await local.acquire('other')
    await expect(local.acquire('third')).rejects.toMatchObject({
      reason: 'total',
      decision: { limit: 5 },
    })
    first.release()
    second.release()
    expect((await local.acquire('third')).isLost).toBe(false)
    const free = open({ ...away, perKey: 1, onError: 'open' })
    expect(await admitted([1, 2, 3].map(() => free.acquire('k')))).toHaveLength(3)
    const closed = open({ ...away, perKey: 1, onError: 'closed' })
    await expect(closed.acquire('k')).rejects.toMatchObject({ reason: 'store' })
    expect((await closed.ready()).available).toBe(false)
  })

  it('callers wait for permits of this process, which Redis is told of when it is back', async () => {
    const own = await serverForTest()
    const name = 'told'
    const limiter = createConcurrencyLimiter({
      storage: own.url,
      perKey: 2,
      queue: 1,
      leaseMs: 5_000,
      name,
    })
    onTestFinished(() => limiter.close())
    await limiter.ready()
    own.signal('SIGKILL')
    await until(async () => !(await limiter.ready()).available)
    const [held] = [await limiter.acquire('k'), await limiter.acquire('k')]
    const wait = limiter.acquire('k')
    held.release()
    const next = await wait
    await own.restart()
    await until(async () => (await limiter.held('k')) === 2 && (await limiter.ready()).available)
    const other = createConcurrencyLimiter({
      storage: own.url,
      perKey: 2,
      name,
      deadlineMs: 30_000,
    })
    onTestFinished(() => other.close())
    await until(
      async () =>
        await other.acquire('k').then(
          () => false,
          (error) => error.reason === 'perKey',
        ),
    )
    expect(next.isLost).toBe(false)
  })
})

it.each([{ perKey: 2 }, { total: 2 }])(
  'decides again, though held was asked last: %j',
  async (limits) => {
    const own = await serverForTest()
    const limiter = open({ storage: own.url, deadlineMs: 100, ...limits })
    await limiter.ready()
    own.signal('SIGSTOP')
    const isAway = async (): Promise<boolean> => {
      await limiter.held('k')
      return !(await limiter.ready()).available
    }
    await until(isAway)
    own.signal('SIGCONT')
    await until(async () => (await limiter.ready()).available)
    expect(await limiter.held('k')).toBe(0)
  },
)

it('close gives back what is held, and rejects those who wait', async () => {
  const name = `close ${names++}`
  const [limiter, other] = [open({ perKey: 1, queue: 1 }, name), open({ perKey: 1 }, name)]
  const held = await limiter.acquire('k')
  const wait = limiter.acquire('k')
  await sleep(20)
  const rejected = expect(wait).rejects.toMatchObject({ code: 'CLOSED' })
  await limiter.close()
  await rejected
  expect(held.isLost).toBe(true)
  held.release()
  await expect(limiter.acquire('k')).rejects.toMatchObject({ code: 'CLOSED' })
  expect((await other.acquire('k')).isLost).toBe(false)
})
