import type { Algorithm } from 'ratethrottle'
import { describe, expect, it, test } from 'vitest'
import { fixedKind, readReply } from '../../dist/redis/script/index.js'
import { ALGORITHMS } from '../fixtures/algorithms.ts'
import { failures, limiterForTest } from './faults.ts'
import { serverForTest } from './server.ts'

const BUCKETS: readonly Algorithm[] = ['token-bucket', 'leaky-bucket']
const LIMIT = { count: 5, windowMs: 60_000 }

/** How a limiter with these limits understands a reply. */
function readerOf(algorithm: Algorithm, limits = [LIMIT]) {
  const { read } = fixedKind(limits, { algorithm, blockForMs: 0 }).argsOf(limits)
  return read as NonNullable<typeof read>
}

describe('a reply of one number', () => {
  it.each(ALGORITHMS.filter((name) => !BUCKETS.includes(name)))(
    '%s takes it for garbled',
    (name) => {
      for (const reply of [0, 1, [1, 2]]) expect(() => readerOf(name)(reply)).toThrow(RangeError)
    },
  )

  it.each(BUCKETS)('%s takes it for garbled unless the bucket can owe that', (name) => {
    const read = readerOf(name)
    for (const reply of [-1, 0, 2 ** 52, Number.NaN, [0, 1]]) {
      expect(() => read(reply)).toThrow(RangeError)
    }
    expect(() => readerOf(name, [LIMIT, { count: 9, windowMs: 90_000 }])(1)).toThrow(RangeError)
  })

  it('may come as a text, and nothing else does for one', () => {
    expect(readReply('17')).toBe(17)
    for (const reply of ['', 'OK', '1.5', null, undefined, {}, [1], ['x', 'y']]) {
      expect(readReply(reply)).toBeUndefined()
    }
  })
})

/** A state as version 1.0 writes it: a letter, no block, and when the bucket is full again. */
function bucketState(fullAtMs: number, ticks: number): Buffer {
  const state = Buffer.alloc(17)
  state.write('G')
  state.writeUIntBE(fullAtMs, 8, 6)
  state.writeUIntBE(ticks, 14, 3)
  return state
}

test('the state of a bucket is what earlier versions read and write', async () => {
  const server = await serverForTest()
  const limiter = limiterForTest('6/minute', { url: server.url, deadlineMs: 10_000 })
  expect((await limiter.check('k')).remaining).toBe(5)
  const [name = ''] = await server.admin.keys('*{k}')
  const state = (await server.admin.getBuffer(name)) as Buffer
  const { resetMs } = await limiter.peek('k')
  const fullAtMs = state.readUIntBE(8, 6)
  expect(state).toEqual(bucketState(fullAtMs, state.readUIntBE(14, 3)))
  expect(Math.abs(fullAtMs - Date.now() - resetMs)).toBeLessThan(5_000)
  // Three of six units, and a block that is over.
  const owing = bucketState(Date.now() + 30_000, 0)
  owing.writeUIntBE(1_000_000, 2, 6)
  await server.admin.set(name, owing)
  expect((await limiter.check('k', 2)).remaining).toBe(1)
  expect(((await server.admin.getBuffer(name)) as Buffer).length).toBe(17)
  expect(failures(limiter)).toBe(0)
})

test('a check says the same with a blockFor, with a cost, and without either', async () => {
  const server = await serverForTest()
  for (const blockFor of [0, 60_000]) {
    const options = { url: server.url, name: `b${blockFor}`, deadlineMs: 10_000 }
    const limiter = limiterForTest('6/hour', blockFor === 0 ? options : { ...options, blockFor })
    expect(await limiter.check('k')).toMatchObject({ allowed: true, limit: 6, remaining: 5 })
    const two = await limiter.check('k', 2)
    expect(two).toMatchObject({ allowed: true, remaining: 3, retryAfterMs: 0, retryAfter: 0 })
    expect(two.limitResetMs).toBe(two.resetMs)
    const [{ remaining, moreMs } = { remaining: 0, moreMs: 0 }] = limiter.standings('k', two)
    expect(remaining).toBe(3)
    expect(moreMs).toBeGreaterThan(590_000)
    expect(moreMs).toBeLessThanOrEqual(600_000)
    expect((await limiter.check('k', 4)).allowed).toBe(false)
  }
})
