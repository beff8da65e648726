import { expect, test } from 'vitest'
import { failures, limiterForTest, sleep, until, untilExact } from './faults.ts'
import { serverForTest } from './server.ts'
import { admitted, Sharer, untilAway, untilShared } from './sharers.ts'

const LIMIT = 100
const WINDOWS = { algorithm: 'fixed-window' } as const

test('limiters with another name, other limits or another prefix take nothing of a share', async () => {
  const server = await serverForTest()
  const ours = { url: server.url, limit: `${LIMIT}/hour`, options: WINDOWS }
  const [one, two] = (await Sharer.many(2, ours)) as [Sharer, Sharer]
  const others = await Sharer.many(3, { ...ours, limit: '7/minute' })
  // Another name, other limits of the same name, another prefix; and only two with what we have.
  await Promise.all([one.open('api'), two.open('api'), one.open('login'), one.open('search')])
  await Promise.all(others.map((other) => other.open('api')))
  await Promise.all(others.map((other) => other.open('their own')))
  await untilShared([one, two], 2, 'api')
  await untilShared(others, 3, 'api')
  await untilShared([one], 1, 'login')
  await sleep(2_500)
  server.signal('SIGSTOP')
  await untilAway([one, two], 'api')
  expect(await admitted([one, two], 2 * LIMIT, { name: 'api' })).toBe(LIMIT)
  expect(await one.ask(2 * LIMIT, { name: 'login' })).toBe(LIMIT)
  await untilAway(others, 'api')
  const theirs = await admitted(others, 20, { name: 'api' })
  expect(theirs).toBeGreaterThanOrEqual(7)
  expect(theirs).toBeLessThanOrEqual(9)
})

test('a heartbeat is one command, and few keys exist, whatever the number of limiters', async () => {
  const server = await serverForTest()
  const first = limiterForTest('100/hour', { url: server.url, name: 'first', deadlineMs: 5_000 })
  await untilExact(first)
  const open = (from: number, to: number): void => {
    for (let i = from; i < to; i++) {
      limiterForTest(`${i + 1}/hour`, { storage: first.storage, name: `tenant ${i}` })
    }
  }
  open(0, 100)
  const terms = { url: server.url, limit: '100/hour' }
  const [few] = (await Sharer.many(1, terms)) as [Sharer]
  await few.open('its own')
  await untilShared([few], 1, 'its own')
  await sleep(2_500)
  expect([first.stats().processes, await few.processes('its own')]).toEqual([1, 1])
  open(100, 500)
  await sleep(1_000)
  const calls = async (): Promise<number> => {
    const stats = await server.admin.info('commandstats')
    return Number(/cmdstat_evalsha:calls=(\d+)/.exec(stats)?.[1] ?? 0)
  }
  const before = await calls()
  await sleep(4_000)
  expect((await calls()) - before).toBeLessThan(15)
  const names = await server.admin.keys('*{processes}*')
  expect(names.length).toBeLessThanOrEqual(150)
  expect(failures(first)).toBe(0)
  // A process with that many limiters is counted by those with few, whatever they share with it.
  await few.open('first')
  await until(async () => (await few.processes('first')) === 2)
  await until(() => first.stats().processes === 2)
  expect(await few.processes('first')).toBe(2)
})

test('two limiters of one name in one process have one share', async () => {
  const server = await serverForTest()
  const options = { ...WINDOWS, url: server.url, name: 'twice' }
  const [one, two] = [1, 2].map(() => limiterForTest('10/hour', options)) as [
    ReturnType<typeof limiterForTest>,
    ReturnType<typeof limiterForTest>,
  ]
  await untilExact(one)
  server.signal('SIGSTOP')
  await until(async () => {
    const before = failures(one)
    await one.check('is it away?', 0)
    return failures(one) > before
  })
  let units = 0
  for (let i = 0; i < 20; i++) {
    for (const limiter of [one, two]) if ((await limiter.check('k')).allowed) units++
  }
  expect(units).toBe(10)
})
