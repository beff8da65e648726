import { RedisLimiter } from 'ratethrottle/redis'
import { expect, onTestFinished, test } from 'vitest'
import {
  asClient,
  clientOf,
  clusterClientOf,
  type Guarded,
  guardedCluster,
  guardedServer,
  keysIn,
  VERSIONS,
} from '../adapters/guarded.ts'
import { failures, until } from './faults.ts'

interface Outcome {
  admitted: number
  reason: string | undefined
  decidedByRedis: boolean
  inDatabaseZero: string[]
}

/** The outcome of some calls of a limiter that is opened with these options. */
async function outcomeOf(guarded: Guarded, where: object): Promise<Outcome> {
  const limiter = opened(where)
  let admitted = 0
  for (let call = 0; call < 6; call++) {
    const { allowed } = await limiter.check('k')
    if (allowed) admitted++
  }
  const ready = limiter as { ready?: () => Promise<{ reason?: string }> }
  const status = await ready.ready?.()
  const decidedByRedis = failures(limiter) === 0
  await limiter.close()
  const inDatabaseZero = await guarded.admin.keys('*')
  return { admitted, reason: status?.reason, decidedByRedis, inDatabaseZero }
}

function opened(where: object): RedisLimiter<string> {
  const own = (options: object): RedisLimiter<string> =>
    new RedisLimiter('5/hour', { deadlineMs: 1_000, ...where, ...options } as never)
  let limiter: RedisLimiter<string>
  try {
    limiter = own({ connectTimeoutMs: 700, onStoreChange: () => {} })
  } catch {
    limiter = own({})
  }
  onTestFinished(() => limiter.close())
  return limiter
}

/** By a URL, and by a client of each version. */
function waysTo({ port }: Guarded, db: number, user = ''): object[] {
  const [username, password] = user.split(':')
  const options = user === '' ? { port, db } : { port, db, username, password }
  const clients = VERSIONS.map((version) => ({ client: asClient(clientOf(version, options)) }))
  const before = user === '' ? '' : `${user}@`
  return [{ url: `redis://${before}127.0.0.1:${port}/${db}` }, ...clients]
}

async function outcomes(guarded: Guarded, ways: object[]): Promise<Outcome[]> {
  const all: Outcome[] = []
  for (const where of ways) all.push(await outcomeOf(guarded, where))
  return all
}

function refusedAs(reason: string, ways = 3): Outcome[] {
  return Array.from({ length: ways }, () => ({
    admitted: 5,
    reason,
    decidedByRedis: false,
    inDatabaseZero: [],
  }))
}

test('a database index out of range is a failure with a reason, and database 0 is not charged', async () => {
  const guarded = await guardedServer('')
  expect(await outcomes(guarded, waysTo(guarded, 99))).toEqual(refusedAs('SELECT'))
})

test('a user without permission to SELECT gets a failure with a reason, and database 0 is not charged', async () => {
  const guarded = await guardedServer('')
  await guarded.admin.acl('SETUSER', 'limiter', 'on', '>pw', '~*', '+@all', '-select')
  expect(await outcomes(guarded, waysTo(guarded, 3, 'limiter:pw'))).toEqual(refusedAs('forbidden'))
})

test('a server without SELECT causes a failure with a reason, and database 0 is not charged', async () => {
  const guarded = await guardedServer('', '--rename-command', 'SELECT', '')
  expect(await outcomes(guarded, waysTo(guarded, 3))).toEqual(refusedAs('forbidden'))
})

test('a database other than 0 of a cluster is a failure with a reason', async () => {
  const guarded = await guardedCluster('')
  const ways = VERSIONS.map((version) => ({
    client: asClient(clusterClientOf(version, guarded.port, { db: 3 })),
  }))
  expect(await outcomes(guarded, ways)).toEqual(refusedAs('SELECT', 2))
})

test('a server that refuses the name of the connection causes a failure with a reason', async () => {
  const guarded = await guardedServer('')
  await guarded.admin.acl('SETUSER', 'limiter', 'on', '>pw', '~*', '+@all', '-client|setname')
  const options = { port: guarded.port, username: 'limiter', password: 'pw', connectionName: 'api' }
  const ways = VERSIONS.map((version) => ({ client: asClient(clientOf(version, options)) }))
  expect(await outcomes(guarded, ways)).toEqual(refusedAs('forbidden', 2))
})

test('once the database may be selected, counts are kept in it and in no other', async () => {
  const guarded = await guardedServer('')
  await guarded.admin.acl('SETUSER', 'limiter', 'on', '>pw', '~*', '+@all', '-select')
  const limiter = opened({ url: `redis://limiter:pw@127.0.0.1:${guarded.port}/3` })
  for (let call = 0; call < 3; call++) await limiter.check('k')
  await guarded.admin.acl('SETUSER', 'limiter', '+select')
  await until(async () => {
    await limiter.check('after')
    return (await keysIn(guarded.admin, 3)).length > 0
  }, 8_000).catch(() => {})
  expect(await keysIn(guarded.admin, 3)).toHaveLength(1)
  expect(await guarded.admin.keys('*')).toEqual([])
})
