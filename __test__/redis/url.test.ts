import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { createLimiter } from 'ratethrottle'
import { RedisLimiter, RedisStorage } from 'ratethrottle/redis'
import { expect, onTestFinished, test } from 'vitest'
import { guardedCluster, guardedServer, keysIn } from '../adapters/guarded.ts'
import { ROOT } from '../fixtures/child.ts'
import { failures, until } from './faults.ts'
import { serverForTest } from './server.ts'

const load = createRequire(join(ROOT, 'package.json'))

/** Whether Redis decides for a limiter on this address; or why it can't be opened. */
async function decidedAt(url: string, options: object = {}): Promise<boolean | string> {
  let limiter: RedisLimiter<string>
  try {
    limiter = new RedisLimiter('5/hour', { url, deadlineMs: 2_000, ...options })
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
  try {
    return await until(async () => {
      const before = failures(limiter)
      await limiter.check('k')
      return failures(limiter) === before
    }, 4_000).then(
      () => true,
      () => false,
    )
  } finally {
    await limiter.close()
  }
}

async function socketServer(...settings: string[]): Promise<{ path: string; admin: Redis }> {
  const directory = mkdtempSync(join(tmpdir(), 'ratethrottle socket '))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  const path = join(directory, 'redis.sock')
  await serverForTest('--unixsocket', path, ...settings)
  const admin = new Redis({ path, password: 's3cret:/@' } as object)
  admin.on('error', () => {})
  onTestFinished(() => admin.disconnect())
  return { path: encodeURI(path), admin }
}

test('a Unix socket has a URL, with a database and a password', async () => {
  const { path, admin } = await socketServer('--requirepass', 's3cret:/@')
  const password = encodeURIComponent('s3cret:/@')
  const at = [`redis+unix://:${password}@${path}`, `valkey+unix://:${password}@${path}?db=1`]
  expect([await decidedAt(at[0] ?? ''), await decidedAt(at[1] ?? '')]).toEqual([true, true])
  expect([(await keysIn(admin, 0)).length, (await keysIn(admin, 1)).length]).toEqual([1, 1])
  const viaSettings = (): unknown => createLimiter({ limits: '5/hour', storage: at[0] as never })
  const limiter = viaSettings() as RedisLimiter<string>
  expect((await limiter.check('k')).remaining).toBe(3)
  await limiter.close()
})

test('valkey: and valkeys: URLs are accepted', async () => {
  const server = await serverForTest()
  const cluster = await guardedCluster('pw')
  const outcomes = [
    await decidedAt(`valkey://127.0.0.1:${server.port}/1`),
    await decidedAt(`VALKEY://127.0.0.1:${server.port}`),
    await decidedAt(`valkey+cluster://:pw@127.0.0.1:${cluster.port}`),
  ]
  expect(outcomes).toEqual([true, true, true])
  // As types: not one of these is refused by the compiler.
  const typed = [
    () => createLimiter({ limits: '1/s', storage: 'valkey://a' }),
    () => createLimiter({ limits: '1/s', storage: 'valkeys+sentinel://a/b' }),
    () => createLimiter({ limits: '1/s', storage: 'rediss+cluster://a' }),
    () => createLimiter({ limits: '1/s', storage: 'redis+unix:///a' }),
  ]
  expect(typed).toHaveLength(4)
  for (const url of [
    'valkeys://a',
    'valkey+sentinel://a/b',
    'valkeys+cluster://a:1,b:2',
    'valkeys+sentinel://a/b',
  ]) {
    expect(() => new RedisStorage(url), url).not.toThrow()
  }
})

test('an invalid socket URL names the invalid part, and is not shown', () => {
  const wrong: [string, string][] = [
    ['redis+unix://:hunter2@host/path', 'invalid socket path'],
    ['redis+unix://:hunter2@', 'invalid socket path'],
    ['redis+unix://:hunter2@/', 'invalid socket path'],
    ['rediss+unix://:hunter2@/path', 'TLS'],
    ['redis+unix://:hunter2@/path?db=x', 'invalid query'],
    ['redis+unix://:hunter2@/path?db=1&x=2', 'invalid query'],
    ['redis+unix://:hunter2@/path?db=99999999999', 'invalid database'],
    ['redis+unix://hunter2@/path', 'invalid password'],
    ['redis+unix://:hunter2@/pa%zzth', 'invalid percent-encoding'],
    ['valkey+http://:hunter2@host', 'invalid scheme'],
  ]
  for (const [url, part] of wrong) {
    const open = (): unknown => new RedisStorage(url)
    expect(open, url).toThrow(expect.objectContaining({ code: 'INVALID_STORAGE' }))
    expect(open, url).toThrow(part)
    expect(open, url).not.toThrow(/hunter2|@host|pa%zz/)
  }
})

/** What ioredis-mock hands out: the commands and no connection. */
class Mock {
  status?: string
  readonly options = {}
  readonly connected = true
  duplicate(): Mock {
    return new Mock()
  }
  on(): this {
    return this
  }
  once(): this {
    return this
  }
  connect = async (): Promise<void> => {}
  disconnect(): void {}
  evalsha = async (): Promise<never> => Promise.reject(new Error('NOSCRIPT'))
  eval = async (): Promise<never> => Promise.reject(new Error('not implemented'))
}

test('a mock client is refused with a code, and nothing counts locally', () => {
  const client = new Mock() as never
  const ways: [string, () => unknown][] = [
    ['client', () => new RedisLimiter('5/hour', { client })],
    ['storage', () => new RedisLimiter('5/hour', { storage: client })],
    ['storage', () => createLimiter({ limits: '5/hour', storage: client })],
    ['storage', () => new RedisStorage(client)],
  ]
  for (const [name, open] of ways) {
    expect(open).toThrow(TypeError)
    expect(open).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
    expect(open).toThrow(name)
    expect(open).toThrow('mock')
  }
})

test('clients of ioredis are distinguished from mocks, in each version and state', async () => {
  const { port } = await guardedServer('')
  const { Redis: Redis5, Cluster: Cluster5 } = load('ioredis-5')
  const { Cluster } = load('ioredis')
  const options = { port, lazyConnect: true }
  const nodes = [{ host: '127.0.0.1', port }]
  const clients = [
    new Redis(options as object),
    new Redis5(options),
    new Cluster(nodes, { lazyConnect: true }),
    new Cluster5(nodes, { lazyConnect: true }),
  ]
  const storages = clients.map((client) => new RedisStorage(client))
  expect(storages).toHaveLength(4)
  expect(() => new RedisStorage(new Mock() as never)).toThrow('mock')
  for (const client of clients) client.disconnect()
})
