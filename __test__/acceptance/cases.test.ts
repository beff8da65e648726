import { once } from 'node:events'
import { connect } from 'node:net'
import type express from 'express'
import type { Express } from 'express'
import Fastify from 'fastify'
import { FakeClock, RateLimitExceeded } from 'ratethrottle'
import { rateThrottle as forExpress } from 'ratethrottle/express'
import forFastify from 'ratethrottle/fastify'
import { describe, expect, it } from 'vitest'
import { expectWarnings } from '../fixtures/warnings.ts'
import { figures, times } from '../http/client.ts'
import {
  FRAMEWORKS,
  type LimitedSite,
  type Options,
  SERVERS,
  serveApp,
  serveSite,
} from '../http/serve.ts'

expectWarnings('RATETHROTTLE_STRAY_FORWARDED_FOR')

describe('a limiter made before its app and attached later', () => {
  it('Fastify 5: limits earlier routes, and sets the headers', async () => {
    const app = Fastify()
    app.get('/', () => ({ path: '/' }))
    app.register(forFastify, { limits: '2/minute', clock: new FakeClock() })
    const { ask, statuses } = await serveApp(app)
    expect(figures(await ask())).toEqual(['2', '1'])
    expect(await statuses(2)).toEqual([200, 429])
  })

  it.each(['express', 'express-4'])(
    '%s: limits, sets the headers, and is one budget in two apps',
    async (name) => {
      const limiter = forExpress({ limits: '2/minute', clock: new FakeClock() })
      const { default: make } = (await import(name)) as { default: typeof express }
      const apps = [make(), make()] as [Express, Express]
      for (const app of apps)
        app.use(limiter).get('/', (_request, response) => void response.json({}))
      const [one, other] = await Promise.all(apps.map((app) => serveApp(app)))
      expect(figures((await one?.ask()) ?? expect.fail())).toEqual(['2', '1'])
      expect(await other?.statuses(2)).toEqual([200, 429])
    },
  )
})

describe.each(SERVERS)('%s:', (framework) => {
  const site = (limits: unknown, more: object = {}): LimitedSite => ({
    options: { clock: new FakeClock() },
    routes: [{ path: '/', ...(limits === undefined ? {} : { limits }), ...more }],
  })

  it.each([
    ['"100/minute"', '100/minute', 100],
    ['50 per 60 seconds in numbers', { count: 50, windowMs: 60_000 }, 50],
    ['both in a list', ['100/minute', { count: 50, windowMs: 60_000 }], 50],
  ])('%s is accepted as a limit', async (_, limits, count) => {
    const { statuses, ask } = await serveSite(framework, site(limits))
    expect(figures(await ask())).toEqual([`${count}`, `${count - 1}`])
    expect(await statuses(count)).toEqual(times(count - 1, 200, 1, 429))
  })

  it('below the limit the result of the handler is unchanged; at limit 1 the second request is refused', async () => {
    const result = { text: 'Grüße\n"\\', list: [1, null, { deep: true }], nothing: '' }
    const run = () => ({ body: result })
    const limited = await serveSite(framework, site('1/minute', { run }))
    const free = await serveSite(framework, site(undefined, { run }))
    const [ours, bare] = [await limited.ask(), await free.ask()]
    expect(ours.body).toBe(bare.body)
    expect(JSON.parse(ours.body)).toEqual(result)
    const added = Object.keys(ours.headers).filter((header) => !(header in bare.headers))
    expect(added.sort()).toEqual(
      ['limit', 'remaining', 'reset'].map((name) => `x-ratelimit-${name}`),
    )
    expect((await limited.ask()).status).toBe(429)
    expect(limited.runs()).toBe(1)
  })

  it('a limit on POST does not limit GET', async () => {
    const options: Options = { clock: new FakeClock(), limits: '2/minute', methods: ['POST'] }
    const routes = [{ path: '/' }, { path: '/', method: 'POST' }] as const
    const { ask, statuses } = await serveSite(framework, { options, routes })
    expect(await statuses(5)).toEqual(times(5, 200))
    expect(figures(await ask())).toEqual([undefined, undefined])
    expect(await statuses(3, '/', { method: 'POST' })).toEqual(times(2, 200, 1, 429))
    expect(await statuses(2)).toEqual([200, 200])
  })

  it('a WebSocket upgrade passes, and is not charged', async () => {
    const options = { clock: new FakeClock(), limits: '1/minute' }
    const { server, port, statuses } = await serveSite(framework, {
      options,
      routes: [{ path: '/' }],
    })
    server.on('upgrade', (_request, socket) => {
      socket.end(
        'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
      )
    })
    for (let i = 0; i < 3; i++) expect(await upgrade(port)).toMatch(/^HTTP\/1\.1 101 /)
    expect(await statuses(2)).toEqual([200, 429])
  })

  it.each(['203.0.113.7', '', ' , ', 'unknown', '::1', '[::1]:80', '%00', '1.2.3.4'.repeat(500)])(
    'with X-Forwarded-For "%s" a request is still served',
    async (chain) => {
      for (const trust of [undefined, 'loopback']) {
        const options = { limits: '9/minute', ...(trust === undefined ? {} : { trust }) }
        const { ask } = await serveSite(framework, { options, routes: [{ path: '/' }] })
        expect((await ask('/', { headers: { 'x-forwarded-for': chain } })).status).toBe(200)
      }
    },
  )

  it('limit N: exactly N are served, then 429 without the handler, with the right headers and body', async () => {
    const { ask, runs } = await serveSite(framework, site('5/hour'))
    for (let left = 4; left >= 0; left--) {
      const { status, body, ...answer } = await ask()
      expect([status, body]).toEqual([200, '{"path":"/"}'])
      expect(figures({ status, body, ...answer })).toEqual(['5', `${left}`])
    }
    for (let i = 0; i < 5; i++) {
      const answer = await ask()
      expect([answer.status, ...figures(answer)]).toEqual([429, '5', '0'])
      expect(answer.headers['retry-after']).toBe('720')
      expect(JSON.parse(answer.body)).toMatchObject({
        code: 'RATE_LIMIT_EXCEEDED',
        statusCode: 429,
      })
    }
    expect(runs()).toBe(5)
  })

  it.each([
    ['-1', '-1/minute', /-1\/minute/],
    ['-1 in numbers', { count: -1, windowMs: 60_000 }, /count.*-1/],
    ['an unknown unit', '7/fortnight', /fortnight/],
    ['zero', '0/minute', /0\/minute/],
    ['no text', '', /limit/i],
    ['no limit', [], /limit/],
    ['a number', 5, /limit.*5/],
    ['an unknown strategy', { limits: '5/minute', algorithm: 'sliding_widow' }, /widow/],
    ['an unknown option', { limits: '5/minute', windowMs: 5 }, /windowMs/],
    ['options of the wrong kind', { limits: '5/minute', blockFor: 'often' }, /blockFor/],
  ])('%s stops the start, on a route and on the plugin', async (_, wrong, reason) => {
    const limits = wrong as Options['limits'] & string
    await expect(serveSite(framework, site(limits))).rejects.toThrow(reason)
    await expect(serveSite(framework, site(undefined, { stacked: [limits] }))).rejects.toThrow(
      reason,
    )
    const given = typeof wrong === 'object' && 'limits' in wrong ? wrong : { limits }
    const options = given as Options
    await expect(serveSite(framework, { options, routes: [] })).rejects.toThrow(reason)
  })
})

it('Fastify 5: an invalid limit of a route from before the plugin refuses each request', async () => {
  let runs = 0
  const app = Fastify()
  const config = { rateLimit: '7/fortnight' as '7/day' }
  app.get('/', { config }, () => ({ runs: ++runs }))
  await app.register(forFastify, { limits: '100/minute' })
  const { statuses } = await serveApp(app)
  expect(await statuses(3)).toEqual(times(3, 500))
  expect(runs).toBe(0)
})

describe.each(FRAMEWORKS)('%s:', (framework) => {
  it('a request that is not served gets a 429 error', async () => {
    const errors: unknown[] = []
    const { statuses } = await serveSite(framework, {
      routes: [{ path: '/', limits: '1/minute' }],
      onError: (error) => {
        errors.push(error)
        return { status: (error as RateLimitExceeded).statusCode, body: {} }
      },
    })
    expect(await statuses(2)).toEqual([200, 429])
    expect(errors).toEqual([expect.any(RateLimitExceeded)])
  })
})

async function upgrade(port: number): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.write('GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n')
  const [head] = (await once(socket, 'data')) as [Buffer]
  socket.destroy()
  return head.toString('latin1')
}
