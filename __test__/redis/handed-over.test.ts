import { writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Redis } from 'ioredis'
import { RedisLimiter } from 'ratethrottle/redis'
import { expect, onTestFinished, test } from 'vitest'
import {
  asClient,
  clientOf,
  clusterClientOf,
  guardedCluster,
  guardedServer,
  keysIn,
  VERSIONS,
} from '../adapters/guarded.ts'
import { PATIENCE } from '../fixtures/patience.ts'
import { failures, until } from './faults.ts'
import { freePort, launch, untilListening } from './server.ts'

type Client = Parameters<typeof asClient>[0]

/** What a version sees of a limiter that is handed a client: by Redis, or by nothing but itself. */
function limiterOn(client: Client, name: string): RedisLimiter<string> {
  const limiter = new RedisLimiter('5/hour', { client: asClient(client), name, deadlineMs: 2_000 })
  onTestFinished(() => limiter.close())
  return limiter
}

/** How many of six calls Redis admits; or that it does not decide. */
async function admittedByRedis(limiter: RedisLimiter<string>): Promise<number | string> {
  let admitted = 0
  for (let call = 0; call < 6; call++) {
    const { allowed } = await limiter.check('k')
    if (allowed) admitted++
  }
  return failures(limiter) === 0 ? admitted : 'not by Redis'
}

/** Whether Redis decides, soon. */
async function isDecided(limiter: RedisLimiter<string>, key: string): Promise<boolean> {
  const decided = async (): Promise<boolean> => {
    const before = failures(limiter)
    await limiter.check(key, 0)
    return failures(limiter) === before
  }
  return until(decided, PATIENCE).then(
    () => true,
    () => false,
  )
}

async function inEachVersion<T>(work: (version: (typeof VERSIONS)[number]) => Promise<T>) {
  const outcomes: Record<string, T> = {}
  for (const version of VERSIONS) outcomes[version] = await work(version)
  return outcomes
}

const both = <T>(outcome: T): Record<string, T> =>
  Object.fromEntries(VERSIONS.map((version) => [version, outcome]))

test('the password and user of a given Cluster client are sent to its servers', async () => {
  const { port, admin } = await guardedCluster('pw')
  await admin.acl('SETUSER', 'app', 'on', '>app-pw', '~*', '+@all')
  const redisOptions = [{ password: 'pw' }, { username: 'app', password: 'app-pw' }]
  const outcomes = await inEachVersion(async (version) => {
    const clients = redisOptions.map((options) => clusterClientOf(version, port, options))
    return Promise.all(
      clients.map((client, i) => admittedByRedis(limiterOn(client, `${version} ${i}`))),
    )
  })
  expect(outcomes).toEqual(both([5, 5]))
})

test('a given client without the ready check connects to a server without INFO', async () => {
  const { port } = await guardedServer('', '--rename-command', 'INFO', '')
  const outcomes = await inEachVersion(async (version) =>
    admittedByRedis(limiterOn(clientOf(version, { port, enableReadyCheck: false }), version)),
  )
  expect(outcomes).toEqual(both(5))
})

test('counts are kept in the database that the given client has selected, before or after it was given', async () => {
  const { port, admin } = await guardedServer('')
  const outcomes = await inEachVersion(async (version) => {
    await admin.flushall()
    const client = clientOf(version, { port })
    await client.select(3)
    const limiter = limiterOn(client, version)
    await isDecided(limiter, 'k')
    await limiter.check('k')
    const three = await keysIn(admin, 3)
    await client.select(4)
    await isDecided(limiter, 'k')
    await limiter.check('k')
    await limiter.check('k')
    const four = await keysIn(admin, 4)
    return [(await keysIn(admin, 0)).length, three.length, four.length]
  })
  expect(outcomes).toEqual(both([0, 1, 1]))
})

test('after a reconnect counts are kept in the database that the client has selected', async () => {
  const { port, admin } = await guardedServer('')
  const outcomes = await inEachVersion(async (version) => {
    await admin.flushall()
    const client = clientOf(version, { port })
    await client.select(3)
    const limiter = limiterOn(client, version)
    await isDecided(limiter, 'before')
    await client.select(5)
    await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    await isDecided(limiter, 'after')
    await limiter.check('after')
    return [0, 3, 5].map(async (db) => (await keysIn(admin, db)).length)
  })
  const counts = await Promise.all(VERSIONS.map((version) => Promise.all(outcomes[version] ?? [])))
  expect(counts[1]).toEqual([0, 0, 1])
})

test('a rotated password is used at the next reconnect', async () => {
  const single = await guardedServer('old-1')
  const cluster = await guardedCluster('old-1')
  let turn = 1
  const outcomes = await inEachVersion(async (version) => {
    const old = { password: `old-${turn}` }
    const client = clientOf(version, { port: single.port, ...old })
    const clusterClient = clusterClientOf(version, cluster.port, old)
    const limiters = [limiterOn(client, version), limiterOn(clusterClient, version)]
    const before = await Promise.all(limiters.map((limiter) => isDecided(limiter, 'before')))
    turn++
    const password = `old-${turn}`
    for (const { admin } of [single, cluster]) {
      await admin.config('SET', 'requirepass', password)
      admin.options.password = password
    }
    client.options.password = password
    Object.assign(clusterClient.options.redisOptions ?? {}, { password })
    for (const { admin } of [single, cluster]) {
      await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    }
    const after = await Promise.all(limiters.map((limiter) => isDecided(limiter, 'after')))
    return [...before, ...after]
  })
  expect(outcomes).toEqual(both([true, true, true, true]))
})

test('under Sentinel, which has other passwords, a rotated password is used at the next reconnect', async () => {
  const { port, admin } = await guardedServer('old-1')
  const sentinelPort = await freePort()
  const file = join(tmpdir(), `ratethrottle-sentinel-${sentinelPort}.conf`)
  const lines = [
    `port ${sentinelPort}`,
    'bind 127.0.0.1',
    'requirepass watch',
    `sentinel monitor limits 127.0.0.1 ${port} 1`,
    'sentinel auth-pass limits old-1',
    'sentinel down-after-milliseconds limits 60000',
  ]
  writeFileSync(file, `${lines.join('\n')}\n`)
  const child = await launch([file, '--sentinel'])
  onTestFinished(() => void child.kill('SIGKILL'))
  await untilListening(sentinelPort)
  let turn = 1
  const outcomes = await inEachVersion(async (version) => {
    const client = clientOf(version, {
      sentinels: [{ host: '127.0.0.1', port: sentinelPort }],
      name: 'limits',
      sentinelPassword: 'watch',
      password: `old-${turn}`,
    }) as Redis
    const limiter = limiterOn(client, version)
    const before = await isDecided(limiter, 'before')
    turn++
    const password = `old-${turn}`
    await admin.config('SET', 'requirepass', password)
    admin.options.password = password
    client.options.password = password
    await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    return [before, await isDecided(limiter, 'after')]
  })
  expect(outcomes).toEqual(both([true, true]))
})

test('the given client is not changed', async () => {
  const { port } = await guardedServer('')
  const client = clientOf('ioredis 6', { port, enableReadyCheck: false })
  await client.select(3)
  const listeners = client.listenerCount('select')
  const limiter = new RedisLimiter('5/hour', { client: asClient(client) })
  await isDecided(limiter, 'k')
  const listening = client.listenerCount('select')
  await limiter.close()
  expect([listening - listeners, client.listenerCount('select') - listeners]).toEqual([1, 0])
  expect([client.status, client.options.enableOfflineQueue]).toEqual(['ready', true])
})
