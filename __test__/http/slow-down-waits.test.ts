import { once } from 'node:events'
import { createConnection } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { PATIENCE } from '../fixtures/patience.ts'
import { until } from '../redis/faults.ts'
import { serverForTest } from '../redis/server.ts'
import { serve } from './serve.ts'

/** Statuses in the order in which they came. */
async function answersTo(
  ask: () => Promise<{ status: number }>,
  count: number,
  seen: number[] = [],
) {
  const one = async () => {
    const { status } = await ask()
    seen.push(status)
  }
  await Promise.all(Array.from({ length: count }, one))
  return seen
}

test('a request whose turn would come too late is refused before the next one is served, in memory, Redis and shared memory', async () => {
  const { url } = await serverForTest()
  const tiers = [
    { storage: 'memory:' },
    { storage: url, deadlineMs: 30_000 },
    { storage: `shared:slow-${process.pid}` },
  ]
  const served: { storage: string; runs: () => number; answers: Promise<number[]> }[] = []
  for (const tier of tiers) {
    const options = { limits: '1/4 seconds', slowDown: '10 seconds', ...tier }
    const { ask, runs } = await serve('node:http', options)
    const seen: number[] = []
    served.push({ storage: tier.storage, runs, answers: answersTo(ask, 50, seen) })
    // Those that wait, for eight seconds, wait beside the requests of the next tier.
    await until(() => seen.length > 47, PATIENCE)
  }
  for (const { storage, runs, answers } of served) {
    const seen = await answers
    // One at once, two within ten seconds; 47 were refused before the first of the two.
    expect(
      seen.filter((status) => status === 200),
      storage,
    ).toHaveLength(3)
    expect(seen.slice(48), storage).toEqual([200, 200])
    expect(runs(), storage).toBe(3)
  }
})

test('at most a thousand pipelined requests of one client wait', async () => {
  let arrived = 0
  let decided = 0
  let most = 0
  const options = {
    limits: '1000/second',
    // Never the turn of most, but by their place alone they could be in time.
    slowDown: '2 seconds',
    capacity: 100,
    skip: () => {
      arrived++
      most = Math.max(most, arrived - decided)
      return false
    },
    onAdmit: () => decided++,
    onDeny: () => decided++,
  }
  const { port } = await serve('node:http', { ...options, algorithm: 'fixed-window' })
  const socket = createConnection(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.resume()
  await once(socket, 'connect')
  const request = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'
  for (let i = 0; i < 20; i++) socket.write(request.repeat(500))
  await until(() => arrived >= 4_000, 30_000, 'requests').catch(() => {})
  await sleep(100)
  expect(most).toBeLessThanOrEqual(1_001)
  socket.destroy()
})

test('at most ten thousand requests of all clients wait, or maxWaiters', async () => {
  const options = {
    limits: '1/hour',
    slowDown: '2 hours',
    key: ({ headers }: { headers: Record<string, string> }) => headers['x-key'],
  }
  const answers: number[] = []
  const caps = { maxWaiters: 6, maxWaitersPerKey: 2 }
  const { ask } = await serve('node:http', { ...options, ...caps })
  const stop = new AbortController()
  const send = (key: string) =>
    ask('/', { headers: { 'x-key': key }, signal: stop.signal }).then(
      ({ status, headers }) => {
        answers.push(status)
        if (status === 429) expect(Number(headers['retry-after'])).toBeGreaterThan(0)
      },
      () => {},
    )
  const keys = ['a', 'b', 'c', 'd', 'e']
  const all = keys.flatMap((key) => [1, 2, 3, 4].map(() => send(key)))
  // Of each key one is served, and of the other requests six wait.
  await expect.poll(() => answers.length, { timeout: 60_000 }).toBe(14)
  expect(answers.filter((status) => status === 200)).toHaveLength(5)
  expect(answers.filter((status) => status === 429)).toHaveLength(9)
  stop.abort()
  await Promise.all(all)
})

test('a dry run does not delay a request', async () => {
  const denied: unknown[] = []
  const options = {
    limits: '1/20 seconds',
    slowDown: '1 minute',
    dryRun: true,
    onDeny: () => denied.push(1),
  }
  const { ask, runs } = await serve('node:http', options)
  await ask()
  const second = await Promise.race([
    ask().then(({ status }) => status),
    sleep(PATIENCE, 'late', { ref: false }),
  ])
  expect(second).toBe(200)
  expect(runs()).toBe(2)
  expect(denied).toHaveLength(1)
})
