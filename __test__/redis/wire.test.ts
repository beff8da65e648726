import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { Redis as Redis5 } from 'ioredis-5'
import type { Decision } from 'ratethrottle'
import { RedisLimiter } from 'ratethrottle/redis'
import { describe, expect, it, onTestFinished } from 'vitest'
import { ALGORITHMS } from '../fixtures/algorithms.ts'
import { admits, failures, limiterForTest, until, untilExact } from './faults.ts'
import { race } from './race.ts'
import { type Server, serverForTest } from './server.ts'

const { RATETHROTTLE_CALLS: given } = process.env
/** Calls of each process. `npm run test:redis` makes 10,000. */
const CALLS = Number(given ?? 300)
const FIVE = '1000/hour; 900/30 minutes; 800/20 minutes; 700/10 minutes; 600/5 minutes'
const PATIENT = { deadlineMs: 10_000 }

/** The commands that clients send during `work`, without heartbeats. */
async function commandsDuring(server: Server, work: () => Promise<unknown>): Promise<string[]> {
  const monitor = await server.admin.monitor()
  const seen: string[] = []
  monitor.on('monitor', (_time: string, args: string[], source: string) => {
    const line = args.join(' ')
    const ours = source !== 'lua' && !line.includes('{processes}') && !line.startsWith('client ')
    if (ours) seen.push(line)
  })
  await work()
  await server.admin.echo('that was all')
  while (!seen.some((line) => line.includes('that was all'))) await sleep(5)
  monitor.disconnect()
  return seen.slice(0, -1)
}

async function connections(server: Server): Promise<number> {
  const list = await server.admin.client('LIST')
  return String(list).trim().split('\n').length
}

describe('commands that are sent', () => {
  for (const limits of ['1000/hour', FIVE]) {
    it(`one command for each check, refund, block or reset against ${limits}`, async () => {
      const server = await serverForTest()
      const limiter = limiterForTest(limits, { url: server.url, ...PATIENT })
      await untilExact(limiter)
      const commands = await commandsDuring(server, async () => {
        for (let i = 0; i < 20; i++) await limiter.check(`k${i % 3}`)
        await limiter.peek('k1')
        await limiter.refund('k1')
        await limiter.block('k1', 1_000)
        await limiter.reset('k1')
      })
      expect(commands.filter((line) => !line.startsWith('evalsha '))).toEqual([])
      expect(commands).toHaveLength(24)
    })
  }

  it('several limiters of one storage share one connection', async () => {
    const server = await serverForTest()
    const first = limiterForTest('5/hour', { url: server.url, ...PATIENT })
    const second = limiterForTest('5/hour', { storage: first.storage, name: 'b', ...PATIENT })
    await Promise.all([first.check('k'), second.check('k')])
    expect(await connections(server)).toBe(2)
    await first.close()
    expect((await second.check('k')).remaining).toBe(3)
    await second.close()
    await until(async () => (await connections(server)) === 1)
  })

  it('a given client is neither changed nor closed, and its keyPrefix is used', async () => {
    const server = await serverForTest()
    const client = new Redis(server.port, '127.0.0.1', {
      keyPrefix: 'app:',
      enableAutoPipelining: true,
      stringNumbers: true,
    })
    onTestFinished(() => client.disconnect())
    await client.subscribe('news')
    const before = Object.keys(client).length
    const limiter = limiterForTest('5/hour', { client, ...PATIENT })
    expect((await limiter.check('k')).remaining).toBe(4)
    expect(await Promise.all([admits(limiter, 'k'), admits(limiter, 'k')])).toEqual([true, true])
    expect((await limiter.check('k')).remaining).toBe(1)
    expect(failures(limiter)).toBe(0)
    await limiter.close()
    expect(client.status).toBe('ready')
    expect(Object.keys(client).length).toBe(before)
    const keys = await server.admin.keys('*')
    expect(keys).toHaveLength(1)
    expect(keys[0]).toMatch(/^app:ratethrottle::[\w-]{10}:\{k\}$/)
  })
})

it('works with a client of ioredis 5 as with one of 6', async () => {
  const server = await serverForTest()
  const client = new Redis5(server.port, '127.0.0.1', { keyPrefix: 'app:', stringNumbers: true })
  onTestFinished(() => client.disconnect())
  const limiter = limiterForTest('3/hour; 5/day', { client, ...PATIENT })
  const answers = await Promise.all(Array.from({ length: 5 }, () => limiter.check('k')))
  expect(answers.map(({ remaining }) => remaining)).toEqual([2, 1, 0, 0, 0])
  expect(limiter.standings('k', answers[0] as Decision).map(({ remaining }) => remaining)).toEqual([
    2, 4,
  ])
  await limiter.reset('k')
  expect([await admits(limiter, 'k'), failures(limiter)]).toEqual([true, 0])
})

describe('keys that stay in Redis', () => {
  for (const algorithm of ALGORITHMS) {
    it(`${algorithm}: a denial changes no byte, and after the window no key is left`, async () => {
      const server = await serverForTest()
      const options = { url: server.url, algorithm, localDenials: false, ...PATIENT }
      const limiter = limiterForTest('3/500ms; 5/700ms', options)
      for (let i = 0; i < 3; i++) await limiter.check('k')
      const [name = ''] = await server.admin.keys('*{k}')
      const dump = await server.admin.dumpBuffer(name)
      const expiry = await server.admin.pexpiretime(name)
      expect((await limiter.check('k')).allowed).toBe(false)
      expect((await limiter.check('k', 2)).allowed).toBe(false)
      expect((await limiter.check('k', 9)).retryAfterMs).toBe(Number.POSITIVE_INFINITY)
      await limiter.peek('k')
      await limiter.check('k', 0)
      expect(await server.admin.dumpBuffer(name)).toEqual(dump)
      expect(await server.admin.pexpiretime(name)).toBe(expiry)
      const { resetMs } = await limiter.peek('k')
      await sleep(resetMs + 20)
      expect(await server.admin.exists(name)).toBe(0)
    })
  }

  it('every key expires, also after a refund', async () => {
    const server = await serverForTest()
    for (const algorithm of ALGORITHMS) {
      const limiter = limiterForTest('5/minute', { url: server.url, algorithm, ...PATIENT })
      await limiter.refund('never seen', 3)
      await limiter.check('refunded', 2)
      await limiter.refund('refunded', 2)
      await limiter.check('kept', 2)
      await limiter.block('blocked', 5_000)
      await limiter.block('kept', 1)
      await limiter.check('kept', 0)
    }
    const keys = (await server.admin.keys('*')).filter((name) => !name.includes('{processes}'))
    expect(keys.length).toBe(10)
    for (const name of keys) {
      expect(await server.admin.pttl(name)).toBeGreaterThan(0)
      expect(await server.admin.pttl(name)).toBeLessThanOrEqual(120_000)
    }
  })

  it('foreign and damaged values under our keys are replaced', async () => {
    const server = await serverForTest()
    for (const algorithm of ALGORITHMS) {
      const limiter = limiterForTest('5/minute', { url: server.url, algorithm, ...PATIENT })
      await limiter.check('k')
      const [name = ''] = await server.admin.keys('*{k}')
      const spoil = [
        () => server.admin.set(name, 'what is this?'),
        () => server.admin.set(name, ''),
        () => server.admin.set(name, Buffer.alloc(17, 0xff)),
        () => server.admin.set(name, Buffer.alloc(40, 0xff)),
        () => server.admin.set(name, Buffer.concat([Buffer.from('L'), Buffer.alloc(60, 0xff)])),
        () => server.admin.set(name, Buffer.concat([Buffer.from('GFSL'), Buffer.alloc(13, 0xff)])),
        () => server.admin.lpush(name, 'a', 'b'),
        () => server.admin.hset(name, 'f', 'v'),
      ]
      for (const how of spoil) {
        await server.admin.del(name)
        await how()
        const decision = await limiter.check('k')
        expect(decision.remaining).toBeGreaterThanOrEqual(0)
        await limiter.reset('k')
        expect((await limiter.check('k')).remaining).toBe(4)
      }
      expect(failures(limiter)).toBe(0)
      await server.admin.flushall()
    }
  })
})

it('8 processes, one key, each algorithm: exactly the limit is admitted', async () => {
  const server = await serverForTest()
  expect(await race(server.url, ALGORITHMS, { calls: CALLS })).toEqual({
    admitted: ALGORITHMS.map(() => 1_000),
    failures: 0,
  })
})

it('hundreds of unusual keys have a budget each', async () => {
  const server = await serverForTest()
  const limiter = new RedisLimiter('1/hour', { url: server.url, name: 'a{b}c%', ...PATIENT })
  onTestFinished(() => limiter.close())
  const odd = [
    '',
    '%',
    '%%',
    '{',
    '}',
    '{}',
    '{a}',
    'a}{b',
    ' ',
    '%0020',
    '\ud800',
    '\ud801',
    '\ufffd',
  ]
  const long = ['x'.repeat(128), 'x'.repeat(129), 'x'.repeat(130), 'x'.repeat(1_048_576)]
  const keys = [...odd, ...long, '\u0000', '\n', '\u00e9', 'e\u0301', '\u{1f600}', 'K', '\u212a']
  const answers = await Promise.all(keys.map((key) => admits(limiter, key)))
  expect(answers.every((allowed) => allowed)).toBe(true)
  const names = (await server.admin.keys('*')).filter((name) => !name.includes('{processes}'))
  expect(names).toHaveLength(keys.length)
  expect(Math.max(...names.map((name) => name.length))).toBeLessThan(300)
})
