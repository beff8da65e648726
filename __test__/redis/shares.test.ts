import { expect, onTestFinished, test } from 'vitest'
import { byLength } from '../fixtures/long.ts'
import { sleep } from './faults.ts'
import { freePort, serverForTest, startServerOn } from './server.ts'
import { admitted, Sharer, untilAway, untilShared } from './sharers.ts'

const LIMIT = 100
const TERMS = { limit: `${LIMIT}/hour` }
const WINDOWS = { algorithm: 'fixed-window' }
/** How many calls each of four processes makes before Redis starts. RATETHROTTLE_ORDERS=30 tries 30 orders. */
const { RATETHROTTLE_ORDERS: orders = byLength('2', '3') } = process.env
const CHOSEN = [
  [0, 1, 1, 1],
  [30, 0, 0, 5],
  [1, 2, 3, 4],
]
const ORDERS = [
  ...CHOSEN.slice(0, Number(orders)),
  ...Array.from({ length: Number(orders) - 3 }, () =>
    Array.from({ length: 4 }, () => Math.floor(Math.random() * 40)),
  ),
]

test('four processes that had calls before Redis started share the limit when Redis goes away', async () => {
  const port = await freePort()
  const url = `redis://127.0.0.1:${port}/0`
  const sharers = await Sharer.many(4, { ...TERMS, url, options: { connectTimeoutMs: undefined } })
  // Each decides alone: none of them can know of another.
  expect(await admitted(sharers, 1)).toBe(4)
  const server = await startServerOn(port)
  onTestFinished(() => server.stop())
  await untilShared(sharers, 4)
  await sleep(3_000)
  server.signal('SIGKILL')
  await untilAway(sharers)
  const units = await admitted(sharers, 2 * LIMIT)
  expect(units).toBeLessThanOrEqual(LIMIT + 3)
  // What each admitted before counts, and no more than that is lost.
  expect(units).toBeGreaterThanOrEqual(LIMIT - 4)
})

test(
  'in any order of early calls the processes admit the limit and at most 3 more while Redis is frozen or gone',
  async () => {
    for (const [order, early] of ORDERS.entries()) {
      const port = await freePort()
      const url = `redis://127.0.0.1:${port}/0`
      const options = order % 2 === 0 ? WINDOWS : { algorithm: 'sliding-log' }
      const sharers = await Sharer.many(4, { ...TERMS, url, options })
      await Promise.all(sharers.map((sharer, index) => sharer.ask(early[index] ?? 0)))
      const server = await startServerOn(port)
      onTestFinished(() => server.stop())
      await untilShared(sharers, 4)
      await sleep(1_500)
      const key = order % 3 === 2 ? 'another' : 'k'
      server.signal(order % 3 === 1 ? 'SIGKILL' : 'SIGSTOP')
      await untilAway(sharers)
      expect(await admitted(sharers, 2 * LIMIT, { key })).toBeLessThanOrEqual(LIMIT + 3)
      if (order % 3 !== 1) server.signal('SIGCONT')
      await Promise.all([server.stop(), ...sharers.map((sharer) => sharer.end('killed'))])
    }
  },
  60_000 * ORDERS.length,
)

test('a process that joins just before an outage does not raise the total that is admitted', async () => {
  for (const pauseMs of byLength([40, 1_200], [0, 40, 300, 1_200])) {
    const server = await serverForTest()
    const terms = { ...TERMS, url: server.url, options: WINDOWS }
    const old = await Sharer.many(2, terms)
    await Promise.all(old.map((sharer) => sharer.open()))
    await untilShared(old, 2)
    await sleep(4_500)
    const late = await Sharer.many(2, terms)
    await Promise.all(late.map((sharer) => sharer.ask(1)))
    await sleep(pauseMs)
    server.signal('SIGSTOP')
    const all = [...old, ...late]
    await untilAway(all)
    const units = await admitted(all, 2 * LIMIT, { key: 'another' })
    expect(units).toBeLessThanOrEqual(LIMIT + 3)
    server.signal('SIGCONT')
  }
})

test('units admitted from a local share still count after the share grows or shrinks', async () => {
  const port = await freePort()
  const url = `redis://127.0.0.1:${port}/0`
  const first = await Sharer.start({ ...TERMS, url, options: WINDOWS })
  // Alone, and never connected: the whole limit.
  expect(await first.ask(60)).toBe(60)
  const server = await startServerOn(port)
  onTestFinished(() => server.stop())
  const others = await Sharer.many(3, { ...TERMS, url, options: WINDOWS })
  const all = [first, ...others]
  await Promise.all(others.map((sharer) => sharer.open()))
  await untilShared(all, 4)
  await sleep(2_500)
  server.signal('SIGSTOP')
  await untilAway(all)
  // A short outage: the first has had more than its share, and gets nothing.
  expect(await first.ask(50)).toBe(0)
  expect(await admitted(others, 50)).toBe(75)
  server.signal('SIGCONT')
  await untilShared(all, 4)
  await Promise.all([others[1], others[2]].map((sharer) => sharer?.end('closed')))
  const rest = all.slice(0, 2)
  await untilShared(rest, 2)
  server.signal('SIGSTOP')
  await untilAway(rest)
  // Two are left, each with half: 60 and 25 are used of it.
  expect(await admitted(rest, LIMIT)).toBe(25)
  // Of a new key each has its half.
  expect(await admitted(rest, LIMIT, { key: 'fresh' })).toBe(LIMIT)
})

test('after processes end, the remaining ones share the whole limit in the next outage', async () => {
  const server = await serverForTest()
  const sharers = await Sharer.many(4, { ...TERMS, url: server.url, options: WINDOWS })
  await Promise.all(sharers.map((sharer) => sharer.open()))
  await untilShared(sharers, 4)
  await sleep(2_500)
  server.signal('SIGSTOP')
  await untilAway(sharers)
  expect(await admitted(sharers, 10)).toBe(40)
  server.signal('SIGCONT')
  await untilShared(sharers, 4)
  await sharers[3]?.end('closed')
  await sharers[2]?.end('killed')
  await sharers[1]?.end('killed')
  const [survivor] = sharers as [Sharer]
  await untilShared([survivor], 1)
  server.signal('SIGSTOP')
  await untilAway([survivor])
  expect(await survivor.ask(2 * LIMIT)).toBe(LIMIT - 10)
})
