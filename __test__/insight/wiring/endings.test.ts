import Fastify from 'fastify'
import { createLimiter, RateLimiter } from 'ratethrottle'
import forFastify from 'ratethrottle/fastify'
import { type Insight, insight } from 'ratethrottle/insight'
import type { Store } from 'ratethrottle/remote'
import { expect, onTestFinished, test } from 'vitest'
import { file, load } from '../../config/files.ts'
import { ADAPTERS, serve } from '../../http/serve.ts'

function opened(): Insight {
  const view = insight({ keys: 'plain' })
  onTestFinished(() => view.close())
  return view
}

test.each(ADAPTERS)(
  '%s: requests after the insight was closed are decided about as before',
  async (framework) => {
    const view = opened()
    const served = await serve(framework, { limits: '2/minute', insight: view })
    view.close()
    expect(await served.statuses(3)).toEqual([200, 200, 429])
  },
)

test('a limiter in a store goes on without a closed insight, and a new one is told that it is closed', async () => {
  const view = opened()
  const storage: Store<number> = { get: async () => undefined, compareAndSet: async () => true }
  const limiter = createLimiter({ limits: '2/minute', storage, insight: view })
  onTestFinished(() => limiter.close())
  await limiter.check('a')
  view.close()
  expect((await limiter.check('a')).allowed).toBe(true)
  await limiter.refund('a')
  const make = (): object => new RateLimiter('2/minute', { insight: view })
  expect(make).toThrow(/^the insight is closed/)
})

test('each version of a file counts in the rows of the one before', async () => {
  const view = opened()
  const content = file({ limits: '1000/minute' })
  const config = await load(content.path)
  const app = Fastify()
  onTestFinished(() => app.close())
  await app.register(forFastify, { config, insight: view })
  const paths = Array.from({ length: 50 }, (_, i) => `/r${i}`)
  for (const path of paths) app.get(path, async () => 'ok')
  for (let version = 0; version < 8; version++) {
    content.write({ limits: `${2_000 + version}/minute` })
    expect((await config.reload()).ok).toBe(true)
    for (const path of paths) await app.inject(path)
  }
  const routes = view.report().routes.map(({ route, admitted }) => [route, admitted])
  expect(routes).toEqual(paths.map((path) => [`GET ${path}`, 8]))
})

test('limiters that were closed make room for those that come', () => {
  const view = opened()
  for (let i = 0; i < 1_100; i++) {
    new RateLimiter('2/minute', { name: `closed ${i}`, insight: view, capacity: 10 }).close()
  }
  const limiter = new RateLimiter('2/minute', { name: 'live', insight: view })
  onTestFinished(() => limiter.close())
  expect(view.limiters().get('live')).toBe(limiter)
})

test('a limiter that cannot be made does not stand for the one of its name', () => {
  const view = opened()
  const limiter = new RateLimiter('2/minute', { name: `one ${process.pid}`, insight: view })
  onTestFinished(() => limiter.close())
  const make = () => new RateLimiter('9/hour', { name: `one ${process.pid}`, insight: view })
  expect(make).toThrow(/^name must be unique/)
  expect([...view.limiters().values()]).toEqual([limiter])
  expect(view.report().limits[0]?.limits).toEqual(['2/minute'])
})

test('of many limiters of one name, the last one ends as the first', () => {
  const view = opened()
  const about = { name: 'api', limits: undefined, algorithm: 'gcra', tier: 'memory' } as const
  const counters = Array.from({ length: 50_000 }, () => view.counter(about))
  for (const counter of counters) counter.close()
  expect(view.limiters().size).toBe(0)
})

test('long names of a limiter and its routes stay different in any script', () => {
  const view = opened()
  const name = '限'.repeat(100)
  const row = view.counter({ name, limits: undefined, algorithm: 'gcra', tier: 'memory' })
  for (let i = 0; i < 50; i++) row.route(`${'路'.repeat(60)}${i}`).count('admitted')
  expect(view.report().routes.map(({ admitted }) => admitted)).toEqual(Array(50).fill(1))
})

test('steps that are no number are refused by name', () => {
  const view = opened()
  const ask = (steps: unknown) => () => view.series({ unit: 'second', steps: steps as number })
  expect(ask(Number.NaN)).toThrow(/^steps must be a number from 1, got NaN/)
  expect(ask('5')).toThrow(TypeError)
  expect(ask(0)).toThrow(RangeError)
})
