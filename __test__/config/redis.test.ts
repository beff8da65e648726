import { afterAll, beforeAll, expect, test } from 'vitest'
import { serve } from '../http/serve.ts'
import { type Server, startServer } from '../redis/server.ts'
import { file, load } from './files.ts'

let redis: Server
beforeAll(async () => {
  redis = await startServer()
})
afterAll(() => redis.stop())

test.each(['token-bucket', 'sliding-window', 'fixed-window'])(
  '%s in Redis: old and new versions of several hosts count together',
  async (algorithm) => {
    const content = (limits: string) => ({
      storage: '${REDIS_URL}',
      keyPrefix: `${algorithm}:`,
      localDenials: false,
      deadlineMs: 30_000,
      limiters: { api: { limits, algorithm } },
    })
    const [one, other] = [file(content('10/hour')), file(content('10/hour'))]
    const env = { REDIS_URL: redis.url }
    const [first, second] = [await load(one.path, { env }), await load(other.path, { env })]
    const served = await serve('node:http', { config: first })
    expect(await served.statuses(6)).toEqual(Array(6).fill(200))
    for (let i = 0; i < 4; i++) {
      expect((await second.limiter('api').check('127.0.0.1')).allowed).toBe(true)
    }
    expect(await served.statuses(1)).toEqual([429])
    one.write(content('5/hour'))
    expect((await first.reload()).errors).toEqual([])
    expect(await served.statuses(1)).toEqual([429])
    expect((await first.limiter('api').check('other')).remaining).toBe(4)
    // The host with the old file sees what was used under the new one.
    expect((await second.limiter('api').peek('other')).remaining).toBeLessThan(10)
  },
)

test('a reload that replaces a limiter in Redis lets its calls under way be decided, and passes for no failure', async () => {
  const content = (limits: string) => ({
    storage: redis.url,
    deadlineMs: 60_000,
    limiters: { api: { limits }, other: { limits: '9/hour' } },
    routes: { '*': 'api' },
  })
  const one = file(content('7/hour'))
  const config = await load(one.path)
  const [api, other] = [config.limiter('api'), config.limiter('other')]
  await Promise.all([api.ready(), other.ready()])
  redis.signal('SIGSTOP')
  const calls = Array.from({ length: 7 }, () => api.check('k'))
  one.write(content('8/hour'))
  expect((await config.reload()).errors).toEqual([])
  redis.signal('SIGCONT')
  expect((await Promise.all(calls)).map(({ allowed }) => allowed)).toEqual(Array(7).fill(true))
  expect(await other.ready()).toMatchObject({ available: true })
  // Closed with calls under way, they end.
  redis.signal('SIGSTOP')
  const late = Promise.allSettled([api.check('k'), other.check('k')])
  await new Promise(setImmediate)
  config.close()
  redis.signal('SIGCONT')
  for (const outcome of await late) expect(outcome).toMatchObject({ reason: { code: 'CLOSED' } })
})

test('a reload of a limiter in Redis keeps its connection, and one to another server has to answer', async () => {
  const content = (limits: string, storage: string) => ({ storage, limiters: { api: { limits } } })
  const one = file(content('5/hour', redis.url))
  const config = await load(one.path)
  const served = await serve('node:http', { config })
  expect(await served.statuses(1)).toEqual([200])
  const clients = async () => {
    const list = String(await redis.admin.client('LIST'))
    return list.split('\n').filter((line) => line.includes('id=')).length
  }
  const before = await clients()
  for (let i = 6; i < 26; i++) {
    one.write(content(`${i}/hour`, redis.url))
    expect((await config.reload()).ok).toBe(true)
  }
  expect(await clients()).toBe(before)
  one.write(content('9/hour', 'redis://127.0.0.1:1/0'))
  const { ok, errors } = await config.reload()
  expect([ok, errors[0]?.message]).toEqual([
    false,
    expect.stringMatching(/its storage does not answer \(/),
  ])
  expect(await served.statuses(1)).toEqual([200])
})
