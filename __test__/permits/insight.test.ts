import { ConcurrencyLimiter, createConcurrencyLimiter, type Store } from 'ratethrottle'
import { insight } from 'ratethrottle/insight'
import { expect, it, onTestFinished } from 'vitest'
import { openPermits } from '../../ts/permits/open.ts'

it('an insight has a row for the permits of each limiter, in every tier', async () => {
  const view = insight()
  onTestFinished(() => view.close())
  const here = new ConcurrencyLimiter(1, { name: 'uploads', queue: 1, insight: view })
  const values = new Map<string, { value: Uint8Array; version: number }>()
  const store: Store<number> = {
    get: async (key) => values.get(key),
    compareAndSet: async (key, value, version) => {
      if (values.get(key)?.version !== version) return false
      values.set(key, { value, version: (version ?? 0) + 1 })
      return true
    },
  }
  const there = createConcurrencyLimiter({
    perKey: 1,
    name: 'jobs',
    storage: store,
    insight: view,
    deadlineMs: 5_000,
  })
  onTestFinished(() => there.close())
  const held = here.tryAcquire('k')
  expect(here.tryAcquire('k')).toBeUndefined()
  const wait = here.acquire('k')
  expect((await report(view))['uploads concurrent']).toMatchObject({ waiting: 1 })
  held?.release()
  await wait
  await there.acquire('k')
  await there.acquire('k').catch(() => {})
  const rows = await report(view)
  expect(rows['uploads concurrent']).toMatchObject({ tier: 'memory', admitted: 2, denied: 1 })
  expect(rows['uploads concurrent']).toMatchObject({ waited: 1, waiting: 0 })
  expect(rows['jobs concurrent']).toMatchObject({ tier: 'store', admitted: 1, denied: 1 })
})

it('limiters without a name have rows of their own, and those of adapters that of the adapter', async () => {
  const view = insight()
  onTestFinished(() => view.close())
  for (const permits of [1, 2, 3]) {
    const limiter = new ConcurrencyLimiter(permits, { insight: view })
    for (let i = 0; i < 5; i++) limiter.tryAcquire('k')
  }
  void openPermits({ perKey: 1 }, { identity: 'GET /', insight: view }).take('k')
  const rows = await report(view)
  expect(rows).toMatchObject({
    concurrent: { admitted: 1, denied: 4 },
    'concurrent 2': { admitted: 2, denied: 3 },
    'concurrent 3': { admitted: 3, denied: 2 },
    'GET / concurrent': { admitted: 1, denied: 0 },
  })
})

async function report(view: ReturnType<typeof insight>): Promise<Record<string, object>> {
  const { limits } = (await view.report()) as unknown as { limits: { name: string }[] }
  return Object.fromEntries(limits.map((row) => [row.name, row]))
}
