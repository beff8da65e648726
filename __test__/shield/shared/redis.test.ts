import { Redis } from 'ioredis'
import { FakeClock } from 'ratethrottle'
import { RedisLimiter } from 'ratethrottle/redis'
import { type Guard, shield } from 'ratethrottle/shield'
import { expect, it, onTestFinished } from 'vitest'
import { PATIENCE } from '../../fixtures/patience.ts'
import { startCluster } from '../../redis/cluster.ts'
import { sleep, until } from '../../redis/faults.ts'
import { freePort, serverForTest, startServerOn } from '../../redis/server.ts'
import { SlowWire } from '../../redis/slow-wire.ts'
import { type Neighbour, startProcess } from './neighbours.ts'

const IP = '203.0.113.7'
const HOUR = 3_600_000
/** What may be read late from the clock that a shield reads. */
const COARSE_MS = 20

function guardOf(storage: unknown, options: object = {}): Guard {
  const guard = shield({ mode: 'enforce', blocks: { storage }, ...options })
  onTestFinished(() => guard.close())
  return guard
}

async function hostOf(storage: string, options: object = {}): ReturnType<typeof startProcess> {
  const host = await startProcess({ mode: 'enforce', blocks: { storage }, ...options })
  onTestFinished(() => host.end())
  return host
}

const isBlocked = async (host: Neighbour, ip = IP): Promise<boolean> =>
  ((await host.call('isBlocked', ip)) as number) > 0

it('a scan that one host blocks is blocked by all, and ends there no later; a pardon reaches all', async () => {
  const { url } = await serverForTest()
  const hosts = await Promise.all([hostOf(url), hostOf(url, { mode: 'watch' }), hostOf(url)])
  const [first, second, third] = hosts as [Neighbour, Neighbour, Neighbour]
  const probes = Array.from({ length: 40 }, (_, i) => `/probe/${i}`)
  const began = performance.now()
  expect(await first.call('fail', IP, probes)).toBeGreaterThan(0)
  for (const other of [second, third]) await until(() => isBlocked(other), PATIENCE)
  console.log(`a block reached all hosts after ${(performance.now() - began).toFixed(0)} ms`)
  for (const other of [second, third]) {
    const there = performance.now() + ((await other.call('isBlocked', IP)) as number)
    // The end there at the earliest, and here at the latest: the calls take time.
    const left = (await first.call('isBlocked', IP)) as number
    const here = performance.now() + left
    expect(there).toBeLessThanOrEqual(here + COARSE_MS)
    expect(there).toBeGreaterThan(here - 1_000)
  }
  expect(await second.call('decide', IP, 1)).toMatchObject({ level: 4, allowed: true })
  expect(await third.call('decide', IP, 1)).toMatchObject({ level: 4, allowed: false })
  const pardoned = performance.now()
  expect(await third.call('pardon', IP)).toBe(true)
  for (const other of [first, second]) await until(async () => !(await isBlocked(other)), PATIENCE)
  console.log(`a pardon reached all hosts after ${(performance.now() - pardoned).toFixed(0)} ms`)
  expect(await first.call('decide', IP, 1)).toMatchObject({ level: 0 })
})

it('over a slow wire a block ends no later than where it began, and no request waits', async () => {
  const server = await serverForTest()
  const [near, far] = [await SlowWire.before(server.port), await SlowWire.before(server.port)]
  near.requestMs = 250
  far.requestMs = 350
  const [one, other] = [guardOf(near.url), guardOf(far.url)]
  await sleep(1_500)
  for (let n = 0; n < 20; n++) expect(one.block(`203.0.113.${n}`, 60_000 + n)).toBe(true)
  await until(() =>
    Array.from({ length: 20 }, (_, n) => n).every((n) => other.isBlocked(`203.0.113.${n}`) > 0),
  )
  for (let n = 0; n < 20; n++) {
    const [here, there] = [one, other].map((guard) => guard.isBlocked(`203.0.113.${n}`))
    expect(there).toBeLessThanOrEqual((here as number) + COARSE_MS)
    expect(there).toBeGreaterThan((here as number) - 2_000)
  }
})

it('a host that starts later learns the blocks that there are, and not those that were pardoned', async () => {
  const { url, admin } = await serverForTest()
  const guard = guardOf(url)
  guard.block(IP, HOUR)
  guard.block('2001:db8:1:2::5', HOUR)
  guard.block('203.0.113.8', HOUR)
  guard.pardon('203.0.113.8')
  await until(async () => (await admin.dbsize()) === 4)
  const late = guardOf(url)
  await until(() => late.isBlocked(IP) > 0 && late.isBlocked('2001:db8:1:2:ffff::') > 0)
  await sleep(500)
  expect(late.isBlocked('203.0.113.8')).toBe(0)
  // A pardon of one that only others know as blocked.
  const other = guardOf(url, { allow: IP })
  other.pardon(IP)
  await until(() => late.isBlocked(IP) === 0 && guard.isBlocked(IP) === 0)
})

it('a block that was noted after a pardon, of before it, ends no pardon', async () => {
  const server = await serverForTest()
  const wire = await SlowWire.before(server.port)
  const [cutOff, guard] = [guardOf(wire.url), guardOf(server.url)]
  await sleep(700)
  wire.requestMs = 900
  cutOff.block(IP, HOUR)
  // Each tells the time of Redis from round trips: on a busy machine less exactly.
  await sleep(400)
  guard.pardon(IP)
  await sleep(2_500)
  wire.requestMs = 0
  await until(() => cutOff.isBlocked(IP) === 0)
  await sleep(1_000)
  expect([guard.isBlocked(IP), cutOff.isBlocked(IP)]).toEqual([0, 0])
})

it('while Redis is away a host goes on by itself, with one warning, and catches up', async () => {
  const server = await serverForTest()
  const hosts = await Promise.all([hostOf(server.url), hostOf(server.url)])
  const [first, second] = hosts as [Neighbour, Neighbour]
  await first.call('block', IP, HOUR)
  await until(() => isBlocked(second))
  server.signal('SIGKILL')
  await sleep(2_500)
  const alone = '203.0.113.8'
  expect(await first.call('block', alone, HOUR)).toBe(true)
  expect(await first.call('decide', alone, 1)).toMatchObject({ level: 4, allowed: false })
  expect(await second.call('pardon', IP)).toBe(true)
  expect(await second.call('decide', alone, 1)).toMatchObject({ level: 0, allowed: true })
  await server.restart()
  await until(() => isBlocked(second, alone))
  await until(async () => !(await isBlocked(first)))
  expect(await first.call('warnings')).toEqual(['RATETHROTTLE_SHIELD_ALONE'])
  expect(await second.call('warnings')).toEqual(['RATETHROTTLE_SHIELD_ALONE'])
})

it('a frozen Redis holds up no request; afterwards all is told', async () => {
  const server = await serverForTest()
  const [one, other] = [guardOf(server.url), guardOf(server.url)]
  await sleep(600)
  server.signal('SIGSTOP')
  let longest = 0
  const end = performance.now() + 1_500
  while (performance.now() < end) {
    const before = performance.now()
    // Neither is a promise.
    expect(one.decide({ ip: IP })).toMatchObject({ allowed: expect.any(Boolean) })
    one.block('203.0.113.8', HOUR)
    longest = Math.max(longest, performance.now() - before)
    await sleep(5)
  }
  console.log(`frozen Redis: a decision and a block took ${longest.toFixed(1)} ms at most`)
  server.signal('SIGCONT')
  await until(() => other.isBlocked('203.0.113.8') > 0)
})

it('a host that is stopped and goes on, and one that was killed, change no end', async () => {
  const server = await serverForTest()
  const [first, second] = [await hostOf(server.url), await hostOf(server.url)]
  const begun = performance.now()
  await first.call('block', IP, 10_000)
  await until(() => isBlocked(second))
  const until_ = performance.now() + 10_000
  first.child.kill('SIGKILL')
  second.child.kill('SIGSTOP')
  await sleep(1_500)
  const third = await hostOf(server.url)
  await until(() => isBlocked(third))
  const left = (await third.call('isBlocked', IP)) as number
  expect(performance.now() + left).toBeLessThanOrEqual(until_ + COARSE_MS)
  expect(performance.now() + left).toBeGreaterThan(begun + 9_000)
  await sleep(until_ - performance.now() + 50)
  second.child.kill('SIGCONT')
  expect(await isBlocked(second)).toBe(false)
  expect(await isBlocked(third)).toBe(false)
  await sleep(1_000)
  expect(await isBlocked(second)).toBe(false)
})

it('2,000 blocks of one moment reach the others', async () => {
  const { url } = await serverForTest()
  const [one, other] = [guardOf(url), guardOf(url)]
  await sleep(600)
  for (let n = 0; n < 2_000; n++) one.block(`198.51.${n >> 8}.${n & 255}`, HOUR)
  await until(() => other.state().blocked === 2_000)
})

it('a program that pardons a source and ends has told the others', async () => {
  const { url } = await serverForTest()
  const guard = guardOf(url)
  guard.block(IP, HOUR)
  await sleep(1_000)
  const script = await hostOf(url)
  await script.call('pardon', IP)
  await script.call('close')
  await until(() => guard.isBlocked(IP) === 0)
})

it('takes a client of ioredis and leaves it alone, and the storage of a limiter; a cluster too', async () => {
  const server = await serverForTest()
  const client = new Redis(server.port, '127.0.0.1', { lazyConnect: true, keyPrefix: 'mine:' })
  const limiter = new RedisLimiter('5/minute', { url: server.url })
  const [one, other] = [guardOf(client), guardOf(limiter.storage)]
  await sleep(600)
  one.block(IP, HOUR)
  await until(async () => (await server.admin.keys('mine:*')).length === 2)
  expect(client.status).toBe('wait')
  expect(other.isBlocked(IP)).toBe(0)
  await limiter.close()
  other.block(IP, HOUR)
  await until(async () => (await server.admin.keys('ratethrottle:*blocks*')).length === 2)

  const cluster = await startCluster()
  onTestFinished(() => cluster.stop())
  const [here, there] = [guardOf(cluster.url), guardOf(cluster.url)]
  here.block(IP, HOUR)
  await until(() => there.isBlocked(IP) > 0)
})

it('a Redis that comes later is found; until then there is one warning', async () => {
  const warned: (string | undefined)[] = []
  const hear = ({ code }: Error & { code?: string }): unknown => warned.push(code)
  process.on('warning', hear)
  onTestFinished(() => void process.off('warning', hear))
  const port = await freePort()
  const [one, other] = [guardOf(`redis://127.0.0.1:${port}`), guardOf(`redis://127.0.0.1:${port}`)]
  one.block(IP, HOUR)
  await until(() => warned.length === 2)
  const server = await startServerOn(port)
  onTestFinished(() => server.stop())
  await until(() => other.isBlocked(IP) > 0)
  expect(warned).toEqual(['RATETHROTTLE_SHIELD_ALONE', 'RATETHROTTLE_SHIELD_ALONE'])
})

it('options that are wrong are refused by name, and no password is shown', () => {
  const refused = (blocks: unknown, options: object = {}): unknown => {
    try {
      shield({ blocks, ...options } as never).close()
      return undefined
    } catch (error) {
      return `${(error as { code: string }).code}: ${(error as Error).message}`
    }
  }
  expect(refused('redis://127.0.0.1')).toMatch(/^INVALID_OPTION: blocks must be an object/)
  expect(refused({})).toMatch(/^INVALID_OPTION: blocks\.storage must be/)
  expect(refused({ storage: 'memory:' })).toMatch(/^INVALID_OPTION: blocks\.storage must be/)
  expect(refused({ storage: 'shared:x' })).toMatch(/^INVALID_OPTION: blocks\.storage must be/)
  expect(refused({ storage: 'redis://127.0.0.1', prefix: 'x' })).toContain('"prefix"')
  expect(refused({ storage: 'redis://127.0.0.1', keyPrefix: '{' })).toContain('keyPrefix')
  expect(refused({ storage: 'redis://127.0.0.1' }, { clock: new FakeClock() })).toContain('clock')
  expect(refused({ storage: 'redis://me:hunter2@:x' })).not.toContain('hunter2')
})
