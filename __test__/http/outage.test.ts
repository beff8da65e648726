import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { serverForTest } from '../redis/server.ts'
import { serve } from './serve.ts'

it('countWhen and steps count while Redis is away', async () => {
  const redis = await serverForTest()
  const options = {
    limits: '3/hour',
    countWhen: 'failure',
    blockFor: ['1 minute', '1 hour'],
    storage: redis.url,
    deadlineMs: 500,
  }
  const { ask, statuses } = await serve('node:http', options, (path) =>
    path === '/bad' ? 401 : 200,
  )
  expect(await statuses(3)).toEqual([200, 200, 200])
  redis.signal('SIGKILL')
  await sleep(100)
  const good = await Promise.all(Array.from({ length: 20 }, () => ask()))
  expect(new Set(good.map(({ status }) => status))).toEqual(new Set([200]))
  expect(await statuses(5, '/bad')).toEqual([401, 401, 401, 429, 429])
  expect((await ask()).status).toBe(429)
})

it('slowDown delays while Redis is away', async () => {
  const redis = await serverForTest()
  const options = {
    limits: '1/4 seconds',
    slowDown: '6 seconds',
    storage: redis.url,
    deadlineMs: 500,
  }
  const { ask, statuses } = await serve('node:http', options)
  expect(await statuses(1)).toEqual([200])
  redis.signal('SIGKILL')
  await sleep(4_100)
  const seen: number[] = []
  await Promise.all(
    Array.from({ length: 6 }, async () => {
      seen.push((await ask()).status)
    }),
  )
  // One at once, one after four seconds; the others were refused before that.
  expect(seen.filter((status) => status === 200)).toHaveLength(2)
  expect(seen.at(-1)).toBe(200)
})
