import { type AsyncConcurrencyLimiter, createConcurrencyLimiter } from 'ratethrottle'
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest'
import { PERMITS_SCRIPT } from '../../ts/redis/script/permits.ts'
import { type Server, startServer } from '../redis/server.ts'

let server: Server

beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.stop())

const limits = { perKey: 200, total: 200 }

async function open(name: string): Promise<AsyncConcurrencyLimiter> {
  const limiter = createConcurrencyLimiter({
    ...limits,
    name,
    storage: server.url,
    deadlineMs: 2_000,
  })
  onTestFinished(() => limiter.close())
  await limiter.ready()
  return limiter
}

/** The sets of permits that Redis has. */
async function left(): Promise<readonly string[]> {
  const keys = await server.admin.keys('*permits*')
  return keys.filter((key) => !key.includes('{processes}'))
}

it('close gives back what callers are given whose answers are under way', async () => {
  const limiter = await open('answers')
  const asked = Array.from({ length: 200 }, () => limiter.acquire('k'))
  const outcomes = Promise.allSettled(asked)
  // They are asked for.
  await new Promise(setImmediate)
  await limiter.close()
  for (const outcome of await outcomes) {
    expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'CLOSED' } })
  }
  expect(await left()).toEqual([])
})

it('close waits for what is being given back: cut off, it would pass for a failure of Redis', async () => {
  const [limiter, other] = [await open('released'), await open('released')]
  const permits = await Promise.all(Array.from({ length: 200 }, () => limiter.acquire('k')))
  for (const permit of permits) permit.release()
  await limiter.close()
  expect(await other.ready()).toMatchObject({ available: true })
  expect(await left()).toEqual([])
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
