import { RedisLimiter } from 'ratethrottle/redis'
import { limiterContract } from 'ratethrottle/testing'
import { afterAll, beforeAll, it } from 'vitest'
import { type Server, startServer } from '../redis/server.ts'

let server: Server

beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.stop())

for (const { title, run } of limiterContract(
  (limits, options) =>
    new RedisLimiter(limits, { ...options, url: server.url, deadlineMs: 30_000 }),
))
  it(title, run)
