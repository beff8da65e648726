import { getRequestListener } from '@hono/node-server'
import { shield } from 'ratethrottle/shield'
import { FakeClock } from 'ratethrottle/testing'
import { rateThrottle } from 'ratethrottle/web'
import { expect, test } from 'vitest'
import { listen } from '../../http/serve.ts'
import { fakeInsight } from '../../insight/wiring/fake.ts'
import { serverForTest } from '../../redis/server.ts'
import { ask, deno } from './requests.ts'

// biome-ignore lint/suspicious/noExplicitAny: as in plain JavaScript
type Any = any

const STORAGES: Record<string, () => Promise<string> | string> = {
  memory: () => 'memory:',
  shared: () => `shared:web-${process.pid}`,
  Redis: async () => (await serverForTest()).url,
}

test.each(Object.entries(STORAGES))(
  'a real server, %s: of 200 clients at once exactly the limit reach the handler',
  async (_, storageOf) => {
    const storage = await storageOf()
    // Long enough for a machine that is busy.
    const patient = { deadlineMs: 10_000, connectTimeoutMs: 10_000 }
    const limiter = rateThrottle({ limits: '37/hour', storage, name: 'all', ...patient })
    await limiter.ready()
    let runs = 0
    const handler = limiter.wrap(async () => {
      runs++
      await new Promise(setImmediate)
      return new Response('served')
    })
    const base = await listen(getRequestListener(handler))
    const answers = await Promise.all(Array.from({ length: 200 }, () => fetch(base)))
    const statuses = answers.map(({ status }) => status)
    expect([runs, statuses.filter((status) => status === 200).length]).toEqual([37, 37])
    expect(statuses.filter((status) => status === 429).length).toBe(163)
    limiter.close()
  },
)

test('a client that waits as it was told is admitted', async () => {
  const clock = new FakeClock()
  const brief = rateThrottle({ limits: '1/second', clock })
  const base = await listen(getRequestListener(brief.wrap(() => new Response('served'))))
  await fetch(base)
  const denied = await fetch(base)
  clock.advance(Number(denied.headers.get('retry-after')) * 1_000)
  expect([denied.status, (await fetch(base)).status]).toEqual([429, 200])
})

test('an insight counts the requests, and a shield is asked for each by address', async () => {
  const { insight, rows } = fakeInsight()
  const guard = shield({ mode: 'enforce' })
  const limiter = rateThrottle({ limits: '2/hour', name: 'web', insight, shield: guard })
  let runs = 0
  const handler = limiter.wrap(() => {
    runs++
    return new Response('served')
  })
  guard.block('192.0.2.9', 60_000)
  const seen: Any[] = []
  for (const address of ['192.0.2.1', '192.0.2.1', '192.0.2.1', '192.0.2.9']) {
    const { status, headers } = await handler(ask(), deno(address))
    seen.push([status, Number(headers.get('retry-after')) > 0])
  }
  expect(seen).toEqual([
    [200, false],
    [200, false],
    [429, true],
    [429, true],
  ])
  expect(runs).toBe(2)
  const counted = rows.find(({ about }) => about.name === 'web')
  expect(counted?.routes).toEqual({ '*': { admitted: 2, denied: 1, shield: 1 } })
  // Without an address there is nobody to ask about, and the limits refuse.
  expect((await handler(ask(), {})).status).toBe(400)
  limiter.close()
  guard.close()
})
