import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { Warnings } from '../../../ts/http/events.ts'
import { BlockExchange, type BlockList } from '../../../ts/shield/block-exchange.ts'
import { until } from '../../redis/faults.ts'

const HOUR = 3_600_000
/** Its clock has nothing to do with ours. */
const AHEAD = 1_700_000_000_000

type Sync = BlockList['sync']
type News = Awaited<ReturnType<Sync>>

const serverNow = (): number => performance.now() + AHEAD

/** A store that says what a test wants. */
class FakeList implements BlockList {
  asked: Parameters<Sync>[] = []
  entries: (readonly [string, number])[] = []
  answer: (news: News) => unknown = (news) => news
  isClosed = false
  /** How long a command is under way. */
  delayMs = 0

  async sync(...args: Parameters<Sync>): Promise<News> {
    this.asked.push(args)
    await sleep(this.delayMs)
    const [, seen, count] = args
    const entries = this.entries.filter(([, number]) => number > seen).slice(0, count)
    const nowMs = Math.floor(serverNow())
    return this.answer({ nowMs, top: this.entries.at(-1)?.[1] ?? 0, entries }) as News
  }

  close(): void {
    this.isClosed = true
  }

  get told(): Parameters<Sync>[0][number][] {
    return this.asked.flatMap(([notes]) => notes)
  }
}

/** The blocks of this process, as times of `performance.now()`. */
class FakeBlocks {
  readonly ends = new Map<string, number>()
  readonly pardoned: string[] = []

  left(source: string): number {
    return Math.max(0, (this.ends.get(source) ?? 0) - performance.now())
  }

  block(source: string, ms: number): void {
    this.ends.set(source, performance.now() + ms)
  }

  pardon(source: string): void {
    this.pardoned.push(source)
    this.ends.delete(source)
  }
}

const exchangeOf = (from: FakeList, to: FakeBlocks): BlockExchange =>
  new BlockExchange(from, to, { longestMs: HOUR, sources: 64 }, new Warnings())

let list: FakeList
let own: FakeBlocks
let exchange: BlockExchange
let warnings: string[]
const hear = ({ code }: Error & { code?: string }): unknown => warnings.push(code ?? '')

beforeEach(() => {
  warnings = []
  process.on('warning', hear)
  list = new FakeList()
  own = new FakeBlocks()
  exchange = exchangeOf(list, own)
})
afterEach(() => {
  exchange.close()
  process.off('warning', hear)
})

const entry = (kind: string, from: number, to: number, source: string): string => {
  const now = Math.floor(serverNow())
  return `${kind} ${now + from} ${now + to} ${source}`
}
let number = 0
/** One entry, and another one to come. */
const more = (news: News): News => {
  number++
  return { ...news, top: number + 1, entries: [[entry('p', 0, 1, '203.0.113.7'), number]] }
}

/** Waits until the store was asked twice more: then all it had before has been read. */
async function read(): Promise<void> {
  const before = list.asked.length
  await until(() => list.asked.length > before + 1)
}

it('a block of another host is taken, and ends when that one said, or a moment earlier', async () => {
  const end = performance.now() + 50_000
  list.entries = [[entry('b', 0, 50_000, '203.0.113.7'), 5]]
  await read()
  const ends = own.ends.get('203.0.113.7') ?? 0
  expect(ends).toBeGreaterThan(end - 10_000)
  expect(ends).toBeLessThanOrEqual(end + 1)
})

it('an answer that took long makes no block longer', async () => {
  list.answer = async (news) => {
    await sleep(600)
    return news
  }
  const end = performance.now() + 50_000
  list.entries = [[entry('b', 0, 50_000, '203.0.113.7'), 5]]
  await until(() => own.ends.size > 0)
  expect(own.ends.get('203.0.113.7')).toBeLessThanOrEqual(end + 1)
})

it('a command that took long to arrive makes no block longer elsewhere', async () => {
  list.delayMs = 500
  await read()
  const now = serverNow()
  exchange.began('203.0.113.7', 60_000)
  await until(() => list.told.length > 0)
  expect(list.told[0]?.endsMs).toBeLessThanOrEqual(now + 60_000 + 50)
})

it.each([
  ['no entry', 'b 1 2'],
  ['another kind', entry('x', 0, 50_000, '203.0.113.7')],
  ['no address', entry('b', 0, 50_000, 'unix')],
  ['half an address', entry('b', 0, 50_000, '203.0.113')],
  ['an address in another spelling', entry('b', 0, 50_000, '2001:DB8:1:2::/64')],
  ['a single IPv6 address', entry('b', 0, 50_000, '2001:db8:1:2::5')],
  ['an IPv6 network that is not one of ours', entry('b', 0, 50_000, '2001:db8::/32')],
  ['a network of IPv4', entry('b', 0, 50_000, '203.0.113.0/24')],
  ['all networks', entry('b', 0, 50_000, '0.0.0.0/0')],
  ['an end that is no number', 'b 1 1e300 203.0.113.7'],
  ['a block that is longer than the longest', entry('b', 0, HOUR + 60_000, '203.0.113.7')],
  ['a block for ever', 'b 0 9999999999999999 203.0.113.7'],
  ['a text of a megabyte', `b 0 1 ${'1'.repeat(1 << 20)}`],
])('%s is left out, with one warning', async (_, text) => {
  list.entries = [
    [text, 5],
    [text, 6],
    [entry('b', 0, 50_000, '203.0.113.9'), 7],
  ]
  await until(() => own.ends.size > 0)
  expect([...own.ends.keys()]).toEqual(['203.0.113.9'])
  await until(() => warnings.length > 0)
  expect(warnings).toEqual(['RATETHROTTLE_SHIELD_ENTRIES'])
})

it('a store that blocks the world blocks half of what the table holds, and for an hour', async () => {
  list.entries = Array.from({ length: 5_000 }, (_, i) => [
    entry('b', 0, 50_000, `198.51.${i >> 8}.${i & 255}`),
    i + 1,
  ])
  await until(() => list.asked.length > 12)
  expect(own.ends.size).toBe(32)
  expect(warnings).toEqual(['RATETHROTTLE_SHIELD_ENTRIES'])
})

/** Stores that would keep a process busy: after how many looks, and what they answer. */
const BUSY: readonly (readonly [string, number, FakeList['answer']])[] = [
  ['numbers that do not grow', 2, (news) => ({ ...news, top: 9, entries: [['b 1 2 3', 0]] })],
  ['numbers that are none', 2, (news) => ({ ...news, top: 9, entries: [['b 1 2 3', Number.NaN]] })],
  ['no end', 2, (news) => ({ ...news, top: Number.MAX_SAFE_INTEGER })],
  // As many looks in a row as there may be.
  ['always more', 257, more],
]

it('a store with odd numbers, or with always more, does not keep the process busy', async () => {
  // All at once: each is waited for.
  const looksLater = BUSY.map(async ([name, looks, answer]) => {
    const busy = new FakeList()
    busy.answer = answer
    const asking = exchangeOf(busy, new FakeBlocks())
    await until(() => busy.asked.length > looks, 30_000, name)
    await sleep(500)
    const before = busy.asked.length
    await sleep(1_000)
    asking.close()
    return busy.asked.length - before
  })
  for (const later of await Promise.all(looksLater)) expect(later).toBeLessThan(10)
})

it('a block that ends later here stays, and one that ends later there is taken over', async () => {
  own.block('203.0.113.7', 90_000)
  own.block('203.0.113.8', 10_000)
  list.entries = [
    [entry('b', 0, 50_000, '203.0.113.7'), 5],
    [entry('b', 0, 50_000, '203.0.113.8'), 6],
  ]
  await read()
  expect(own.left('203.0.113.7')).toBeGreaterThan(80_000)
  expect(own.left('203.0.113.8')).toBeGreaterThan(40_000)
})

it('what began here is told at once, with times of the store that are never late', async () => {
  await read()
  const before = list.asked.length
  const now = serverNow()
  exchange.began('2001:db8:1:2:3::4', 60_000)
  exchange.began('::ffff:203.0.113.7', 2 * HOUR)
  exchange.began('unix', 60_000)
  exchange.pardoned('203.0.113.8')
  await until(() => list.told.length > 0)
  expect(list.asked.length).toBeLessThanOrEqual(before + 2)
  expect(list.told.map(({ kind, source }) => [kind, source])).toEqual([
    ['b', '2001:db8:1:2::/64'],
    ['b', '203.0.113.7'],
    ['p', '203.0.113.8'],
  ])
  const [first, second] = list.told
  expect(first?.endsMs).toBeLessThanOrEqual(now + 60_000 + 5)
  expect(first?.mostMs).toBeLessThanOrEqual(60_000)
  // The longest block of this shield: others would leave out one that is longer.
  expect(second?.endsMs).toBeLessThanOrEqual(now + HOUR + 5)
})

it('a pardon that others made before a block began here does not end it', async () => {
  await read()
  list.answer = () => Promise.reject(new Error('away'))
  own.block('203.0.113.7', 60_000)
  exchange.began('203.0.113.7', 60_000)
  list.entries = [[entry('p', -5_000, 50_000, '203.0.113.7'), 5]]
  await sleep(300)
  list.answer = (news) => news
  await until(() => list.told.length > 0)
  await read()
  expect(own.pardoned).toEqual([])
  list.entries.push([entry('p', 0, 50_000, '203.0.113.7'), 6])
  await until(() => own.pardoned.length > 0)
  expect(own.left('203.0.113.7')).toBe(0)
})

it('an outage is one warning; what happened meanwhile is told afterwards, the newest of each source', async () => {
  await read()
  list.answer = () => Promise.reject(new Error('away'))
  exchange.began('203.0.113.7', 60_000)
  exchange.pardoned('203.0.113.7')
  for (let n = 0; n < 12_000; n++) exchange.began(`10.0.${n >> 8}.${n & 255}`, 60_000)
  await until(() => warnings.length > 0)
  await sleep(1_000)
  expect(warnings).toEqual(['RATETHROTTLE_SHIELD_ALONE'])
  list.asked = []
  list.answer = (news) => news
  await until(() => list.told.length >= 10_000)
  await read()
  // 10,000 are kept: the newest.
  expect(list.told).toHaveLength(10_000)
  expect(list.told.at(-1)?.source).toBe(`10.0.${11_999 >> 8}.${11_999 & 255}`)
})

it('a store that lost its data is read from the beginning', async () => {
  list.entries = [[entry('b', 0, 50_000, '203.0.113.7'), 500]]
  await read()
  list.entries = [[entry('b', 0, 50_000, '203.0.113.8'), 3]]
  await until(() => own.ends.has('203.0.113.8'))
})

it('a shield that closes tells what it has not told yet, and learns nothing more', async () => {
  exchange.pardoned('203.0.113.7')
  exchange.close()
  list.entries = [[entry('b', 0, 50_000, '203.0.113.8'), 3]]
  await until(() => list.isClosed)
  expect(list.told.map(({ source }) => source)).toEqual(['203.0.113.7'])
  expect(own.ends.size).toBe(0)
})

it('a shield that is dropped without being closed is collected, and its list is closed', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const dropped = new FakeList()
  const make = (): WeakRef<object> => {
    const blocks = new FakeBlocks()
    void new BlockExchange(dropped, blocks, { longestMs: HOUR, sources: 64 }, new Warnings())
    return new WeakRef(blocks)
  }
  const blocks = make()
  await until(() => dropped.asked.length > 0)
  await until(() => {
    collect()
    return dropped.isClosed && blocks.deref() === undefined
  })
  // The one that is held goes on.
  const before = list.asked.length
  await until(() => list.asked.length > before)
})
