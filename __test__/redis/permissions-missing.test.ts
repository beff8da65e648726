import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { RedisLimiter, type RedisLimiterOptions } from 'ratethrottle/redis'
import { expect, onTestFinished, test } from 'vitest'
import {
  asClient,
  clientOf,
  clusterClientOf,
  type Guarded,
  guardedCluster,
  guardedServer,
  VERSIONS,
} from '../adapters/guarded.ts'
import { ALGORITHMS } from '../fixtures/algorithms.ts'
import { ROOT } from '../fixtures/child.ts'
import { failures, sleep, until } from './faults.ts'

/** The rule as docs/guides/cluster-and-redis.md tells users to write it: the user, and what it may. */
function documentedRule(): string[] {
  const page = readFileSync(join(ROOT, 'docs/guides/cluster-and-redis.md'), 'utf8')
  const [, rule = ''] = /```text\n(ACL SETUSER [^`]*)```/.exec(page) ?? []
  return rule.trim().split(/\s+/).slice(2)
}

function opened(options: RedisLimiterOptions): RedisLimiter<string> {
  const limiter = new RedisLimiter('3/200ms', { deadlineMs: 2_000, ...options })
  onTestFinished(() => limiter.close())
  return limiter
}

async function isDecided(limiter: RedisLimiter<string>, ms = 5_000): Promise<boolean> {
  const decided = async (): Promise<boolean> => {
    const before = failures(limiter)
    await limiter.check('is it back?', 0)
    return failures(limiter) === before
  }
  return until(decided, ms).then(
    () => true,
    () => false,
  )
}

/** Runs every command that a limiter sends, with each algorithm. Returns what Redis did not do. */
async function askAll(where: RedisLimiterOptions, name: string): Promise<string[]> {
  const undone: string[] = []
  for (const algorithm of ALGORITHMS) {
    const options = { ...where, name, algorithm, localDenials: false }
    const limiter = opened(options)
    const leased = opened({ ...options, name: `${name} leased`, lease: { size: 2, ttl: 100 } })
    for (let i = 0; i < 5; i++) await limiter.check('k')
    await limiter.peek('k')
    await limiter.refund('k')
    await limiter.block('k', 10)
    await limiter.reset('k')
    await limiter.wait('k')
    for (let i = 0; i < 5; i++) await leased.check('k')
    // Time for a heartbeat, and for leased units to be returned.
    await sleep(300)
    await leased.close()
    if (failures(limiter) > 0)
      undone.push(`${name} ${algorithm} ${JSON.stringify(limiter.stats())}`)
  }
  return undone
}

/** The commands that were refused to the user, from the ACL log of Redis. */
async function refusals({ admin }: Guarded): Promise<string[]> {
  const log = (await admin.call('ACL', 'LOG')) as unknown[]
  return log.map((entry) => {
    const fields = Array.isArray(entry)
      ? Object.fromEntries(entry.flatMap((_, i) => (i % 2 === 0 ? [[entry[i], entry[i + 1]]] : [])))
      : (entry as Record<string, unknown>)
    return `${fields.reason} ${fields.object}`
  })
}

test('the permissions in the docs are enough on a server and on a cluster, and no other command is sent', async () => {
  const [user = '', ...rule] = documentedRule()
  const server = await guardedServer('admin')
  const cluster = await guardedCluster('admin')
  const signed = { username: user, password: 'password' }
  const undone: string[] = []
  for (const guarded of [server, cluster]) await guarded.admin.acl('SETUSER', user, ...rule)
  const { port } = server
  const before = `${user}:password@127.0.0.1`
  undone.push(
    ...(await askAll({ url: `redis://${before}:${port}/0` }, 'server')),
    ...(await askAll({ url: `redis://${before}:${port}/2` }, 'database')),
    ...(await askAll({ url: `redis+cluster://${before}:${cluster.port}` }, 'cluster')),
  )
  for (const version of VERSIONS) {
    const named = { ...signed, connectionName: 'api' }
    const client = asClient(clientOf(version, { port, ...named }))
    const clusterClient = asClient(clusterClientOf(version, cluster.port, named))
    undone.push(
      ...(await askAll({ client }, version)),
      ...(await askAll({ client: clusterClient }, `${version} cluster`)),
    )
  }
  expect(undone).toEqual([])
  // A user's own client, of which we are a copy, may say more about itself.
  const asked = [...(await refusals(server)), ...(await refusals(cluster))]
  expect(asked.filter((refusal) => !refusal.includes('client|setinfo'))).toEqual([])
})

test("a user limited to its own prefix reconnects to a cluster after an outage, also with onError: 'open'", async () => {
  const cluster = await guardedCluster('admin')
  await cluster.admin.acl('SETUSER', 'app', 'on', '>pw', '~app:*', '+@all')
  const url = `redis+cluster://app:pw@127.0.0.1:${cluster.port}`
  const limiter = opened({ url, keyPrefix: 'app:', onError: 'open', deadlineMs: 50 })
  expect(await isDecided(limiter)).toBe(true)
  cluster.server.signal('SIGSTOP')
  onTestFinished(() => cluster.server.signal('SIGCONT'))
  for (let call = 0; call < 5; call++) await limiter.check('k')
  cluster.server.signal('SIGCONT')
  expect(await isDecided(limiter, 8_000)).toBe(true)
  // The log keeps what was refused.
  expect(await refusals(cluster)).toEqual([])
})

test('a user limited to the names of one limiter reconnects as well', async () => {
  const server = await guardedServer('admin')
  const cluster = await guardedCluster('admin')
  const ends: boolean[] = []
  for (const [guarded, scheme] of [
    [server, 'redis'],
    [cluster, 'redis+cluster'],
  ] as const) {
    const keys = ['~shop:api:*', '~shop:{processes}*']
    await guarded.admin.acl('SETUSER', 'app', 'on', '>pw', ...keys, '+@all')
    const url = `${scheme}://app:pw@127.0.0.1:${guarded.port}`
    const options = { url, keyPrefix: 'shop:', name: 'api', deadlineMs: 50 }
    const limiter = opened(options)
    ends.push(await isDecided(limiter))
    guarded.server.signal('SIGSTOP')
    for (let call = 0; call < 5; call++) await limiter.check('k')
    guarded.server.signal('SIGCONT')
    ends.push(await isDecided(limiter, 8_000))
  }
  expect(ends).toEqual([true, true, true, true])
})
