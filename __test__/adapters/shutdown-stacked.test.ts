import { once } from 'node:events'
import { get, type Server as HttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { serve as serveHono } from '@hono/node-server'
import express from 'express'
import { Hono } from 'hono'
import { rateThrottle as forExpress } from 'ratethrottle/express'
import { rateThrottle as forHono } from 'ratethrottle/hono'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { until } from '../redis/faults.ts'
import { type Server, startServer } from '../redis/server.ts'

/*
 * Several limiters on one request: those that have admitted it are closed while it waits for another one. Each
 * request is answered with the denial of the limiter it waits for, as with a single limiter.
 */

let redis: Server
beforeAll(async () => {
  redis = await startServer()
})
afterAll(() => redis.stop())

// biome-ignore lint/suspicious/noExplicitAny: as in plain JavaScript
type Any = any
type Stack = (rateThrottle: Any, storage: object) => { use: Any[]; close: (() => void)[] }

const OUTER = { limits: '100/hour' }
const DELAYED = { limits: '1/8 seconds', slowDown: '10 minutes' }
const HELD = { limits: '1/hour', countWhen: 'failure' }

let names = 0
const fresh = (name: string): string => `${name}-${++names}`

/** A limiter's own, for a route; where there are none such, another one. */
const within = (limiter: Any, options: object, rateThrottle: Any): Any =>
  limiter.limit?.(options) ?? rateThrottle({ name: fresh('own'), ...options })

const STACKS: Record<string, Stack> = {
  'a limiter and its own': (rateThrottle, storage) => {
    const limiter = rateThrottle({ ...OUTER, ...storage })
    return {
      use: [limiter, within(limiter, { ...storage, ...DELAYED }, rateThrottle)],
      close: [() => limiter.close?.()],
    }
  },
  'the same, with the headers of the draft': (rateThrottle, storage) => {
    const limiter = rateThrottle({ ...OUTER, ...storage, headers: 'both' })
    return {
      use: [limiter, within(limiter, { ...storage, ...DELAYED }, rateThrottle)],
      close: [() => limiter.close?.()],
    }
  },
  'one that holds, closed first, and one that delays': (rateThrottle, storage) => {
    const use = [
      rateThrottle({ ...OUTER, ...storage, name: fresh('outer'), countWhen: 'failure' }),
      rateThrottle({ ...DELAYED, ...storage, name: fresh('inner') }),
    ]
    return { use, close: use.map((one) => () => one.close?.()) }
  },
  'a limiter and one that holds': (rateThrottle, storage) => {
    const limiter = rateThrottle({ ...OUTER, ...storage })
    return {
      use: [limiter, within(limiter, { ...storage, ...HELD }, rateThrottle)],
      close: [() => limiter.close?.()],
    }
  },
  'two, the first closed first': (rateThrottle, storage) => {
    const use = [
      rateThrottle({ ...OUTER, ...storage, name: fresh('outer') }),
      rateThrottle({ ...DELAYED, ...storage, name: fresh('inner') }),
    ]
    return { use, close: use.map((one) => () => one.close?.()) }
  },
  'two, the last closed first': (rateThrottle, storage) => {
    const use = [
      rateThrottle({ ...OUTER, ...storage, name: fresh('outer') }),
      rateThrottle({ ...DELAYED, ...storage, name: fresh('inner') }),
    ]
    return { use, close: [...use].reverse().map((one) => () => one.close?.()) }
  },
}

/** Starts an app with these middlewares, whose handler answers when the test says so. */
function start(adapter: string, use: Any[], let_: Promise<void>): HttpServer {
  if (adapter === 'express') {
    const app = express()
    for (const middleware of use) app.use(middleware)
    app.use((_, response) => void let_.then(() => response.send('done')))
    return app.listen(0, '127.0.0.1')
  }
  const app = new Hono()
  for (const middleware of use) app.use(middleware)
  app.get('/', async (c) => {
    await let_
    return c.text('done')
  })
  return serveHono({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }) as HttpServer
}

function ask(port: number): Promise<number | string> {
  return new Promise((resolve) => {
    const call = get({ host: '127.0.0.1', port, agent: false }, (response) => {
      response.resume()
      response.on('end', () => resolve(response.statusCode ?? 0))
    })
    call.on('error', (error) => resolve(String(error)))
  })
}

async function statuses(adapter: string, stack: Stack, storage: object): Promise<unknown> {
  let seen = 0
  const rateThrottle = adapter === 'express' ? forExpress : forHono
  const counted = { ...storage, onAdmit: () => seen++, deadlineMs: undefined, ...storage }
  const { use, close } = stack(rateThrottle, counted)
  let go: () => void = () => {}
  const server = start(
    adapter,
    use,
    new Promise<void>((resolve) => {
      go = resolve
    }),
  )
  onTestFinished(() => server.closeAllConnections())
  if (!server.listening) await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const answers = Promise.all([ask(port), ask(port), ask(port)])
  // All three by the first limiter, and one of them by the second.
  await until(() => seen >= 4, 20_000, 'admissions').catch(() => {})
  await new Promise((resolve) => setTimeout(resolve, 100))
  server.close()
  for (const each of close) each()
  setTimeout(go, 100)
  return (await answers).sort()
}

const STORAGES: Record<string, () => object> = {
  memory: () => ({}),
  shared: () => ({
    storage: `shared:stacked-${process.pid}-${Math.random().toString(36).slice(2)}`,
  }),
  redis: () => ({
    storage: redis.url,
    keyPrefix: `stacked-${Math.random().toString(36).slice(2)}:`,
    deadlineMs: 10_000,
  }),
}

for (const adapter of ['express', 'hono']) {
  for (const [place, storage] of Object.entries(STORAGES)) {
    test(`stacked limiters can be closed while requests wait, ${adapter}, ${place}`, async () => {
      const seen: Record<string, unknown> = {}
      const right: Record<string, unknown> = {}
      const run = async ([name, stack]: [string, Stack]) => {
        seen[name] = await statuses(adapter, stack, storage())
        right[name] = [200, 429, 429]
      }
      await Promise.all(Object.entries(STACKS).map(run))
      expect(seen).toEqual(right)
    })
  }
}
