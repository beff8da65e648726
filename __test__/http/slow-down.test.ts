import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { serve } from './serve.ts'

test('slowDown: a request whose client disconnected, or whose cost is never admitted, does not wait', async () => {
  const options = {
    limits: '2/2 seconds',
    slowDown: '1 minute',
    cost: ({ headers }: { headers: Record<string, string> }) => Number(headers['x-cost'] ?? 1),
  }
  const { ask, runs } = await serve('node:http', options)
  await Promise.all([ask(), ask()])
  const gone = new AbortController()
  const waiting = Array.from({ length: 20 }, () =>
    ask('/', { signal: gone.signal }).catch(() => 'gone'),
  )
  await sleep(200)
  const never = ask('/', { headers: { 'x-cost': '3' } })
  const first = await Promise.race([never.then(({ status }) => status), sleep(900)])
  expect(first).toBe(429)
  gone.abort()
  await Promise.all(waiting)
  // The places of the disconnected clients are free, and they were not charged.
  expect((await ask()).status).toBe(200)
  expect(runs()).toBeLessThanOrEqual(4)
})
