import { setTimeout as sleep } from 'node:timers/promises'
import { FakeClock } from 'ratethrottle/testing'
import { expect, test } from 'vitest'
import { serve } from './serve.ts'

test('slowDown: a request whose client disconnected, or whose cost is never admitted, does not wait', async () => {
  const clock = new FakeClock()
  let asked = 0
  const options = {
    limits: '2/2 seconds',
    slowDown: '1 minute',
    clock,
    cost: ({ headers }: { headers: Record<string, string> }) => {
      asked++
      return Number(headers['x-cost'] ?? 1)
    },
  }
  const { ask, runs } = await serve('node:http', options)
  await Promise.all([ask(), ask()])
  const gone = new AbortController()
  const waiting = Array.from({ length: 20 }, () =>
    ask('/', { signal: gone.signal }).catch(() => 'gone'),
  )
  await expect.poll(() => asked).toBe(22)
  const never = ask('/', { headers: { 'x-cost': '3' } })
  expect((await never).status).toBe(429)
  gone.abort()
  await Promise.all(waiting)
  // The places of the disconnected clients are free, and they were not charged.
  let isOver = false
  const last = ask().finally(() => {
    isOver = true
  })
  while (!isOver) {
    clock.advance(500)
    await sleep(50)
  }
  expect((await last).status).toBe(200)
  expect(runs()).toBeLessThanOrEqual(4)
})
