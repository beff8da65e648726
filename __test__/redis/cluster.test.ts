import { Cluster } from 'ioredis'
import { type AsyncConcurrencyLimiter, createConcurrencyLimiter } from 'ratethrottle'
import type { RedisLimiter, StoreChange } from 'ratethrottle/redis'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { ALGORITHMS } from '../fixtures/algorithms.ts'
import { PATIENCE } from '../fixtures/patience.ts'
import { startCluster, type TestCluster } from './cluster.ts'
import { admits, failures, limiterForTest, load, sleep, until } from './faults.ts'
import { race } from './race.ts'
import { GUARD } from './server.ts'

const { RATETHROTTLE_CALLS: given } = process.env
/** Calls of each process. `npm run test:redis` makes 10,000. */
const CALLS = Number(given ?? 300)
const PATIENT = { deadlineMs: 30_000 }

let cluster: TestCluster

beforeAll(async () => {
  cluster = await startCluster()
})
afterAll(() => cluster.stop())

describe('Redis Cluster', () => {
  it('8 processes, one key, each algorithm: exactly the limit is admitted', async () => {
    expect(await race(cluster.url, ALGORITHMS, { calls: CALLS })).toEqual({
      admitted: ALGORITHMS.map(() => 1_000),
      failures: 0,
    })
  })

  it('a limiter that is closed with calls under way passes for no failure of a server', async () => {
    const options = { url: cluster.url, deadlineMs: 60_000 }
    const [limiter, other] = ['a', 'b'].map((name) =>
      limiterForTest('900/day', { ...options, name }),
    )
    await Promise.all([limiter?.ready(), other?.ready()])
    const outcomes = Promise.allSettled(
      Array.from({ length: 90 }, (_, i) => limiter?.check(`user ${i}`)),
    )
    await limiter?.close()
    for (const outcome of await outcomes)
      expect(outcome).toMatchObject({ reason: { code: 'CLOSED' } })
    expect(other?.storeStatus()).toMatchObject({ available: true })
    await Promise.all(Array.from({ length: 90 }, (_, i) => other?.check(`user ${i}`)))
    expect(other?.stats()).toMatchObject({ admitted: 90, outages: 0, failures: { timeout: 0 } })
  })

  it('keys are spread over the servers, and each check uses one slot', async () => {
    const limiter = limiterForTest('5/hour; 7/day', { url: cluster.url, ...PATIENT })
    const answers = await Promise.all(
      Array.from({ length: 300 }, (_, i) => limiter.check(`user {${i}} of many`)),
    )
    expect(answers.every(({ allowed, remaining }) => allowed && remaining === 4)).toBe(true)
    expect(failures(limiter)).toBe(0)
    // Replicas receive it a little later.
    await until(async () => {
      const held = await Promise.all(cluster.servers.map(({ admin }) => admin.dbsize()))
      return held.every((keys) => keys > 50)
    })
  })

  it.each([{ perKey: 5 }, { perKey: 5, total: 12 }])(
    'permits of %j are exact, renewed and given back, whatever their slot',
    async (limits) => {
      const name = `permits ${Object.keys(limits)}`
      const options = { storage: cluster.url, name, leaseMs: 1_000, ...limits, ...PATIENT }
      const limiters = [1, 2].map(() => createConcurrencyLimiter(options))
      const limiter = limiters[0] as AsyncConcurrencyLimiter
      onTestFinished(async () => {
        await Promise.all(limiters.map((one) => one.close()))
      })
      const keys = ['a', 'b', 'c {d}']
      const asked = keys.flatMap((key) =>
        Array.from({ length: 20 }, (_, i) => limiters[i % 2]?.acquire(key)),
      )
      const settled = await Promise.allSettled(asked)
      const permits = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
      expect(permits).toHaveLength('total' in limits ? 12 : 15)
      await sleep(1_500)
      expect(permits.filter((permit) => permit?.isLost)).toEqual([])
      const held = await Promise.all(keys.map((key) => limiter.held(key)))
      expect(held.reduce((sum, count) => sum + count)).toBe(permits.length)
      for (const permit of permits) permit?.release()
      await until(async () => (await limiter.held('a')) === 0)
      expect(await Promise.all(keys.map((key) => limiter.held(key)))).toEqual([0, 0, 0])
    },
  )

  it('a given Cluster client is not changed, also with auto-pipelining', async () => {
    const client = new Cluster(
      cluster.servers.map(({ port }) => ({ host: '127.0.0.1', port })),
      {
        enableAutoPipelining: true,
        keyPrefix: 'app:',
        redisOptions: { password: GUARD.password },
      },
    )
    onTestFinished(() => client.disconnect())
    const limiter = limiterForTest('5/hour', { client, name: 'auto', ...PATIENT })
    const answers = await Promise.all(Array.from({ length: 9 }, () => admits(limiter, 'k')))
    expect(answers.filter((allowed) => allowed)).toHaveLength(5)
    expect(failures(limiter)).toBe(0)
    await limiter.close()
    expect(await client.ping()).toBe('PONG')
  })

  it('a slot that moves back and forth causes no error, and the count stays exact (H68)', async () => {
    const limiter = limiterForTest('400/hour', { url: cluster.url, name: 'moving', ...PATIENT })
    await limiter.check('moved', 0)
    const slot = await slotOf('moved')
    let asked = 0
    let admitted = 0
    let moving = true
    const asking = Array.from({ length: 8 }, async () => {
      while (moving || asked < 600) {
        asked++
        if (await admits(limiter, 'moved')) admitted++
        await sleep(1)
      }
    })
    for (let move = 0; move < 6; move++) await migrate(slot)
    moving = false
    await Promise.all(asking)
    expect([admitted, failures(limiter)]).toEqual([400, 0])
  })

  it('when a primary is killed, its keys are exact soon after the replica takes over (H60)', async () => {
    const limiter = limiterForTest('100000/hour', { url: cluster.url, name: 'killed' })
    await until(() => exactly(limiter, 'killed'))
    const dead = await cluster.ownerOf(await slotOf('killed'))
    dead.signal('SIGKILL')
    const start = performance.now()
    const away = await load(limiter, { key: 'killed', ms: 500, fault: 'killed primary' })
    expect(away.errors).toBe(0)
    await until(() => exactly(limiter, 'killed'), PATIENCE, 'a replica')
    console.log(
      `a killed primary: ${Math.round(performance.now() - start)} ms without exact service`,
    )
    await dead.restart()
    await until(async () => (await cluster.replicas()) === 3, PATIENCE, 'the cluster')
  })

  it('when a primary freezes, its keys are exact soon after the replica takes over (H59)', async () => {
    const changes: StoreChange[] = []
    const limiter = limiterForTest('100000/hour', {
      url: cluster.url,
      name: 'frozen',
      onStoreChange: (change) => changes.push(change),
    })
    await until(async () => (await exactly(limiter, 'frozen')) && (await exactly(limiter, 'other')))
    const stuck = await cluster.ownerOf(await slotOf('frozen'))
    stuck.signal('SIGSTOP')
    const start = performance.now()
    const frozen = await load(limiter, { key: 'frozen', perSecond: 200, ms: 1_000 })
    expect(frozen.errors).toBe(0)
    expect(frozen.longestMs).toBeLessThan(900)
    await until(() => exactly(limiter, 'frozen'), PATIENCE, 'a replica')
    const awayMs = performance.now() - start
    console.log(
      `a frozen primary: ${Math.round(awayMs)} ms without exact service at a node timeout of 4000 ms`,
    )
    expect(awayMs).toBeLessThan(20_000)
    expect(changes[0]).toMatchObject({ available: false, node: `127.0.0.1:${stuck.port}` })
    stuck.signal('SIGCONT')
    await until(() => exactly(limiter, 'frozen'))
  })
})

/** Whether Redis decides about this key. */
async function exactly(limiter: RedisLimiter<string>, key: string): Promise<boolean> {
  const before = failures(limiter)
  await limiter.check(key, 0)
  return failures(limiter) === before
}

async function slotOf(tag: string): Promise<number> {
  return Number(await cluster.servers[0]?.admin.call('CLUSTER', 'KEYSLOT', tag))
}

/** Moves a slot to another primary, key by key, as redis-cli does. */
async function migrate(slot: number): Promise<void> {
  const from = await cluster.ownerOf(slot)
  const to = await otherPrimary(from.port)
  const [fromId, toId] = await Promise.all(
    [from, to].map(({ admin }) => admin.call('CLUSTER', 'MYID')),
  )
  await to.admin.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', String(fromId))
  await from.admin.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', String(toId))
  await sleep(50)
  const keys = (await from.admin.call('CLUSTER', 'GETKEYSINSLOT', slot, 100)) as string[]
  if (keys.length > 0) {
    const auth = ['AUTH', GUARD.password]
    await from.admin.call('MIGRATE', '127.0.0.1', to.port, '', 0, 5_000, ...auth, 'KEYS', ...keys)
  }
  await sleep(50)
  for (const { admin } of [to, from]) {
    await admin.call('CLUSTER', 'SETSLOT', slot, 'NODE', String(toId))
  }
  await until(async () => (await cluster.ownerOf(slot)).port === to.port)
}

async function otherPrimary(port: number): Promise<(typeof cluster.servers)[number]> {
  for (const server of cluster.servers) {
    const role = (await server.admin.role()) as unknown[]
    if (server.port !== port && role[0] === 'master') return server
  }
  throw new Error('no other primary')
}
