import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import express from 'express'
import { FakeClock } from 'ratethrottle'
import { rateThrottle } from 'ratethrottle/express'
import { describe, expect, it } from 'vitest'
import { ADAPTERS, serve } from './serve.ts'

const many = (count: number, what: () => Promise<{ status: number }>) =>
  Promise.all(Array.from({ length: count }, what))
const tally = (answers: readonly { status: number }[]) => {
  const counts: Record<number, number> = {}
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1
  return counts
}

describe.each(ADAPTERS)('%s: countWhen', (adapter) => {
  it('failure: parallel good requests are not refused, and are not charged', async () => {
    const slow = async () => {
      await sleep(15)
      return 200
    }
    const { ask, statuses, runs } = await serve(
      adapter,
      { limits: '5/hour', countWhen: 'failure' },
      slow,
    )
    expect(tally(await many(50, () => ask()))).toEqual({ 200: 50 })
    expect(await statuses(2)).toEqual([200, 200])
    expect(runs()).toBe(52)
  })

  it('failure: parallel bad requests never exceed the limit', async () => {
    const slow = async () => {
      await sleep(15)
      return 401
    }
    const { ask, runs } = await serve(adapter, { limits: '5/hour', countWhen: 'failure' }, slow)
    expect(tally(await many(50, () => ask()))).toEqual({ 401: 5, 429: 45 })
    expect(runs()).toBe(5)
  })

  it('failure: of good and bad requests exactly the bad ones count', async () => {
    const handle = async (path: string) => {
      await sleep(5)
      return path === '/bad' ? 400 : 200
    }
    const options = { limits: '6/hour', countWhen: 'failure' }
    const { ask, statuses } = await serve(adapter, options, handle)
    let i = 0
    const mixed = await many(40, () => ask(i++ % 10 === 0 ? '/bad' : '/good'))
    expect(tally(mixed)).toEqual({ 200: 36, 400: 4 })
    expect(await statuses(4, '/bad')).toEqual([400, 400, 429, 429])
    expect(await statuses(1, '/good')).toEqual([429])
  })

  it('success: a failed request is refunded', async () => {
    const handle = (path: string) => (path === '/bad' ? 500 : 201)
    const options = { limits: '2/hour', countWhen: 'success' }
    const { statuses } = await serve(adapter, options, handle)
    expect(await statuses(5, '/bad')).toEqual([500, 500, 500, 500, 500])
    expect(await statuses(3, '/good')).toEqual([201, 201, 429])
    expect(await statuses(1, '/bad')).toEqual([429])
  })

  it('a function decides; a request counts if the function throws', async () => {
    const countWhen = ({ status }: { status: number }) => {
      if (status === 202) throw new Error('unsure')
      return status === 201
    }
    const options = { limits: '2/hour', countWhen, onError: () => {} }
    const { statuses } = await serve(adapter, options, (path) => Number(path.slice(1)))
    expect(await statuses(3, '/200')).toEqual([200, 200, 200])
    expect(await statuses(1, '/201')).toEqual([201])
    expect(await statuses(1, '/202')).toEqual([202])
    expect(await statuses(1, '/200')).toEqual([429])
  })

  it('a client that disconnects gets no refund, waiting or served (H86)', async () => {
    let finish = () => {}
    const until = new Promise<void>((resolve) => {
      finish = resolve
    })
    const handle = async (path: string) => {
      if (path === '/slow') await until
      return 500
    }
    let left = 0
    const onDeny = (): number => left++
    const options = { limits: '3/hour', countWhen: 'success', onDeny }
    const { ask, statuses, runs } = await serve(adapter, options, handle)
    const controllers = Array.from({ length: 10 }, () => new AbortController())
    const asked = controllers.map(({ signal }) => ask('/slow', { signal }).catch(() => 'gone'))
    while (runs() < 3) await sleep(1)
    for (const controller of controllers) controller.abort()
    expect(await Promise.all(asked)).toEqual(Array(10).fill('gone'))
    // Those that wait have left their places when they are reported.
    await expect.poll(() => left).toBe(7)
    finish()
    expect(await statuses(3)).toEqual([429, 429, 429])
    expect(runs()).toBe(3)
  })
})

it('a refund after the end of its window has no effect (H87)', async () => {
  const clock = new FakeClock()
  let finish = (_: number) => {}
  const until = new Promise<number>((resolve) => {
    finish = resolve
  })
  const options = { limits: '2/minute', algorithm: 'fixed-window', countWhen: 'failure', clock }
  const handle = (path: string) => (path === '/slow' ? until : 400)
  const { ask, statuses, runs } = await serve('Fastify 5', options, handle)
  const slow = ask('/slow')
  while (runs() < 1) await sleep(1)
  clock.advance(60_001)
  expect(await statuses(1)).toEqual([400])
  finish(200)
  expect((await slow).status).toBe(200)
  expect(await statuses(2)).toEqual([400, 429])
})

it('blockFor does not block for requests that wait for an outcome', async () => {
  const handle = async () => {
    await sleep(10)
    return 200
  }
  const options = { limits: '2/hour', countWhen: 'failure', blockFor: '1 hour' }
  const { ask } = await serve('Express 5', options, handle)
  expect(tally(await many(12, () => ask()))).toEqual({ 200: 12 })
})

it("requests of one scope wait for each other's outcome, and for time", async () => {
  const limiter = rateThrottle({ limits: '2/hour', scope: 'waiting', countWhen: 'failure' })
  const other = limiter.limit({ limits: '2/hour', scope: 'waiting' })
  const app = express()
  const slow = async (_: unknown, res: { send(body: string): void }) => {
    await sleep(10)
    res.send('done')
  }
  app.get('/a', limiter, slow)
  app.get('/b', other, slow)
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const ask = (path: string) => fetch(`http://127.0.0.1:${port}${path}`)
  const answers = await Promise.all(['/a', '/b', '/a', '/b', '/a', '/b'].map(ask))
  expect(tally(answers)).toEqual({ 200: 6 })
  server.closeAllConnections()
  server.close()
})

it('a unit that time has freed goes to a waiting request, though the earlier request still runs', async () => {
  let finish = (_: number) => {}
  const until = new Promise<number>((resolve) => {
    finish = resolve
  })
  const handle = (path: string) => (path === '/slow' ? until : 200)
  const options = { limits: '1/200ms', countWhen: 'failure' }
  const { ask, runs } = await serve('Express 5', options, handle)
  const slow = ask('/slow')
  while (runs() < 1) await sleep(1)
  expect((await ask('/quick')).status).toBe(200)
  finish(200)
  expect((await slow).status).toBe(200)
})
