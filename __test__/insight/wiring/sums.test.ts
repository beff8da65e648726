import { createRequire } from 'node:module'
import { setTimeout as sleep } from 'node:timers/promises'
import { RateLimiter } from 'ratethrottle'
import { insight, type Report } from 'ratethrottle/insight'
import { expect, onTestFinished, test } from 'vitest'
import { until } from '../../redis/faults.ts'
import { type Server, serverForTest } from '../../redis/server.ts'

const require = createRequire(`${process.cwd()}/`)
const { Hosts } = require('./dist/insight/hosts.js')
const { RedisInsightSums } = require('./dist/redis/insight-sums.js')

const HOUR = 3_600_000

/** The sums of a service in a server, and a host that counts by itself. */
function openHost(url: string, name: string) {
  const view = insight({ keys: 'plain' })
  const limiter = new RateLimiter('1000/hour', { name: 'api', insight: view })
  const sums = new RedisInsightSums(url, undefined, name)
  const hosts = new Hosts(
    sums,
    {},
    {
      series: (options: never) => view.own.series(options),
      processes: () => 1,
      isUsed: () => true,
    },
  )
  onTestFinished(() => {
    hosts.close()
    limiter.close()
    view.close()
  })
  const report = (): Report => hosts.others.addTo(view.own.report({ since: HOUR }), HOUR)
  return { sums, hosts, limiter, report, exchange: () => until(() => hosts.exchange(), 10_000) }
}

async function serverWith(
  name: string,
): Promise<{ server: Server; key: (unit: string) => string }> {
  const server = await serverForTest()
  const step = (unit: string) => Math.floor(Date.now() / (unit === 'minute' ? 60_000 : HOUR))
  return { server, key: (unit) => `ratethrottle:{${name}:insight}:${unit}:${step(unit)}` }
}

test('a step that is told again, late, or in its neighbour, is counted once', async () => {
  const { server } = await serverWith('again')
  const { sums } = openHost(server.url, 'again')
  const told = (step: number, total: number) => {
    return { unit: 'minute', step, field: 'a:7', total, value: `[1,["api",${total},0,0,0]]` }
  }
  await until(() => sums.push([]).then(Boolean, () => false), 5_000)
  await sums.push([told(100, 5)])
  await sums.push([told(100, 9), told(100, 3)])
  await sums.push([told(101, 12), told(99, 4)])
  const [before, at, after] = await sums.read(
    [99, 100, 101].map((step) => ({ unit: 'minute', step })),
  )
  expect([before, at, after]).toEqual([[], [['a:7', '[1,["api",12,0,0,0]]']], []])
  const ttl = await server.admin.pttl('ratethrottle:{again:insight}:minute:100')
  expect(ttl).toBeGreaterThan(24 * HOUR)
})

test('an outage is told once, and what was counted meanwhile is told after it', async () => {
  const { server } = await serverWith('outage')
  const [one, other] = [openHost(server.url, 'outage'), openHost(server.url, 'outage')]
  const warned: string[] = []
  const hear = (warning: Error & { code?: string }) => void warned.push(warning.code ?? '')
  process.on('warning', hear)
  onTestFinished(() => void process.off('warning', hear))
  for (let i = 0; i < 10; i++) one.limiter.allow('k')
  await one.exchange()
  server.signal('SIGKILL')
  for (let i = 0; i < 5; i++) one.limiter.allow('k')
  for (let i = 0; i < 4; i++) expect(await one.hosts.exchange()).toBe(false)
  // Heard a turn later, and before the restart: a slow one is an outage to the other host as well.
  await new Promise((resolve) => setImmediate(resolve))
  expect(warned.filter((code) => code === 'RATETHROTTLE_INSIGHT_STORE')).toHaveLength(1)
  await server.restart()
  await one.exchange()
  await other.exchange()
  expect(other.report()).toMatchObject({ processes: 2, totals: { admitted: 15 } })
})

test('whatever is written there, by whomever, adds no more than counts', async () => {
  const { server, key } = await serverWith('hostile')
  const host = openHost(server.url, 'hostile')
  host.limiter.allow('k')
  const name = 'x'.repeat(64)
  const hostile: [string, string][] = [
    ['a:1', '3 [1,["api",3,0,0,0]]'],
    ['b:1', 'no JSON'],
    ['c:1', '1 {"__proto__":{"polluted":1}}'],
    ['d:1', '1 [1,["api",-5,0,0,0],["api",1e400,0,0,0],["api",0.5,0,0,0],["api","7",0,0,0]]'],
    ['e:1', '1 [-1,["api",7,0,0,0]]'],
    ['f:1', '1 [1,["__proto__",1,0,0,0],["constructor",1,0,0,0]]'],
    ['g:1', `1 [1,["${name}y",1,0,0,0],["${name}",2,0,0,0],["",1,0,0,0],[7,1,0,0,0],null]`],
    ['h:1', `1 [1,["api",${'9'.repeat(70_000)},0,0,0]]`],
    ['i:1', `1 [1${',["api",1,0,0,0]'.repeat(1_000)}]`],
    ['j:1', '[1,["api",1,0,0,0]]'],
    ['', ''],
    ['k'.repeat(10_000), '1 []'],
  ]
  await server.admin.hset(key('minute'), new Map(hostile))
  // A host's hour lies where it has begun.
  const hours = [0, 1].map((ago) =>
    key('hour').replace(/\d+$/, (step) => String(Number(step) - ago)),
  )
  for (const hour of hours) await server.admin.set(hour, 'a text')
  await host.exchange()
  const { limits } = host.report()
  const seen = Object.fromEntries(limits.map((limit) => [limit.name, limit.admitted]))
  // Of those that may be read: one of its own, three, and 65 of a list that is too long.
  expect(seen).toEqual({
    api: 1 + 3 + 65,
    [name]: 2,
    ...Object.fromEntries([['__proto__', 1]]),
    constructor: 1,
  })
  expect(({} as { polluted?: number }).polluted).toBeUndefined()
  expect(await Promise.all(hours.map((hour) => server.admin.type(hour)))).toContain('hash')
})

test('names beyond those that are kept are one, and processes beyond a thousand have no field', async () => {
  const { server, key } = await serverWith('many')
  const host = openHost(server.url, 'many')
  const fields = Array.from({ length: 1_000 }, (_, i) => {
    return [`${i}:1`, `1 [1,["limit ${i}",1,0,0,0]]`] as const
  })
  await server.admin.hset(key('minute'), new Map(fields))
  host.limiter.allow('k')
  await host.exchange()
  const { limits, totals } = host.report()
  expect(await server.admin.hlen(key('minute'))).toBe(1_000)
  expect(limits.length).toBeLessThanOrEqual(66)
  expect(totals.admitted).toBe(1_001)
  expect(limits.find((limit) => limit.name === 'other')?.admitted).toBeGreaterThan(900)
})

test('option storage: reports about a time are about all hosts, the others about this one', async () => {
  const { server } = await serverWith('service')
  const other = openHost(server.url, 'service')
  for (let i = 0; i < 7; i++) other.limiter.allow('k')
  await other.exchange()
  const view = insight({ storage: server.url, name: 'service' })
  const limiter = new RateLimiter('2/hour', { name: 'mine', insight: view })
  for (let i = 0; i < 3; i++) limiter.allow('k')
  // Hours are asked for after minutes.
  await until(() => view.series({ unit: 'hour' }).length > 1, 10_000)
  const { limits, totals, processes } = view.report({ since: '1 hour' })
  expect([totals.admitted, totals.denied, processes]).toEqual([9, 1, 2])
  expect(limits).toMatchObject([
    { name: 'mine', admitted: 2, denied: 1, tier: 'memory' },
    { name: 'api', admitted: 7, denied: 0, tier: undefined, limits: [] },
  ])
  expect(view.report().totals.admitted).toBe(2)
  for (const unit of ['minute', 'hour'] as const) {
    const series = view.series({ unit, steps: 3 })
    const sums = series.map(({ limit, points }) => [
      limit,
      points.reduce((sum, { admitted }) => sum + admitted, 0),
      points.length,
    ])
    expect(sums).toEqual([
      ['mine', 2, 3],
      ['api', 7, 3],
    ])
  }
  expect(view.series({ unit: 'second' }).map(({ limit }) => limit)).toEqual(['mine'])
  // What was counted last is told when the insight is closed.
  limiter.allow('other')
  limiter.close()
  view.close()
  await sleep(200)
  await other.exchange()
  expect(other.report().totals).toMatchObject({ admitted: 10, denied: 1 })
})

test('what is no storage of Redis is refused', () => {
  const clock = { now: () => 0 }
  for (const storage of ['memory:', 'shared:x', 7, {}, null]) {
    expect(() => insight({ storage } as never), String(storage)).toThrow(/storage must be/)
  }
  expect(() => insight({ storage: 'redis://127.0.0.1', clock })).toThrow('storage excludes clock')
})
