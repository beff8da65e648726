import { once } from 'node:events'
import { createConcurrencyLimiter, createLimiter } from 'ratethrottle'
import { rateThrottle } from 'ratethrottle/http'
import { RedisLimiter } from 'ratethrottle/redis'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { serveApp } from '../http/serve.ts'
import { failures, limiterForTest, sleep, until } from './faults.ts'
import { type Server, serverForTest, startServer } from './server.ts'
import { SlowWire } from './slow-wire.ts'

/*
 * A limiter ends while its calls are under way. They end as CLOSED, and the limiters that share its connection notice
 * nothing. Redis is frozen meanwhile: no answer comes before the end.
 */

const PATIENT = { deadlineMs: 60_000 }
const CLOSED = { status: 'rejected', reason: { code: 'CLOSED' } }

let server: Server
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.stop())

const warnings: string[] = []
const hear = (warning: Error): unknown => warnings.push(warning.message)
beforeEach(() => {
  warnings.length = 0
  process.on('warning', hear)
  return () => {
    process.off('warning', hear)
    server.signal('SIGCONT')
  }
})

async function limiterOf(name: string, options: object = {}): Promise<RedisLimiter<string>> {
  const limiter = limiterForTest('1000/hour', { url: server.url, name, ...PATIENT, ...options })
  await limiter.ready()
  return limiter
}

/** Redis has decided for it without a failure, and no outage was reported. */
async function expectUntouched(limiter: RedisLimiter<string>): Promise<void> {
  expect(limiter.storeStatus()).toEqual({ available: true, reason: undefined })
  server.signal('SIGCONT')
  expect((await limiter.check('k')).allowed).toBe(true)
  expect([failures(limiter), limiter.stats().outages, warnings]).toEqual([0, 0, []])
}

describe.each(['local', 'open', 'closed'] as const)('onError %j', (onError) => {
  it('calls under way end as CLOSED, and a limiter on the same connection notices nothing', async () => {
    const [limiter, other] = [await limiterOf('a', { onError }), await limiterOf('b', { onError })]
    server.signal('SIGSTOP')
    const calls = [
      ...Array.from({ length: 200 }, () => limiter.check('k')),
      limiter.consume('k'),
      limiter.peek('k'),
      limiter.wait('k'),
      limiter.refund('k'),
      limiter.reset('k'),
      limiter.block('k', 10),
    ]
    const outcomes = Promise.allSettled(calls)
    await new Promise(setImmediate)
    await limiter.close()
    for (const outcome of await outcomes) expect(outcome).toMatchObject(CLOSED)
    expect(limiter.stats()).toMatchObject({ admitted: 0, denied: 0, failures: { timeout: 0 } })
    await expectUntouched(other)
  })
})

it('callers of a batch that is being charged end as CLOSED', async () => {
  const [limiter, other] = [
    await limiterOf('a', { lease: { size: 10, ttl: '1s' } }),
    await limiterOf('b'),
  ]
  server.signal('SIGSTOP')
  const outcomes = Promise.allSettled(Array.from({ length: 20 }, () => limiter.check('k')))
  await new Promise(setImmediate)
  await limiter.close()
  for (const outcome of await outcomes) expect(outcome).toMatchObject(CLOSED)
  await expectUntouched(other)
})

it('questions about permits that are under way end as CLOSED, too', async () => {
  const other = await limiterOf('b')
  const storage = other.storage
  const permits = createConcurrencyLimiter({ perKey: 9, name: 'p', storage, ...PATIENT })
  await permits.ready()
  server.signal('SIGSTOP')
  const outcomes = Promise.allSettled(Array.from({ length: 20 }, () => permits.held('k')))
  await permits.close()
  for (const outcome of await outcomes) expect(outcome).toMatchObject(CLOSED)
  await expectUntouched(other)
})

describe('a program that closes first and then looks at its calls', () => {
  it.each(['limits', 'permits'])(
    'of %s finds no rejection unhandled; closing again waits, too',
    async (what) => {
      const options = { storage: server.url, ...PATIENT }
      const limiter =
        what === 'limits'
          ? createLimiter({ ...options, limits: '5/hour' })
          : createConcurrencyLimiter({ ...options, perKey: 5 })
      await limiter.ready()
      const calls =
        'check' in limiter ? [limiter.check('k'), limiter.refund('k')] : [limiter.acquire('k')]
      let isClosed = false
      const first = limiter.close().then(() => {
        isClosed = true
      })
      await limiter.close()
      for (const outcome of await Promise.allSettled(calls)) expect(outcome).toMatchObject(CLOSED)
      await Promise.resolve()
      expect(isClosed).toBe(true)
      await first
      expect(await limiter.ready()).toEqual({ available: false, reason: 'closed' })
    },
  )
})

it('callers that wait for a permit learn of the end when it is there, and not before', async () => {
  const permits = createConcurrencyLimiter({
    ...{ perKey: 1, queue: 5, storage: server.url, deadlineMs: 200 },
    name: 'waited for',
  })
  await permits.acquire('k')
  const waits = [1, 2].map(() => permits.acquire('k'))
  await until(() => permits.stats().waiting === 2)
  // Closing takes a while: the callers would ask again meanwhile.
  server.signal('SIGSTOP')
  await permits.close()
  for (const outcome of await Promise.allSettled(waits)) expect(outcome).toMatchObject(CLOSED)
})

it('a limiter that is closed in an outage, while Redis is probed, leaves the others to recover', async () => {
  const [limiter, other] = [await limiterOf('a'), await limiterOf('b', { deadlineMs: 50 })]
  server.signal('SIGSTOP')
  const call = Promise.allSettled([limiter.check('k')])
  await Promise.all([1, 2, 3].map(() => other.check('k')))
  expect(other.storeStatus().available).toBe(false)
  // The first probe has been sent.
  await sleep(100)
  await limiter.close()
  expect(await call).toMatchObject([CLOSED])
  server.signal('SIGCONT')
  await until(() => other.storeStatus().available)
  expect(other.stats().outages).toBe(1)
})

it('what Redis refuses to one limiter alone is no more asked for after its end', async () => {
  const own = await serverForTest()
  await own.admin.acl('SETUSER', 'few', 'on', '>p', '~ok:*', '+@all', '&*')
  const url = `redis://few:p@127.0.0.1:${own.port}/0`
  const good = limiterForTest('5/hour', { url, keyPrefix: 'ok:', ...PATIENT })
  await good.ready()
  const bad = limiterForTest('5/hour', { url, keyPrefix: 'other:', ...PATIENT })
  await Promise.all([1, 2, 3].map(() => bad.check('k')))
  expect(good.storeStatus()).toEqual({ available: false, reason: 'forbidden' })
  await bad.close()
  await until(() => good.storeStatus().available)
  await own.admin.acl('LOG', 'RESET')
  // Its heartbeats have ended as well, with one that says so.
  await sleep(1_200)
  const [refused = []] = (await own.admin.acl('LOG')) as unknown as [string, number][]
  expect([undefined, 1]).toContain(refused[1])
})

it('the wait for the first connection is no longer than the limiters that are left have', async () => {
  const wire = await SlowWire.before(server.port)
  wire.connectMs = 600_000
  const patient = new RedisLimiter('5/hour', { url: wire.url, connectTimeoutMs: 60_000 })
  const other = limiterForTest('5/hour', { url: wire.url, connectTimeoutMs: 300 })
  const call = patient.check('k')
  await patient.close()
  await expect(call).rejects.toMatchObject({ code: 'CLOSED' })
  // Far more than it takes, far less than the other limiter would have waited.
  const late = sleep(30_000).then(() => 'late')
  expect(await Promise.race([other.ready(), late])).toMatchObject({ available: false })
})

it('of two adapters on one connection, one is closed under a request: it is decided, and so are those of the other', async () => {
  const limits = ['one', 'other'].map((name) =>
    rateThrottle({ limits: '100/hour', storage: server.url, name, ...PATIENT }),
  )
  const [one, other] = await Promise.all(
    limits.map((limit) => serveApp(limit.wrap((_, response) => response.end('done')))),
  )
  if (one === undefined || other === undefined) throw new Error('two are served')
  onTestFinished(() => limits[1]?.close())
  expect([await one.statuses(1), await other.statuses(1)]).toEqual([[200], [200]])
  server.signal('SIGSTOP')
  const received = once(one.server, 'request')
  const asked = one.ask()
  await received
  limits[0]?.close()
  server.signal('SIGCONT')
  expect((await asked).status).toBe(200)
  expect(await other.statuses(1)).toEqual([200])
  expect(warnings).toEqual([])
  expect(await one.statuses(1)).toEqual([500])
})
