import express from 'express'
import Fastify from 'fastify'
import { FakeClock } from 'ratethrottle'
import { rateThrottle } from 'ratethrottle/express'
import limitFastify from 'ratethrottle/fastify'
import { afterEach, describe, expect, it } from 'vitest'
import { admitted, ask, repeat, statuses } from '../http/client.ts'
import { FRAMEWORKS, type Options, type Result, serve, serveApp } from '../http/serve.ts'

// Numbers are those of reference note "node-peers", section 1.3: defects that were seen in rivals.

const codes: string[] = []
const onWarning = ({ code }: Error & { code?: string }): number => codes.push(code ?? '')
process.on('warning', onWarning)
afterEach(() => codes.splice(0))
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
const slow = async (): Promise<Result> => {
  await pause(20)
  return { status: 200 }
}

describe.each(FRAMEWORKS)('%s', (name) => {
  it('routes of one group have one budget, which no other route shares', async () => {
    const limits = { limits: '3/day', scope: `peers ${name}` }
    const routes = [
      { path: '/a', limits },
      { path: '/b', limits: { ...limits } },
    ]
    const { port } = await serve(name, {}, { routes })
    const seen = await Promise.all(repeat(6, (i) => ask(port, { path: i % 2 ? '/a' : '/b' })))
    expect(seen.filter(({ status }) => status === 200)).toHaveLength(3)
    expect(await statuses(port, 1)).toEqual([200])
  })

  it('a block by steps ends exactly at its Retry-After', async () => {
    const clock = new FakeClock()
    const blockFor = ['5 seconds', '20 seconds', '60 seconds']
    const { port } = await serve(name, { limits: '1/second', blockFor, clock })
    for (const seconds of [5, 20, 60, 60]) {
      expect(await statuses(port, 1)).toEqual([200])
      const { status, headers } = await ask(port)
      expect([status, headers['retry-after']]).toEqual([429, String(seconds)])
      clock.advance(seconds * 1_000 - 1)
      expect(await statuses(port, 1)).toEqual([429])
      clock.advance(1)
    }
  })

  it('a route limit beside the global one is applied too', async () => {
    const around = { beside: { limits: '2/day' } }
    const { port } = await serve(name, { limits: '9/day' }, around)
    expect(await statuses(port, 4)).toEqual([200, 200, 429, 429])
  })

  it.each([
    ['an exhausted one', { limits: '5/day' }],
    ['one that is blocked', { limits: '1/day', blockFor: '1 day' }],
  ] as const)('a flood of other keys does not forgive %s', async (_, options) => {
    const key = ({ headers }: { headers: Record<string, unknown> }): string =>
      String(headers['x-key'])
    const { port } = await serve(name, { ...options, key, capacity: 100 })
    const from = (key: string) => ({ headers: { 'x-key': key } })
    while ((await ask(port, from('victim'))).status === 200);
    await Promise.all(repeat(500, (i) => ask(port, from(`other${i}`))))
    expect(await statuses(port, 3, from('victim'))).toEqual([429, 429, 429])
  })

  it('behind a named proxy each client has a budget; a hop count or true causes a warning and trusts no header', async () => {
    const from = (i: number) => ({ headers: { 'x-forwarded-for': `198.51.100.${i}` } })
    const named = await serve(name, { limits: '1/day' }, { proxy: '127.0.0.1' })
    expect(await admitted(named.port, repeat(5, from))).toBe(5)
    for (const [proxy, code] of [
      [1, 'RATETHROTTLE_HOP_COUNT'],
      [true, 'RATETHROTTLE_PERMISSIVE_PROXY'],
    ] as const) {
      const { port } = await serve(name, { limits: '1/day' }, { proxy })
      expect(await admitted(port, repeat(5, from))).toBe(1)
      await expect.poll(() => codes).toContain(code)
      const trusting = await serve(name, { limits: '1/day', trust: '127.0.0.1' }, { proxy })
      expect(await admitted(trusting.port, repeat(5, from))).toBe(5)
    }
  })

  it.each<[string, Options, Options | undefined]>([
    ['in one list', { limits: ['1/second', '9/day'] }, undefined],
    ['in two limiters', { limits: '9/day' }, { limits: '1/second' }],
    ['in two limiters, the other way round', { limits: '1/second' }, { limits: '9/day' }],
  ])('of several limits %s, none is charged when one refuses', async (_, options, beside) => {
    const clock = new FakeClock()
    const fixed = { algorithm: 'fixed-window', clock } as const
    const around = beside === undefined ? {} : { beside: { ...beside, ...fixed } }
    const { port } = await serve(name, { ...options, ...fixed, headers: 'draft' }, around)
    const { port: other } = await serve(name, { ...options, ...fixed }, around)
    for (const target of [port, other]) {
      expect(await statuses(target, 4)).toEqual([200, 429, 429, 429])
      // One was spent; eight remain, one a second.
      let left = 0
      for (let i = 0; i < 12; i++) {
        clock.advance(1_000)
        if ((await ask(target)).status === 200) left++
      }
      expect(left).toBe(8)
    }
  })

  it('a request that costs more than what is left, or than the limit, is not charged', async () => {
    const cost = ({ headers }: { headers: Record<string, unknown> }): number =>
      Number(headers['x-cost'])
    const { port } = await serve(name, { limits: '5/day', cost })
    const costing = (cost: number) => ({ headers: { 'x-cost': String(cost) } })
    expect(await statuses(port, 1, costing(3))).toEqual([200])
    expect(await statuses(port, 3, costing(10))).toEqual([429, 429, 429])
    expect(await statuses(port, 3, costing(3))).toEqual([429, 429, 429])
    expect(await statuses(port, 3, costing(1))).toEqual([200, 200, 429])
    // Waiting would not help a cost above the limit: no time is named.
    expect((await ask(port, costing(10))).headers['retry-after']).toBeUndefined()
  })

  it('parallel slow good requests are not refused when only failures count', async () => {
    const routes = [{ path: '/', run: slow }]
    const { port, runs } = await serve(name, { limits: '5/day', countWhen: 'failure' }, { routes })
    const seen = await Promise.all(repeat(30, () => ask(port)))
    expect(seen.filter(({ status }) => status !== 200)).toEqual([])
    expect(runs()).toBe(30)
  })
})

it('Fastify: a route hook beside the plugin runs too, and routes may be added before the plugin is ready', async () => {
  const app = Fastify()
  app.register(limitFastify, { limits: '3/day' })
  app.get('/', () => 'ok')
  app.after(() => {
    app.get('/hooked', { preHandler: app.rateThrottle('1/day') }, () => 'ok')
  })
  const ask = async (path: string): Promise<number> => (await app.inject(path)).statusCode
  expect([await ask('/hooked'), await ask('/hooked')]).toEqual([200, 429])
  expect([await ask('/'), await ask('/'), await ask('/')]).toEqual([200, 200, 429])
  await app.close()
})

it('Express: routes from before the limiter cause a warning', async () => {
  const app = express()
  app.get('/early', (_, response) => void response.send('ok'))
  app.use(rateThrottle({ limits: '1/day' }))
  app.get('/', (_, response) => void response.send('ok'))
  const { port } = await serveApp(app)
  expect(await statuses(port, 2)).toEqual([200, 429])
  await expect.poll(() => codes).toContain('RATETHROTTLE_LATE')
})
