import { createConnection } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { queryObjects } from 'node:v8'
import express from 'express'
import { rateThrottle } from 'ratethrottle/express'
import { expect, test } from 'vitest'
import { PATIENCE } from '../fixtures/patience.ts'
import { until } from '../redis/faults.ts'
import { listen, serve } from './serve.ts'

test('beyond ten thousand requests that wait for an outcome, all are refused at once', async () => {
  let release = () => {}
  const released = new Promise<void>((resolve) => {
    release = resolve
  })
  let arrived = 0
  let denied = 0
  const options = {
    limits: '1/hour',
    countWhen: 'failure',
    key: ({ headers }: { headers: Record<string, string> }) => headers['x-key'],
    skip: () => {
      arrived++
      return false
    },
    onDeny: () => denied++,
  }
  const { port, runs } = await serve('node:http', options, async () => {
    await released
    return 200
  })
  const keys = Array.from({ length: 14 }, (_, i) => `k${i}`)
  const sockets = keys.map((key) => {
    const socket = createConnection(port, '127.0.0.1')
    socket.on('error', () => {})
    socket.resume()
    socket.write(`GET / HTTP/1.1\r\nHost: x\r\nX-Key: ${key}\r\n\r\n`.repeat(900))
    return socket
  })
  await until(() => arrived >= 900 * keys.length, 30_000).catch(() => {})
  await sleep(200)
  const waiting = arrived - runs() - denied
  for (const socket of sockets) socket.destroy()
  release()
  await sleep(50)
  expect(waiting).toBeLessThanOrEqual(10_000)
  expect(denied).toBeGreaterThan(0)
})

test('a unit that time has freed wakes one waiting request', async () => {
  let release = () => {}
  const released = new Promise<void>((resolve) => {
    release = resolve
  })
  let looks = 0
  let arrived = 0
  const options = {
    limits: '1/400ms',
    countWhen: 'failure',
    skip: () => {
      arrived++
      return false
    },
    clock: {
      // The counters read it at each call.
      now: () => {
        looks++
        return performance.now()
      },
    },
  }
  const { ask, runs } = await serve('node:http', options, async () => {
    await released
    return 200
  })
  const all = Array.from({ length: 300 }, () => ask())
  await until(() => arrived === 300)
  const [before, ran] = [looks, runs()]
  await until(() => runs() >= ran + 3, PATIENCE)
  const after = looks
  release()
  await Promise.all(all)
  // Three units, and fewer calls than waiting requests.
  expect(after - before).toBeLessThan(250)
})

test('a request that waits under one limit is not admitted under another limit of its key', async () => {
  let release = () => {}
  const released = new Promise<void>((resolve) => {
    release = resolve
  })
  const options = {
    limits: ({ url }: { url: string }) => (url === '/other' ? '100/hour' : '1/hour'),
    algorithm: 'fixed-window',
    countWhen: 'failure',
  } as const
  const { ask, runs } = await serve('node:http', options, async (path) => {
    if (path === '/login') await released
    return 401
  })
  const first = ask('/login')
  await until(() => runs() === 1)
  const second = ask('/login')
  await sleep(100)
  const other = await Promise.race([
    ask('/other').then(({ status }) => status),
    sleep(PATIENCE, 0, { ref: false }),
  ])
  release()
  expect((await first).status).toBe(401)
  expect((await second).status).toBe(429)
  expect(runs()).toBe(2)
  expect(other).toBe(401)
})

test('a dry run does not wait for the outcome of another request', async () => {
  let release = () => {}
  const released = new Promise<void>((resolve) => {
    release = resolve
  })
  const options = { limits: '1/hour', countWhen: 'failure', dryRun: true }
  const { ask } = await serve('node:http', options, async (path) => {
    if (path === '/slow') await released
    return 200
  })
  const slow = ask('/slow')
  await sleep(200)
  const second = await Promise.race([
    ask().then(({ status }) => status),
    sleep(PATIENCE, 'late', { ref: false }),
  ])
  release()
  await slow
  expect(second).toBe(200)
})

test('eleven limiters on a route cause no MaxListenersExceededWarning', async () => {
  const warnings: string[] = []
  const note = ({ name, message }: Error) => warnings.push(`${name} ${message}`)
  process.on('warning', note)
  const app = express()
  const limiter = rateThrottle({})
  const limits = { limits: '100/hour', countWhen: 'failure' } as const
  const slow = { limits: '1/100ms', slowDown: '5 seconds' } as const
  for (let i = 0; i < 11; i++) app.use(limiter.limit(limits))
  for (let i = 0; i < 11; i++) app.use(limiter.limit(slow))
  app.use((_, res) => {
    res.send('done')
  })
  const base = await listen(app)
  const statuses = await Promise.all([1, 2].map(async () => (await fetch(base)).status))
  expect(statuses).toEqual([200, 200])
  await sleep(50)
  process.off('warning', note)
  expect(warnings.filter((text) => text.includes('MaxListeners'))).toEqual([])
})

test('the queue of a named limiter is collected with the limiter', async () => {
  const app = express()
  const limiters = Array.from({ length: 50 }, (_, i) =>
    rateThrottle({ limits: '5/hour', countWhen: 'failure', name: `t12-${i}`, capacity: 10 }),
  )
  for (const limiter of limiters) app.use(limiter)
  app.use((_, res) => {
    res.send('done')
  })
  const base = await listen(app)
  expect((await fetch(base)).status).toBe(200)
  for (const limiter of limiters.splice(0)) limiter.close()
  app.use(() => {})
  const { HeldUnits } = await import(join(process.cwd(), 'dist/http/held-units.js'))
  app.router.stack.length = 0
  await until(() => queryObjects(HeldUnits, { format: 'count' }) < 10, PATIENCE).catch(() => {})
  // Nothing by name either, once no unit is held.
  expect(HeldUnits.names).toBe(0)
  // One may still be in a frame of the stack.
  expect(queryObjects(HeldUnits, { format: 'count' })).toBeLessThan(10)
})
