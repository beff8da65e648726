import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { Readable } from 'node:stream'
import Router from '@koa/router'
import Koa from 'koa'
import { insight } from 'ratethrottle/insight'
import { RateLimitExceeded, type RateThrottleOptions, rateThrottle } from 'ratethrottle/koa'
import { FakeClock } from 'ratethrottle/testing'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { type Served, serveApp } from '../http/serve.ts'

const Koa2 = createRequire(`${process.cwd()}/`)('koa-2') as typeof Koa

/** An app behind one limiter: `around` adds middleware before it, `after` what comes behind. */
async function start(
  App: typeof Koa,
  options: RateThrottleOptions,
  after: (app: Koa, limiter: ReturnType<typeof rateThrottle>) => void,
  around: (app: Koa) => void = () => {},
): Promise<Served> {
  const app = new App()
  const limiter = rateThrottle(options)
  onTestFinished(() => limiter.close())
  around(app)
  app.use(limiter)
  after(app, limiter)
  return serveApp(createServer(app.callback()))
}

const hello = (app: Koa): void => {
  app.use((ctx) => {
    ctx.body = { remaining: ctx.state.rateLimit?.remaining }
  })
}

describe.each([
  ['Koa 3', Koa],
  ['Koa 2', Koa2],
])('%s', (_, App) => {
  test('the decision is in ctx.state, and a refusal is answered as JSON', async () => {
    const options = { limits: '1/hour', clock: new FakeClock() }
    const { ask } = await start(App, options, hello)
    expect(JSON.parse((await ask()).body)).toEqual({ remaining: 0 })
    const { status, headers, body } = await ask()
    expect(status).toBe(429)
    expect(headers).toMatchObject({
      'retry-after': '3600',
      'x-ratelimit-limit': '1',
      'content-type': 'application/json; charset=utf-8',
    })
    expect(JSON.parse(body)).toMatchObject({ statusCode: 429, code: 'RATE_LIMIT_EXCEEDED' })
  })

  test('Koa prints nothing of refusals, and listeners hear of them', async () => {
    const printed = vi.spyOn(console, 'error').mockImplementation(() => {})
    onTestFinished(() => printed.mockRestore())
    const options = { limits: '1/hour', deny: '127.0.0.2', clock: new FakeClock() }
    const quiet = await start(App, options, hello)
    expect(await quiet.statuses(2)).toEqual([200, 429])
    expect((await quiet.ask('/', { from: '127.0.0.2' })).status).toBe(403)
    const broken: RateThrottleOptions = {
      limits: '1/hour',
      onKeyError: 'deny',
      key: () => {
        throw new Error('x')
      },
      onError: () => {},
    }
    expect((await (await start(App, broken, hello)).ask()).status).toBe(500)
    expect(printed).not.toHaveBeenCalled()

    const heard: unknown[] = []
    const loud = await start(App, options, hello, (app) => {
      app.on('error', (error) => heard.push(error))
    })
    expect(await loud.statuses(2)).toEqual([200, 429])
    expect(heard).toHaveLength(1)
    expect(heard[0]).toBeInstanceOf(RateLimitExceeded)
    expect(heard[0]).toMatchObject({
      status: 429,
      expose: true,
      headers: { 'retry-after': '3600', 'x-ratelimit-limit': '1', 'x-ratelimit-remaining': '0' },
    })
  })

  test('middleware before the limiter may catch a refusal', async () => {
    const { ask } = await start(App, { limits: '1/hour' }, hello, (app) => {
      app.use(async (ctx, next) => {
        try {
          await next()
        } catch (error) {
          if (!(error instanceof RateLimitExceeded)) throw error
          ctx.status = 418
          ctx.body = `wait ${error.retryAfter}`
        }
      })
    })
    await ask()
    const { status, body, headers } = await ask()
    expect([status, body, headers['retry-after']]).toEqual([418, 'wait 3600', '3600'])
  })

  test("the limits' headers stay on errors of handlers, and on no error that requests share", async () => {
    const shared = Object.assign(new Error('none'), { status: 404, expose: true })
    const fixed = Object.assign(new Error('none'), { status: 409 })
    Object.defineProperty(fixed, 'headers', { value: { a: 'b' } })
    const { ask } = await start(
      App,
      { limits: '9/hour', headers: 'both' },
      (app) => {
        app.use((ctx) => {
          if (ctx.path === '/shared') throw shared
          if (ctx.path === '/fixed') throw fixed
          if (ctx.path === '/text') throw 'text'
          ctx.throw(403, 'no', { headers: { 'x-own': 'yes', 'x-ratelimit-limit': 'mine' } })
        })
      },
      (app) => app.on('error', () => {}),
    )
    const own = await ask()
    expect(own.status).toBe(403)
    expect(own.headers).toMatchObject({
      'x-own': 'yes',
      'x-ratelimit-limit': 'mine',
      'x-ratelimit-remaining': '8',
    })
    expect((await ask('/shared')).headers).toMatchObject({
      'x-ratelimit-remaining': '7',
      ratelimit: expect.stringContaining('r=7'),
    })
    expect(shared).not.toHaveProperty('headers')
    expect((await ask('/shared')).headers['x-ratelimit-remaining']).toBe('6')
    expect((await ask('/fixed')).status).toBe(409)
    expect((await ask('/text')).status).toBe(500)
  })

  test('an onerror of the app answers refusals itself', async () => {
    const { ask } = await start(App, { limits: '1/hour' }, hello, (app) => {
      app.context.onerror = function (
        this: Koa.Context,
        error: Error & { status?: number; headers?: object },
      ) {
        if (error == null) return
        this.res.writeHead(error.status ?? 500, { ...error.headers, 'x-by': 'onerror' })
        this.res.end('mine')
      }
    })
    await ask()
    const { status, body, headers } = await ask()
    expect([status, body, headers['x-by'], headers['retry-after']]).toEqual([
      429,
      'mine',
      'onerror',
      '3600',
    ])
  })

  test.each([
    [{ proxy: true }, 'RATETHROTTLE_PERMISSIVE_PROXY'],
    [{ proxy: true, maxIpsCount: 1 }, 'RATETHROTTLE_HOP_COUNT'],
    [{ proxy: true, proxyIpHeader: 'X-Real-IP' }, 'RATETHROTTLE_PERMISSIVE_PROXY'],
  ])('%j is not followed, and warned about', async (settings, code) => {
    const emit = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    onTestFinished(() => emit.mockRestore())
    const around = (app: Koa) => Object.assign(app, settings)
    const { ask } = await start(App, { limits: '2/hour' }, hello, around)
    const statuses: number[] = []
    for (const address of ['192.0.2.1', '192.0.2.2', '192.0.2.3']) {
      const headers = { 'x-forwarded-for': address, 'x-real-ip': address }
      statuses.push((await ask('/', { headers })).status)
    }
    expect(statuses).toEqual([200, 200, 429])
    const codes = emit.mock.calls.map(([, how]) => (how as { code?: string }).code)
    expect(codes).toEqual([code])
    const trusting = await start(App, { limits: '1/hour', trust: ['127.0.0.1'] }, hello, around)
    for (const address of ['192.0.2.1', '192.0.2.2']) {
      expect((await trusting.ask('/', { headers: { 'x-forwarded-for': address } })).status).toBe(
        200,
      )
    }
  })

  test('routes have limits of their own, and rows of an insight by their patterns', async () => {
    const view = insight()
    onTestFinished(() => view.close())
    const { ask } = await start(
      App,
      { insight: view, limits: '100/hour', name: 'all' },
      (app, limiter) => {
        const router = new Router()
        const own = limiter.limit({ limits: '1/hour', name: 'users' })
        router.get('/users/:id', own, (ctx) => {
          ctx.body = ctx.path
        })
        app.use(router.routes())
      },
    )
    expect((await ask('/users/1')).body).toBe('/users/1')
    expect((await ask('/users/2')).status).toBe(429)
    const rows = view.report().routes.map((row) => [row.limit, row.route, row.admitted, row.denied])
    expect(rows).toEqual([
      ['all', '*', 2, 0],
      ['users', 'GET /users/:id', 1, 1],
    ])
  })

  test('a shield refuses before the limits', async () => {
    const { ask } = await start(
      App,
      {
        limits: '9/hour',
        shield: {
          mode: 'enforce',
          failures: { min: 3, share: 0.5, distinctPaths: 3, block: '10 minutes' },
        },
      },
      (app) => {
        app.use((ctx) => {
          ctx.status = 404
          ctx.body = ctx.state.shield?.level ?? 'none'
        })
      },
    )
    for (let i = 0; i < 8; i++) await ask(`/${i}`)
    const { status, headers } = await ask()
    expect(status).toBe(429)
    expect(headers['x-ratelimit-limit']).toBeUndefined()
    expect(headers['cache-control']).toBe('no-store')
  })

  test.each([
    [
      'a stream',
      (ctx: Koa.Context, source: Readable) => {
        ctx.body = source
      },
    ],
    [
      'ctx.respond = false',
      (ctx: Koa.Context, source: Readable) => {
        ctx.respond = false
        source.pipe(ctx.res)
      },
    ],
  ])('D62: %s holds its permit until the last byte', async (_name, answer) => {
    const source = new Readable({ read() {} })
    let count = 0
    const { ask, url } = await start(App, { concurrent: 1 }, (app) => {
      app.use((ctx) => {
        if (count++ === 0) answer(ctx, source)
        else ctx.body = 'second'
      })
    })
    source.push('first')
    const response = await fetch(url)
    const body = response.text()
    expect((await ask()).status).toBe(429)
    source.push(null)
    await body
    await expect.poll(async () => (await ask()).status).toBe(200)
  })
})
