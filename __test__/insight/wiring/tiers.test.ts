import { createLimiter, RateLimitExceeded } from 'ratethrottle'
import { insight } from 'ratethrottle/insight'
import type { Store } from 'ratethrottle/remote'
import { beforeAll, expect, onTestFinished, test } from 'vitest'
import { serve } from '../../http/serve.ts'
import { until } from '../../redis/faults.ts'
import { type Server, serverForTest, startServer } from '../../redis/server.ts'
import { fakeInsight } from './fake.ts'

let server: Server
beforeAll(async () => {
  server = await startServer()
  return () => server.stop()
})

/** A store in a map, which can be away. */
function mapStore(): Store<number> & { isAway: boolean } {
  const records = new Map<string, { value: Uint8Array; version: number }>()
  let version = 0
  const store = {
    isAway: false,
    get: async (key: string) => {
      if (store.isAway) throw new Error('away')
      return records.get(key)
    },
    compareAndSet: async (key: string, value: Uint8Array, seen: number | undefined) => {
      if (records.get(key)?.version !== seen) return false
      version++
      records.set(key, { value, version })
      return true
    },
  }
  return store
}

const TIERS = ['memory', 'shared', 'redis', 'redis with leases', 'store'] as const
type Tier = (typeof TIERS)[number]

/** Options for a limiter of its own in a tier. */
function optionsIn(tier: Tier, test: string): object {
  const name = `${tier} ${test} ${process.pid}`
  if (tier === 'memory') return { storage: 'memory:', name }
  if (tier === 'shared') return { storage: `shared:${name}` }
  if (tier === 'store')
    return { storage: mapStore(), name, deadlineMs: 30_000, connectTimeoutMs: 60_000 }
  const lease = tier === 'redis' ? {} : { lease: { size: 8 } }
  return { storage: server.url, name, deadlineMs: 30_000, connectTimeoutMs: 60_000, ...lease }
}

type Async = ReturnType<typeof createLimiter>

function open(tier: Tier, test: string, limits: string, more: object): Async {
  const limiter = createLimiter({ limits, ...optionsIn(tier, test), ...more } as never) as Async
  onTestFinished(() => limiter.close())
  return limiter
}

/** Asks in every way there is, and counts what it is told. */
async function askInEveryWay(limiter: Async, rounds: number) {
  const told = { admitted: 0, denied: 0, refunded: 0 }
  const note = (allowed: boolean): void => {
    if (allowed) told.admitted++
    else told.denied++
  }
  for (let i = 0; i < rounds; i++) {
    const key = `key ${i % 7}`
    await limiter.peek(key)
    await limiter.check(key, 0)
    note((await limiter.check(key, 1 + (i % 3))).allowed)
    note((await limiter.check(key, 1_000)).allowed)
    await limiter.consume(key).then(
      () => note(true),
      (error: unknown) => note(!(error instanceof RateLimitExceeded)),
    )
    const waited = limiter.wait(key, { maxWaitMs: 0 })
    await waited.then(
      () => note(true),
      // One whom waiting would not help is denied, as by `check`.
      () => note(false),
    )
    if ((await limiter.take(key)).allowed) told.admitted++
    if (i % 5 > 0) continue
    await limiter.refund(key)
    told.refunded++
  }
  return told
}

test.each(TIERS)('%s: stats and the insight agree with what callers were told', async (tier) => {
  const view = insight({ keys: 'plain' })
  onTestFinished(() => view.close())
  const [counted, uncounted] = [
    open(tier, 'counted', '9/minute', { insight: view }),
    open(tier, 'uncounted', '9/minute', {}),
  ]
  await counted.ready()
  const told = await askInEveryWay(counted, 40)
  expect([told.admitted > 20, told.denied > 40]).toEqual([true, true])
  expect(counted.stats()).toMatchObject({ admitted: told.admitted, denied: told.denied })
  const { limits, totals, stores } = view.report()
  expect(limits).toHaveLength(1)
  expect(limits[0]).toMatchObject({
    ...told,
    waited: 0,
    gaveUp: 0,
    withoutStore: 0,
    tier: tier === 'redis with leases' ? 'redis' : tier,
    limits: ['9/minute'],
    deniedBy: [told.denied],
  })
  expect(totals.admitted).toBe(told.admitted)
  if (tier.startsWith('redis')) expect(stores).toMatchObject([{ available: true }])
  const again = await askInEveryWay(uncounted, 40)
  expect(uncounted.stats()).toMatchObject({ admitted: again.admitted, denied: again.denied })
})

test.each(TIERS)('%s: those who wait, and those who give up', async (tier) => {
  const fake = fakeInsight()
  const real = insight()
  onTestFinished(() => real.close())
  const isNative = tier === 'memory' || tier === 'shared'
  const limiter = open(tier, 'waits', '20/second', {
    burst: 1,
    insight: isNative ? real : fake.insight,
    maxWaitersPerKey: 4,
  })
  await limiter.ready()
  const asked = Array.from({ length: 7 }, () => limiter.wait('k').then(() => 'in', String))
  const gone = limiter
    .wait('other')
    .then(() => limiter.wait('other', { signal: AbortSignal.timeout(1) }).then(() => 'in', String))
  const outcomes = await Promise.all([...asked, gone])
  const admitted = outcomes.filter((one) => one === 'in').length
  const refused = outcomes.length - admitted
  expect(refused).toBeGreaterThan(1)
  const [row] = fake.rows
  const [limit] = real.report().limits
  const counts = isNative
    ? [(limit?.admitted ?? 0) + (limit?.denied ?? 0), limit?.gaveUp, limit?.waited]
    : [row?.decided.length, row?.gaveUp.length, row?.waited.length]
  const [decided, left, waited = 0] = counts
  // The one whose signal was aborted has left; the others that got no turn were denied one.
  expect([decided, left]).toEqual([admitted + 1 + refused - 1, 1])
  // The first for each key does not wait, and where the store takes its time another may not.
  expect(waited).toBeGreaterThan(0)
  expect(waited).toBeLessThan(admitted)
  for (const ms of row?.waited ?? []) expect(ms).toBeGreaterThan(0)
})

test.each(['redis', 'store'] as const)(
  '%s: decisions without the store, and times',
  async (tier) => {
    const { insight: fake, rows } = fakeInsight()
    const own = tier === 'redis' ? await serverForTest() : undefined
    const store = mapStore()
    const limiter = open(tier, 'away', '3/minute', {
      storage: own?.url ?? store,
      insight: fake,
      deadlineMs: 200,
    })
    await limiter.ready()
    await limiter.check('before')
    const [row] = rows
    expect([row?.storeTook.length, row?.withoutStore]).toEqual([1, 0])
    expect(row?.served).toBe(limiter)
    const status = () => (limiter as unknown as { storeStatus(): object }).storeStatus()
    expect(status()).toEqual({ available: true, reason: undefined })
    own?.signal('SIGKILL')
    store.isAway = true
    const decisions: boolean[] = []
    const ask = async () => decisions.push((await limiter.check('during')).allowed)
    for (let i = 0; i < 4; i++) await ask()
    await until(() => !(status() as { available: boolean }).available, 5_000)
    await ask()
    await limiter.peek('during')
    expect(decisions).toContain(false)
    // The fallback that counts in this process has no row of its own, and counts nothing twice.
    expect(rows).toHaveLength(1)
    expect(row?.decided.slice(1).map(({ allowed }) => allowed)).toEqual(decisions)
    expect(row?.withoutStore).toBe(5)
    expect(limiter.stats()).toMatchObject({
      admitted: 1 + decisions.filter(Boolean).length,
      denied: decisions.filter((allowed) => !allowed).length,
    })
    await limiter.close()
    expect(status()).toEqual({ available: false, reason: 'closed' })
    expect(row?.closed).toBe(1)
  },
)

test.each(TIERS)(
  '%s: behind an adapter a limiter has one row, with its companions',
  async (tier) => {
    const view = insight({ keys: 'plain' })
    onTestFinished(() => view.close())
    const options = {
      limits: '3/minute',
      ...optionsIn(tier, 'adapter'),
      name: `${tier} adapter`,
      insight: view,
      blockFor: ['1 minute', '2 minutes'],
      countWhen: 'success',
    }
    const { statuses } = await serve('Fastify 5', options)
    const answers = await statuses(9)
    const log = { admitted: answers.filter((one) => one === 200).length, denied: 0 }
    log.denied = answers.length - log.admitted
    expect(log).toEqual({ admitted: 3, denied: 6 })
    const { limits, routes, top } = view.report()
    expect(limits).toHaveLength(1)
    expect(limits[0]).toMatchObject({ ...log, name: `${tier} adapter`, gaveUp: 0 })
    expect(routes).toMatchObject([{ limit: `${tier} adapter`, route: 'GET /*', ...log }])
    expect(top.asked).toMatchObject([{ key: '127.0.0.1', count: 9 }])
  },
)

test('limits that depend on the request, and a limiter that was passed in', async () => {
  const view = insight()
  onTestFinished(() => view.close())
  const { RateLimiter } = await import('ratethrottle')
  const counted = new RateLimiter('2/minute', { name: 'mine', insight: view })
  const plain = new RateLimiter('2/minute')
  const common = { insight: view, headers: false }
  const sites = [
    await serve('Fastify 5', { ...common, storage: counted }),
    await serve('Fastify 5', { ...common, storage: plain, scope: 'passed in' }),
    await serve('node:http', {
      ...common,
      limits: () => '2/minute',
      blockFor: ['1 minute', '2 minutes'],
      name: 'plans',
    }),
    await serve('node:http', {
      ...common,
      limits: () => '2/minute',
      blockFor: ['1 minute', '2 minutes'],
      name: 'far plans',
      storage: server.url,
      deadlineMs: 30_000,
      connectTimeoutMs: 60_000,
    }),
  ]
  for (const { statuses } of sites) expect(await statuses(3)).toEqual([200, 200, 429])
  const { limits, routes } = view.report()
  const expected = ['far plans', 'mine', 'passed in', 'plans']
  expect(limits.map(({ name }) => name).sort()).toEqual(expected)
  for (const limit of limits) expect(limit).toMatchObject({ admitted: 2, denied: 1 })
  expect(routes.map(({ limit }) => limit).sort()).toEqual(expected)
  for (const route of routes) expect(route).toMatchObject({ admitted: 2, denied: 1 })
  counted.close()
  plain.close()
})

test('a decorated method has a row of its name', async () => {
  const { limit, limitersOf } = await import('ratethrottle/decorators')
  const view = insight()
  onTestFinished(() => view.close())
  const decorate = limit('2/minute', { insight: view }) as unknown as (
    method: object,
    about: object,
  ) => never
  const send = decorate(() => 'sent', { kind: 'method', name: 'send' }) as () => string
  expect([send(), send()]).toEqual(['sent', 'sent'])
  expect(send).toThrow(RateLimitExceeded)
  expect(limitersOf(send)[0]).toMatchObject({ limits: [{ count: 2, windowMs: 60_000 }] })
  expect(view.report().limits).toMatchObject([{ name: 'send', admitted: 2, denied: 1 }])
})

test('who asks the insight for a limiter resets its blocks in steps, too', async () => {
  const view = insight()
  onTestFinished(() => view.close())
  const options = { limits: '1/minute', name: 'steps', blockFor: ['1 minute', '1 day'] }
  const { statuses } = await serve('node:http', { ...options, insight: view })
  expect(await statuses(2)).toEqual([200, 429])
  const steps = view.limiters().get('steps')
  await steps?.reset('127.0.0.1')
  expect(await statuses(2)).toEqual([200, 429])
  const denial = await steps?.peek('127.0.0.1')
  // The first step again, not the second.
  expect(denial?.retryAfterMs).toBeGreaterThan(50_000)
  expect(denial?.retryAfterMs).toBeLessThanOrEqual(60_000)
  expect(steps?.liveKeys?.()).toBeGreaterThan(0)
})
