import Fastify from 'fastify'
import forFastify from 'ratethrottle/fastify'
import { rateThrottle as forHttp } from 'ratethrottle/http'
import { FakeClock } from 'ratethrottle/testing'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { type Server, startServer } from '../redis/server.ts'
import { listen, serve } from './serve.ts'

let redis: Server
beforeAll(async () => {
  redis = await startServer()
})
afterAll(() => redis.stop())
beforeEach(() => redis.admin.flushall())

it('slowDown: a burst is delayed with Redis as it is in memory', async () => {
  const seen: Record<string, number[]> = {}
  for (const storage of ['memory:', redis.url]) {
    const options = {
      limits: '5/second',
      slowDown: '5 seconds',
      storage,
      deadlineMs: 30_000,
      connectTimeoutMs: 60_000,
    }
    const { ask } = await serve('node:http', options)
    const answers = await Promise.all(Array.from({ length: 15 }, () => ask()))
    seen[storage === redis.url ? 'redis' : 'memory'] = answers.map(({ status }) => status)
  }
  expect(seen).toEqual({ memory: Array(15).fill(200), redis: Array(15).fill(200) })
})

it('blockFor with steps: another process does not shorten a block', async () => {
  const clock = new FakeClock()
  const options = {
    limits: '1/minute',
    algorithm: 'fixed-window',
    blockFor: ['1 minute', '1 hour'],
    clock,
    storage: redis.url,
    name: 'steps',
    deadlineMs: 30_000,
    connectTimeoutMs: 60_000,
    localDenials: false,
  } as const
  const bases = []
  for (let i = 0; i < 2; i++) {
    bases.push(await listen(forHttp(options).wrap((_, res) => res.end('done'))))
  }
  const [one = '', other = ''] = bases
  const ask = async (base: string) => {
    const { status, headers } = await fetch(base)
    return `${status} ${headers.get('retry-after')}`
  }
  await ask(one)
  expect(await ask(one)).toBe('429 60')
  clock.advance(60_100)
  await ask(one)
  expect(await ask(one)).toBe('429 3600')
  await ask(other)
  clock.advance(60_100)
  expect(await ask(one)).toMatch(/^429/)
})

it('a plugin that is registered twice charges one counter in Redis once (H82)', async () => {
  const app = Fastify()
  const options = {
    limits: '4/hour',
    storage: redis.url,
    deadlineMs: 30_000,
    connectTimeoutMs: 60_000,
  } as const
  await app.register(forFastify, options)
  await app.register(forFastify, options)
  app.get('/', async () => 'done')
  app.get('/own', { config: { rateLimit: '4/hour' } }, async () => 'done')
  await app.ready()
  const seen: number[][] = []
  for (const url of ['/', '/own']) {
    const statuses: number[] = []
    for (let i = 0; i < 5; i++) statuses.push((await app.inject(url)).statusCode)
    seen.push(statuses)
  }
  await app.close()
  const four = [200, 200, 200, 200, 429]
  expect(seen).toEqual([four, four])
})
