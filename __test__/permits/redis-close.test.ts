import {
  type AsyncConcurrencyLimiter,
  type CreateConcurrencyOptions,
  createConcurrencyLimiter,
} from 'ratethrottle'
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest'
import { PERMITS_SCRIPT } from '../../ts/redis/script/permits.ts'
import { type Server, startServer } from '../redis/server.ts'
import { Wire } from '../redis/wire.ts'

let server: Server

beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.stop())

const limits = { perKey: 200, total: 200 }

async function open(
  name: string,
  options: CreateConcurrencyOptions = {},
): Promise<AsyncConcurrencyLimiter> {
  const limiter = createConcurrencyLimiter({
    ...limits,
    name,
    storage: server.url,
    deadlineMs: 30_000,
    ...options,
  })
  onTestFinished(() => limiter.close())
  await limiter.ready()
  return limiter
}

/** How many permits Redis has for limiters of that name: of their keys, and of all keys once more. */
async function count(name: string): Promise<number> {
  const keys = (await server.admin.keys(`*${name}*`)).filter((key) => !key.includes('processes'))
  const counts = await Promise.all(keys.map((key) => server.admin.zcard(key)))
  return counts.reduce((sum, one) => sum + one, 0)
}

it('close gives back what callers are given whose answers are under way', async () => {
  let most = 0
  // On a busy machine they may have been given back before the test looks.
  for (let round = 0; round < 20 && most < 6; round++) {
    const wire = await Wire.before(server.port)
    const limiter = await open('answers', { storage: wire.url, deadlineMs: 800 })
    // Redis knows the script then.
    await limiter.acquire('k')
    wire.silent = true
    const outcomes = Promise.allSettled([limiter.acquire('k'), limiter.acquire('k')])
    let isOver = false
    const closed = limiter.close().finally(() => {
      isOver = true
    })
    while (!isOver && most < 6) most = Math.max(most, await count('answers'))
    await closed
    for (const outcome of await outcomes) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'CLOSED' } })
    }
    expect(await count('answers')).toBe(0)
  }
  // Three permits, each of its key and of all keys.
  expect(most).toBe(6)
})

it('close waits for what is being given back: cut off, it would pass for a failure of Redis', async () => {
  const [limiter, other] = [await open('released'), await open('released')]
  const permits = await Promise.all(Array.from({ length: 200 }, () => limiter.acquire('k')))
  for (const permit of permits) permit.release()
  await limiter.close()
  expect(await other.ready()).toMatchObject({ available: true })
  expect(await count('released')).toBe(0)
})

it('a command that a client sends again, as ioredis does after a broken connection, takes one permit', async () => {
  const [text, keys] = [PERMITS_SCRIPT.text, ['{again}k', '{again}all']]
  const take = (id: string): Promise<unknown> =>
    server.admin.eval(text, keys.length, ...keys, '9000000000000000', '1', '1', '10000', '1', id)
  expect(await take('one')).toEqual([1, 0, 0])
  expect(await take('one')).toEqual([1, 0, 0])
  expect(await take('two')).toEqual([0, 0, 1])
  expect(await server.admin.zrange('{again}all', '0', '-1')).toEqual(['one'])
})
