import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { type BlockNews, type Note, RedisBlockList } from '../../../ts/redis/block-list.ts'
import { until } from '../../redis/faults.ts'
import { GUARD, guardSettings, type Server, startServer } from '../../redis/server.ts'

const SOURCE = '203.0.113.7'
const MINUTE = 60_000
const ENTRIES = 'ratethrottle:{:blocks}'
const ALL = 10_000

let server: Server
let list: RedisBlockList
/** The server's time. */
let now: number

beforeAll(async () => {
  server = await startServer(...guardSettings())
})
afterAll(() => server.stop())

async function open(name?: string, prefix?: string): Promise<RedisBlockList> {
  // With the rights of the documented user, and no others.
  const { user, userPassword } = GUARD
  const url = `redis://${user}:${userPassword}@127.0.0.1:${server.port}/0`
  const made = new RedisBlockList(url, prefix, name)
  await until(() => made.sync([], 0, 1).then(Boolean, () => false))
  return made
}

beforeEach(async () => {
  await server.admin.flushall()
  list = await open()
  now = (await list.sync([], 0, 1)).nowMs
})
afterEach(() => list.close())

const block = (from: number, to: number, source = SOURCE): Note => {
  return { kind: 'b', begunMs: now + from, endsMs: now + to, mostMs: 100 * MINUTE, source }
}
const pardon = (at: number, source = SOURCE): Note => {
  return { kind: 'p', begunMs: now + at, endsMs: now + MINUTE, mostMs: MINUTE, source }
}
/** What the list has, as kind, beginning, end and source. */
const entries = ({ entries: found }: BlockNews): string[] => {
  const shown = found.map(([text]) => text.split(' '))
  return shown.map(([kind, begun, ends, source]) =>
    [kind, Number(begun) - now, Number(ends) - now, source].join(' '),
  )
}
const after = async (...notes: Note[]): Promise<string[]> => {
  for (const note of notes) await list.sync([note], 0, ALL)
  return entries(await list.sync([], 0, ALL))
}

it('of two blocks the one that ends later counts, whichever comes first', async () => {
  expect(await after(block(-2, 5_000), block(-1, 9_000))).toEqual([`b -1 9000 ${SOURCE}`])
  expect(await after(block(0, 3_000))).toEqual([`b -1 9000 ${SOURCE}`])
  expect(await server.admin.pttl(`${ENTRIES}:${SOURCE}`)).toBeLessThanOrEqual(9_000)
})

it('a pardon ends the blocks that began before it, whichever comes first, and none that began later', async () => {
  expect(await after(block(-900, 5_000), pardon(-800))).toEqual([`p -800 60000 ${SOURCE}`])
  // Of a host that was cut off until now.
  expect(await after(block(-850, 50_000), block(-800, 50_000))).toEqual([`p -800 60000 ${SOURCE}`])
  expect(await after(block(-700, 6_000))).toEqual([`b -700 6000 ${SOURCE}`])
  expect(await after(pardon(-750))).toEqual([`b -700 6000 ${SOURCE}`])
  expect(await after(pardon(-700))).toEqual([`p -700 60000 ${SOURCE}`])
})

it('a pardon is kept for as long as a process may know of the block', async () => {
  expect(await after(block(-5, 50 * MINUTE), pardon(-1))).toEqual([`p -1 ${50 * MINUTE} ${SOURCE}`])
  expect(await server.admin.pttl(`${ENTRIES}:${SOURCE}`)).toBeGreaterThan(49 * MINUTE)
})

it('no end is later than its process said, and no beginning lies ahead, whatever a process thinks of the clock', async () => {
  const wrong: Note = {
    ...block(0, 0),
    begunMs: now + MINUTE,
    endsMs: now + MINUTE,
    mostMs: 30_000,
  }
  await list.sync([wrong], 0, ALL)
  const { entries: found, nowMs } = await list.sync([], 0, ALL)
  const [, begun, ends] = found[0]?.[0].split(' ') ?? []
  expect(Number(ends)).toBeLessThanOrEqual(nowMs + 30_000)
  expect(Number(begun)).toBeLessThanOrEqual(nowMs)
  expect(await after({ ...block(0, -1), source: '203.0.113.8' })).toHaveLength(1)
})

it('a cursor sees each change once, in order, and in parts of any size', async () => {
  const sources = Array.from({ length: 25 }, (_, i) => `203.0.113.${i}`)
  await list.sync(
    sources.map((source) => block(-1, 9_000, source)),
    0,
    1,
  )
  const seen: string[] = []
  let cursor = 0
  for (let look = 0; look < 10; look++) {
    const { entries: found, top } = await list.sync([], cursor, 7)
    for (const [text, number] of found) {
      expect(number).toBeGreaterThan(cursor)
      cursor = number
      seen.push(text.split(' ').at(-1) ?? '')
    }
    if (found.length === 0) expect(cursor).toBe(top)
  }
  expect(seen).toEqual(sources)
  await list.sync([pardon(0, sources[3])], 0, 1)
  expect(entries(await list.sync([], cursor, 7))).toEqual([`p 0 60000 ${sources[3]}`])
})

it('everything expires, and what has ended is cleared away with the next notes', async () => {
  await list.sync([block(-5, 40, '203.0.113.1'), block(-5, 9_000, '203.0.113.2')], 0, 1)
  for (const key of await server.admin.keys('*'))
    expect(await server.admin.pttl(key)).toBeGreaterThan(0)
  await until(async () => (await server.admin.exists(`${ENTRIES}:203.0.113.1`)) === 0)
  await until(async () => {
    await list.sync([block(-5, 9_500, '203.0.113.3')], 0, 1)
    return (await server.admin.zcard(ENTRIES)) === 2
  })
})

it('the list has an end: with 100,000 entries the oldest make room', async () => {
  const pipeline = server.admin.pipeline()
  for (let n = 0; n < 100_000; n++) {
    pipeline.zadd(ENTRIES, n + 1, `b ${now} ${now + MINUTE} 10.0.${n >> 8}.${n & 255}`)
  }
  await pipeline.exec()
  const many = Array.from({ length: 128 }, (_, i) => block(-1, 600_000, `203.0.113.${i}`))
  await list.sync(many, 0, 1)
  expect(await server.admin.zcard(ENTRIES)).toBe(100_000)
  expect(await server.admin.zscore(ENTRIES, `b ${now} ${now + MINUTE} 10.0.0.0`)).toBeNull()
})

it('keys of other types in the place of ours are replaced', async () => {
  await server.admin.set(ENTRIES, 'x')
  await server.admin.lpush(`${ENTRIES}:${SOURCE}`, 'x')
  expect(await after(block(-1, 9_000))).toEqual([`b -1 9000 ${SOURCE}`])
  await server.admin.set(`${ENTRIES}:${SOURCE}`, 'what is this')
  expect(await after(block(-1, 9_500))).toContain(`b -1 9500 ${SOURCE}`)
})

it('shields of another name or prefix have blocks of their own', async () => {
  await list.sync([block(-1, 9_000)], 0, 1)
  for (const other of [await open('api'), await open(undefined, 'ratethrottle:x:')]) {
    expect((await other.sync([], 0, ALL)).entries).toEqual([])
    other.close()
  }
  const same = await open()
  expect((await same.sync([], 0, ALL)).entries).toHaveLength(1)
  same.close()
})
