import { createServer, type IncomingMessage } from 'node:http'
import { rateThrottle } from 'ratethrottle/http'
import { insight } from 'ratethrottle/insight'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { type Server, startServer } from '../redis/server.ts'
import { gauge } from './gauge.ts'
import { serveApp } from './serve.ts'

let redis: Server
beforeAll(async () => {
  redis = await startServer()
})
afterAll(() => redis.stop())

/** Two servers whose limiters are called the same, as two processes have them. */
async function pair(storage: string, options: object) {
  const inside = gauge()
  const servers = await Promise.all(
    [1, 2].map(async () => {
      const limiter = rateThrottle({
        storage,
        name: 'pair',
        deadlineMs: 20_000,
        connectTimeoutMs: 60_000,
        ...options,
      } as never)
      onTestFinished(() => limiter.close())
      const listener = limiter.wrap(async (_, response) => {
        await inside.handle()
        response.end('served')
      })
      return { ...(await serveApp(createServer(listener))), limiter }
    }),
  )
  onTestFinished(() => inside.open())
  return { inside, servers, ask: (i: number, how?: object) => servers[i % 2]?.ask('/', how) }
}

const TIERS: readonly (readonly [string, () => string])[] = [
  ['shared', () => `shared:http-permits-${process.pid}`],
  ['redis', () => redis.url],
]

test.each(TIERS)(
  '%s: exactly as many as there are permits, over two servers and 200 requests',
  async (_, url) => {
    const options = { limits: '1000/day', concurrent: 4 }
    const { inside, ask, servers } = await pair(url(), options)
    let refused = 0
    const asked = Array.from({ length: 200 }, async (_, i) => {
      const answer = await ask(i)
      if (answer?.status === 429) refused++
      return answer?.status
    })
    await expect.poll(() => refused, { interval: 5, timeout: 60_000 }).toBe(196)
    expect(inside).toMatchObject({ now: 4, most: 4 })
    expect(await servers[1]?.limiter.peek('127.0.0.1')).toMatchObject({ allowed: false, limit: 4 })
    inside.open()
    expect((await Promise.all(asked)).filter((status) => status === 200)).toHaveLength(4)
    const free = async () => (await servers[1]?.limiter.peek('127.0.0.1')) as object
    await expect.poll(free, { timeout: 60_000 }).toMatchObject({ allowed: true, remaining: 996 })
  },
)

test.each(TIERS)(
  '%s: a client that left before the decision came, or while it waited, leaves no permit',
  async (_, url) => {
    const options = { name: 'leaving', concurrent: { perKey: 2, queue: 50 } }
    const { inside, ask, servers } = await pair(url(), options)
    const leaving = Array.from({ length: 60 }, async (_, i) => {
      const leave = new AbortController()
      const asked = Promise.resolve(ask(i, { signal: leave.signal })).catch(() => undefined)
      setTimeout(() => leave.abort(), i % 8)
      return asked
    })
    await Promise.all(leaving)
    await expect
      .poll(async () => await servers[0]?.limiter.peek('127.0.0.1'), { timeout: 60_000 })
      .toMatchObject({ allowed: true })
    inside.open()
    const { status } = (await ask(0)) ?? {}
    expect(status).toBe(200)
  },
)

test('peek tells of permits of the key and of all, and takes none', async () => {
  const view = insight()
  onTestFinished(() => view.close())
  const options = { concurrent: { perKey: 2, total: 3 }, key: keyOf, insight: view }
  const { inside, ask, servers } = await pair(`shared:peeked-permits-${process.pid}`, options)
  const peek = (key: string) => servers[0]?.limiter.peek(key)
  const asked = ['a', 'a', 'b'].map(async (key, i) => {
    if (i === 2) await expect.poll(() => inside.now).toBe(2)
    return ask(i, { headers: { 'x-key': key } })
  })
  await expect.poll(() => inside.now).toBe(2)
  expect(peek('a')).toMatchObject({ allowed: false, limit: 2 })
  await expect.poll(() => inside.now).toBe(3)
  for (let i = 0; i < 50; i++) expect(peek('c')).toMatchObject({ allowed: false, limit: 3 })
  inside.open()
  await Promise.all(asked)
  for (let i = 0; i < 50; i++) await expect.poll(() => peek('c')).toMatchObject({ allowed: true })
  const { limits } = await view.report()
  const row = limits.find(({ name }) => name === 'pair')
  expect(row).toMatchObject({ admitted: 3, denied: 0 })
})

function keyOf({ headers }: IncomingMessage): string {
  return `${headers['x-key']}`
}
